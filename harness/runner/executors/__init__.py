"""Where the cells and blocks of a run are executed: here, on a Ray cluster, or as Slurm jobs."""
