"""Cases of the pooling layers.

TensorFlow pools no volumes in float64: the 3D layers but the global ones, and adaptive maxima with one window, are
compared with the compositions of backends/tensorflow/layers/pooling.py, which tests/backends/tensorflow compares
with the stock layers.
"""

from tests.conformance.engine import Case

STEPS = ((11, 3),)
IMAGE = ((8, 7, 3),)
VOLUME = ((5, 6, 7, 2),)


FIRST = {"data_format": "channels_first"}


def _first(inputs):
    """The shapes with the channels first."""
    return tuple((shape[-1], *shape[:-1]) for shape in inputs)


def _layer(name: str, *arguments, **options):
    return lambda layers: getattr(layers, name)(*arguments, **options)


def _windowed(name: str, inputs, uneven) -> tuple[Case, ...]:
    return (
        Case(f"{name} default", _layer(name), inputs),
        Case(f"{name} same", _layer(name, 2, padding="same"), inputs),
        Case(f"{name} same, odd window", _layer(name, 3, strides=2, padding="same"), inputs),
        Case(f"{name} same, stride 1", _layer(name, 3, strides=1, padding="same"), inputs),
        Case(f"{name} same, even window, stride 1", _layer(name, 2, strides=1, padding="same"), inputs),
        Case(f"{name} overlapping", _layer(name, 3, strides=2), inputs),
        Case(f"{name} uneven", _layer(name, uneven[0], strides=uneven[1]), inputs),
        Case(f"{name} uneven same", _layer(name, uneven[0], strides=uneven[1], padding="same"), inputs),
        Case(f"{name} stride beyond the window", _layer(name, 2, strides=4, padding="same"), inputs),
        Case(f"{name} at ties", _layer(name, 3, strides=1), inputs, kinds=("ties",)),
        Case(f"{name} channels first", _layer(name, *uneven, "same", **FIRST), _first(inputs)),
        Case(f"{name} channels first at ties", _layer(name, 3, 2, **FIRST), _first(inputs), kinds=("ties",)),
    )


def _global(name: str, inputs, rank_masked: bool) -> tuple[Case, ...]:
    masked = (Case(f"{name} masked", _layer(name), inputs, masked=(True,)),
              Case(f"{name} masked keepdims", _layer(name, keepdims=True), inputs, masked=(True,)),
              # As many channels as steps: Keras makes the mask of the input's second axis.
              Case(f"{name} channels first masked", _layer(name, **FIRST), ((5, 5),), masked=(True,)))
    return (
        Case(name, _layer(name), inputs),
        Case(f"{name} keepdims", _layer(name, keepdims=True), inputs),
        Case(f"{name} at ties", _layer(name), inputs, kinds=("ties",)),
        Case(f"{name} any size", _layer(name), ((*(None,) * (len(inputs[0]) - 1), 3),)),
        Case(f"{name} one place", _layer(name, keepdims=True), ((*(1,) * (len(inputs[0]) - 1), 3),)),
        Case(f"{name} channels first", _layer(name, **FIRST), _first(inputs)),
        Case(f"{name} channels first keepdims", _layer(name, keepdims=True, **FIRST), _first(inputs)),
        Case(f"{name} channels first any size at ties", _layer(name, **FIRST),
             ((3, *(None,) * (len(inputs[0]) - 1)),), kinds=("ties",)),
        *(masked if rank_masked else ()),
    )


def _adaptive(rank: int, inputs, sizes) -> tuple[Case, ...]:
    return tuple(case for kind in ("Average", "Max") for name in (f"Adaptive{kind}Pooling{rank}D",) for case in (
        *(Case(f"{name} to {size}", _layer(name, size), inputs) for size in sizes),
        Case(f"{name} at ties", _layer(name, sizes[0]), inputs, kinds=("ties",)),
        Case(f"{name} in training", _layer(name, sizes[1]), inputs, kinds=("ties",), certified=True),
        Case(f"{name} of one place", _layer(name, sizes[0]), ((*(1,) * rank, 3),), certified=True),
        Case(f"{name} of overlapping windows at ties", _layer(name, sizes[1]), inputs, kinds=("ties",)),
        Case(f"{name} channels first", _layer(name, sizes[1], **FIRST), _first(inputs)),
        Case(f"{name} channels first at ties", _layer(name, sizes[2], **FIRST), _first(inputs), kinds=("ties",)),
    ))


CASES = (
    *_windowed("MaxPooling1D", STEPS, (4, 3)),
    *_windowed("AveragePooling1D", STEPS, (4, 3)),
    *_windowed("MaxPooling2D", IMAGE, ((2, 3), (3, 1))),
    *_windowed("AveragePooling2D", IMAGE, ((2, 3), (3, 1))),
    *_global("GlobalAveragePooling1D", STEPS, True),
    *_global("GlobalMaxPooling1D", STEPS, True),
    *_global("GlobalAveragePooling2D", IMAGE, False),
    *_global("GlobalMaxPooling2D", IMAGE, False),
    *_windowed("MaxPooling3D", VOLUME, ((2, 3, 1), (3, 1, 2))),
    *_windowed("AveragePooling3D", VOLUME, ((2, 3, 1), (3, 1, 2))),
    Case("MaxPooling3D any size", _layer("MaxPooling3D", 3, 2, "same"), ((None, 5, None, 2),)),
    Case("AveragePooling3D any size", _layer("AveragePooling3D", 3, 2, "same"), ((None, 5, None, 2),)),
    *_global("GlobalAveragePooling3D", VOLUME, False),
    *_global("GlobalMaxPooling3D", VOLUME, False),
    *_adaptive(1, STEPS, (4, 3, 1, 11)),
    *_adaptive(2, IMAGE, (4, (3, 2), 1, (8, 7))),
    *_adaptive(3, VOLUME, (2, (3, 4, 2), 1, (5, 3, 7))),
)
