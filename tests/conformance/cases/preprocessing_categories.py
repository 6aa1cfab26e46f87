"""Cases of the layers from numbers to categories."""

from tests.conformance.engine import Case


def bins(name, *arguments, inputs=((3,),), kinds=(), **options):
    return Case(f"Discretization {name}", lambda layers: layers.Discretization(*arguments, **options), inputs,
                kinds=kinds)


def lookup(name, *arguments, inputs=((3,),), **options):
    """ids are 0 to 4."""
    return Case(f"IntegerLookup {name}", lambda layers: layers.IntegerLookup(*arguments, **options), inputs,
                kinds=("ids",))


WORDS = [3, 1, 0]
CASES = (
    bins("int", [0.0, 1.0]),
    bins("int of images", [-1.0, 0.1, 0.7, 2.0], inputs=((4, 5, 2),)),
    bins("int of ties", [0.0, 1.0, 2.0], kinds=("ties",), inputs=((9,),)),
    bins("one boundary", (0.3,), epsilon=0.1),
    bins("one_hot", [0.0, 1.0], None, 0.01, "one_hot"),
    bins("one_hot of one number", [-0.5, 0.5], output_mode="one_hot", inputs=((1,),)),
    bins("one_hot of a grid", [-0.5, 0.5], output_mode="one_hot", inputs=((2, 3),)),
    bins("multi_hot", [-0.5, 0.0, 0.5], output_mode="multi_hot"),
    bins("count", [-0.5, 0.0, 0.5], output_mode="count", inputs=((8,),)),
    bins("with the number of bins that adapt was given", [-0.5, 0.5], 3),
    lookup("int", vocabulary=WORDS),
    lookup("int of a grid", vocabulary=WORDS, inputs=((2, 3),)),
    lookup("several unknown", None, 2, vocabulary=WORDS),
    lookup("several unknown and a mask", None, 3, 0, vocabulary=[4, 3]),
    lookup("a mask", mask_token=3, vocabulary=[4, 0]),
    lookup("all known", num_oov_indices=0, vocabulary=[0, 1, 2, 3, 4]),
    lookup("special tokens given", mask_token=0, oov_token=-7, vocabulary=[0, -7, 4, 1]),
    lookup("one_hot", vocabulary=WORDS, output_mode="one_hot", inputs=((2, 3),)),
    lookup("one_hot of one number", vocabulary=WORDS, output_mode="one_hot", mask_token=4, inputs=((1,),)),
    lookup("multi_hot", vocabulary=WORDS, output_mode="multi_hot", mask_token=4),
    lookup("multi_hot, old name", vocabulary=WORDS, output_mode="binary", num_oov_indices=2),
    lookup("count, padded", 9, vocabulary=WORDS, output_mode="count", pad_to_max_tokens=True),
    lookup("tf_idf", vocabulary=WORDS, output_mode="tf_idf", idf_weights=[0.5, 0.25, 2.0], inputs=((8,),)),
    lookup("tf_idf, padded", 8, vocabulary=WORDS, output_mode="tf-idf", idf_weights=[0.5, 0.25, 2.0],
           pad_to_max_tokens=True),
    lookup("inverted", vocabulary=[30, 10, 20], invert=True),
    lookup("inverted with a mask", vocabulary=[30, 10, 20], invert=True, mask_token=0, oov_token=-5),
    lookup("by hash, one unknown", vocabulary=WORDS, oov_method="farmhash", salt=7),
)
