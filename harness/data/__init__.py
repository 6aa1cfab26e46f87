"""NumPy arrays in, prepared and split, once, for every backend.

load reads what a DatasetSpec describes; from_arrays takes what a user holds in memory; identity names a
source's content without reading it into arrays; save writes a dataset that {arrays: path} reads back.
"""

from harness.data.dataset import Arrays, Dataset
from harness.data.fingerprint import fingerprint
from harness.data.given import from_arrays, save
from harness.data.labels import check_labels
from harness.data.loading import identity, load

__all__ = ["Arrays", "Dataset", "check_labels", "fingerprint", "from_arrays", "identity", "load", "save"]
