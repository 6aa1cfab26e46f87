"""keras.preprocessing: what is left of it in Keras 3 and needs no framework."""

from __future__ import annotations

from harness.keras.preprocessing import sequence
from harness.keras.refusals import namespace

__getattr__, __dir__ = namespace(
    "keras.preprocessing", {"sequence": sequence},
    ("image", "image_dataset_from_directory", "text_dataset_from_directory", "timeseries_dataset_from_array"),
    hint="Read the files into arrays, or describe them in an experiment (harness run).",
)
