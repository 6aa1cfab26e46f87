"""Cases of the preprocessing layers."""

from tests.conformance.engine import Case

IMAGE = ((4, 5, 3),)


def normalization(name, *arguments, kinds=(), **options):
    return Case(f"normalization {name}", lambda layers: layers.Normalization(*arguments, **options), IMAGE, kinds=kinds)


def category(name, *arguments, inputs=((3,),), **options):
    return Case(f"category {name}", lambda layers: layers.CategoryEncoding(*arguments, **options), inputs,
                kinds=("ids",))


CASES = (
    Case("rescaling", lambda layers: layers.Rescaling(1 / 255), IMAGE),
    Case("rescaling with offset", lambda layers: layers.Rescaling(scale=1 / 127.5, offset=-1), IMAGE),
    Case("rescaling pixels", lambda layers: layers.Rescaling(1 / 255, 0.1), IMAGE, kinds=("pixels",)),
    Case("rescaling per channel", lambda layers: layers.Rescaling([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]), IMAGE),
    Case("rescaling of any size", lambda layers: layers.Rescaling(0.5, 3), ((None, None, 3),)),
    Case("rescaling frozen", lambda layers: layers.Rescaling(-2.0, trainable=False), ((7,),)),
    Case("rescaling by nothing", lambda layers: layers.Rescaling(1.0), ((7,),), kinds=("ties",)),
    Case("rescaling masked", lambda layers: layers.Rescaling(0.1, 0.3), ((6, 4),), masked=(True,)),
    normalization("number", mean=0.3, variance=1.7),
    normalization("number for all", None, 0.3, 1.7),
    normalization("per channel", mean=[0.1, 0.2, 0.3], variance=(0.3, 0.2, 0.1)),
    normalization("per row", axis=1, mean=[0.1, 0.2, 0.3, 0.4], variance=[1.3, 1.2, 1.1, 1.0]),
    normalization("per row and channel", axis=(1, -1), mean=[[0.1, 0.2, 0.3]] * 4, variance=[[0.3, 0.2, 0.1]] * 4),
    normalization("per channel of two axes", axis=(1, 3), mean=[0.1, 0.2, 0.3], variance=[0.3, 0.2, 0.1]),
    normalization("inverse", mean=[0.1, 0.2, 0.3], variance=[0.3, 0.2, 0.1], invert=True),
    normalization("of no variance", mean=0.5, variance=0.0),
    normalization("of pixels", mean=127.5, variance=5000.0, kinds=("pixels",)),
    Case("normalization masked", lambda layers: layers.Normalization(mean=0.3, variance=0.7), ((6, 4),),
         masked=(True,)),
    category("multi_hot", 5),
    category("multi_hot, old name", 7, "binary"),
    category("count", 5, "count"),
    category("one_hot", 6, "one_hot"),
    category("one_hot of single numbers", 5, output_mode="one_hot", inputs=((1,),)),
    category("multi_hot of many", 9, "multi_hot", inputs=((20,),)),
    category("count of single numbers", 5, output_mode="count", inputs=((1,),)),
    category("one_hot of a grid", 5, output_mode="one_hot", inputs=((3, 4),)),
)
