"""keras.preprocessing.sequence.pad_sequences, where older scripts look for it."""

from harness.keras.encoding import pad_sequences

__all__ = ["pad_sequences"]
