"""Cases of the preprocessing layers."""

from tests.conformance.engine import Case

IMAGE = ((4, 5, 3),)

CASES = (
    Case("rescaling", lambda layers: layers.Rescaling(1 / 255), IMAGE),
    Case("rescaling with offset", lambda layers: layers.Rescaling(scale=1 / 127.5, offset=-1), IMAGE),
    Case("rescaling pixels", lambda layers: layers.Rescaling(1 / 255, 0.1), IMAGE, kinds=("pixels",)),
    Case("rescaling per channel", lambda layers: layers.Rescaling([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]), IMAGE),
    Case("rescaling masked", lambda layers: layers.Rescaling(0.1, 0.3), ((6, 4),), masked=(True,)),
)
