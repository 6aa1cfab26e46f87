"""Configurations of Keras's layers of text and hashes, for both sides of test_text.py. Framework-free."""

TEXTS = [
    "The quick brown fox, the lazy DOG!", "  jumps\tover\nthe   dog ", "", "Über-straße ÄÖÜ naïve", "a a a b B c",
    "don't stop: it's 3.14 (or [so])", "fox fox the", "[UNK] the",
]
WORDS = ["the", "dog", "fox", "a", "dont", "b"]
FROZEN = {"vocabulary": WORDS}
IDF = [0.5, 0.25, 2.0, 1.0, 0.125, 3.0]
NUMBERS = [[0, 7], [12, -3], [12, 123456789], [-1, 5], [2**40, 7], [99, 100]]
PAIRS = [[word, "zebra"] for word in ("the", "", "dog", "Fox")]
# Longer than what each branch of the hash takes: 4, 8, 16, 32, 64, 128 bytes and more.
LONG = [["x" * size] for size in (0, 1, 3, 4, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300)]

# (class, arguments, input)
CASES = {
    **{f"vectorization {name}": ("TextVectorization", {**FROZEN, **options}, [[text] for text in TEXTS])
       for name, options in {
           "int": {"output_sequence_length": 5},
           "int cut": {"output_sequence_length": 2},
           "lower": {"output_sequence_length": 9, "standardize": "lower"},
           "strip": {"output_sequence_length": 9, "standardize": "strip_punctuation"},
           "as it is": {"output_sequence_length": 9, "standardize": None},
           "characters": {"output_sequence_length": 12, "split": "character"},
           "bigrams": {"output_sequence_length": 9, "ngrams": 2, "vocabulary": ["the", "the dog", "a a", "fox the"]},
           "trigrams alone": {"output_sequence_length": 9, "ngrams": (3,), "vocabulary": ["a a a", "quick brown fox"]},
           "multi_hot": {"output_mode": "multi_hot"},
           "count": {"output_mode": "count"},
           "count, padded": {"output_mode": "count", "max_tokens": 12, "pad_to_max_tokens": True},
           "tf_idf": {"output_mode": "tf_idf", "idf_weights": IDF},
           "tf_idf, padded": {"output_mode": "tf-idf", "idf_weights": IDF, "max_tokens": 9, "pad_to_max_tokens": True},
           "special tokens given": {"output_sequence_length": 5, "vocabulary": ["", "[UNK]", "the", "dog"]},
       }.items()},
    **{f"lookup {name}": ("StringLookup", {**FROZEN, **options}, PAIRS)
       for name, options in {
           "int": {}, "mask": {"mask_token": ""}, "several unknown": {"num_oov_indices": 3},
           "several unknown, salted": {"num_oov_indices": 4, "salt": 7},
           "one_hot": {"output_mode": "one_hot"}, "multi_hot": {"output_mode": "multi_hot", "mask_token": ""},
           "count": {"output_mode": "count", "num_oov_indices": 2},
           "tf_idf": {"output_mode": "tf_idf", "idf_weights": IDF},
           "padded": {"output_mode": "multi_hot", "max_tokens": 10, "pad_to_max_tokens": True},
       }.items()},
    **{f"hashing of {kind} {name}": ("Hashing", {"num_bins": 11, **options}, values)
       for kind, values in (("text", LONG), ("numbers", NUMBERS))
       for name, options in {
           "plain": {}, "masked": {"mask_value": 12 if kind == "numbers" else "xxx"}, "salted": {"salt": 133},
           "salted twice": {"salt": [133, -137]}, "one_hot": {"output_mode": "one_hot"},
           "multi_hot": {"output_mode": "multi_hot"}, "count": {"output_mode": "count"},
       }.items()},
}
CROSSINGS = {
    f"crossing of {name}, {mode}": ({"num_bins": 1000, "output_mode": mode}, features)
    for mode in ("int", "one_hot")
    for name, features in {
        "numbers": ([1, 2, -5], [7, 8, 9]), "texts": (["a", "b"], ["c", "dd"]),
        "both": ([5, 6], ["a", "b"], [7, 8]), "columns": ([[1], [2]], [[3], [2**40]]),
    }.items()
}
# (class, arguments, data): what adapt learns.
ADAPTED = {
    **{f"vocabulary {name}": ("TextVectorization", options, TEXTS) for name, options in {
        "of words": {"output_sequence_length": 5}, "of few words": {"max_tokens": 4, "output_sequence_length": 5},
        "of bigrams": {"ngrams": 2, "output_sequence_length": 9},
        "for counts": {"output_mode": "count", "max_tokens": 7},
        "with weights": {"output_mode": "tf_idf", "max_tokens": 9},
    }.items()},
    "strings": ("StringLookup", {"num_oov_indices": 2}, ["b", "a", "c", "a", "[UNK]", "b", "é"]),
    "strings with weights": ("StringLookup", {"output_mode": "tf_idf"}, ["b", "a", "c", "a", "b"]),
    "numbers": ("IntegerLookup", {"max_tokens": 4, "mask_token": 0}, [5, 5, 7, 0, 9, 9, 9, -1, 8]),
    "mean and variance": ("Normalization", {}, [[1.0, 2.5], [3.0, -7.25], [0.5, 100.0]]),
    "mean and variance of all": ("Normalization", {"axis": None}, [[1.0, 2.5], [3.0, -7.25], [0.5, 100.0]]),
    "bins": ("Discretization", {"num_bins": 4}, [float((i * 37) % 101) / 7 for i in range(90)]),
    "bins of many values": ("Discretization", {"num_bins": 5, "epsilon": 0.05},
                            [float((i * 7919) % 1009) / 13 for i in range(900)]),
}
