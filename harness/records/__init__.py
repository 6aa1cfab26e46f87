"""What a run leaves behind: one folder with run.json, series.parquet and canonical checkpoints.

The record is the only bridge between measuring and judging: everything in analysis and report is
computed from records alone. The format is described, key by key, in docs/record-format.md.
"""
