"""NumPy arrays in, prepared and split, once, for every backend.

load reads what a DatasetSpec describes; from_arrays takes what a user holds in memory; identity names a
source's content without reading it into arrays; save writes a dataset that {arrays: path} reads back; adapted makes
a preprocessing layer of what it learns of an array; bigram_perplexity is what a language model must beat.
"""

from harness.data.baselines import bigram_perplexity
from harness.data.dataset import Arrays, Dataset
from harness.data.fingerprint import fingerprint
from harness.data.given import from_arrays, save
from harness.data.labels import check_labels
from harness.data.loading import identity, load
from harness.data.text_adapting import adapted
from harness.data.vocabularies import Vocabulary

__all__ = ["Arrays", "Dataset", "Vocabulary", "adapted", "bigram_perplexity", "check_labels",
           "fingerprint", "from_arrays", "identity", "load", "save"]
