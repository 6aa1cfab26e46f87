"""Cases of the merging layers."""

from tests.conformance.engine import Case

NAMES = ("Add", "Multiply", "Average", "Maximum", "Minimum")
TWO = ((6, 4), (6, 4))


def _layer(name: str):
    return lambda layers: getattr(layers, name)()


CASES = (
    *(Case(f"{name} two", _layer(name), ((7,), (7,))) for name in NAMES),
    *(Case(f"{name} three", _layer(name), ((3, 4, 2), (3, 4, 2), (3, 4, 2))) for name in NAMES),
    *(Case(f"{name} broadcast", _layer(name), ((3, 4, 2), (1, 1, 2))) for name in NAMES),
    *(Case(f"{name} of different ranks", _layer(name), ((6, 4), (4,))) for name in NAMES),
    *(Case(f"{name} at ties", _layer(name), TWO, kinds=("ties", "ties")) for name in NAMES),
    *(Case(f"{name} masked", _layer(name), TWO, masked=(True, True)) for name in NAMES),
    *(Case(f"{name} first masked", _layer(name), TWO, masked=(True, False)) for name in NAMES),
    *(Case(f"{name} second masked", _layer(name), TWO, masked=(False, True)) for name in NAMES),
    *(Case(f"{name} three masked", _layer(name), (*TWO, (6, 4)), masked=(True, True, True)) for name in NAMES),
    Case("Subtract", _layer("Subtract"), TWO),
    Case("Subtract broadcast", _layer("Subtract"), ((3, 4, 2), (1, 1, 2))),
    Case("Subtract of different ranks", _layer("Subtract"), ((4,), (6, 4))),
    Case("Subtract masked", _layer("Subtract"), TWO, masked=(True, True)),
    Case("Concatenate", lambda layers: layers.Concatenate(), ((6,), (3,))),
    Case("Concatenate images", lambda layers: layers.Concatenate(), ((4, 5, 2), (4, 5, 3), (4, 5, 1))),
    Case("Concatenate steps", lambda layers: layers.Concatenate(axis=1), ((6, 4), (3, 4))),
    Case("Concatenate rows", lambda layers: layers.Concatenate(axis=-3), ((2, 5, 2), (4, 5, 2))),
    Case("Concatenate masked", lambda layers: layers.Concatenate(), ((6, 4), (6, 3)), masked=(True, True)),
    Case("Concatenate one masked", lambda layers: layers.Concatenate(), ((6, 4), (6, 3)), masked=(True, False)),
    Case("Concatenate masked steps", lambda layers: layers.Concatenate(axis=1), ((6, 4), (3, 4)), masked=(True, True)),
    Case("Concatenate one masked along steps", lambda layers: layers.Concatenate(axis=1), ((6, 4), (3, 4)),
         masked=(False, True)),
    Case("Dot of vectors", lambda layers: layers.Dot(1), ((7,), (7,))),
    Case("Dot of steps", lambda layers: layers.Dot(2), ((6, 4), (5, 4))),
    Case("Dot of last axes", lambda layers: layers.Dot(-1), ((6, 4), (4,))),
    Case("Dot over steps", lambda layers: layers.Dot(axes=1), ((6, 4), (6, 3))),
    Case("Dot of uneven axes", lambda layers: layers.Dot(axes=(1, 2)), ((4, 5), (3, 4))),
    Case("Dot of a vector and steps", lambda layers: layers.Dot(axes=[1, 2]), ((4,), (3, 4))),
    Case("Dot of images", lambda layers: layers.Dot(axes=(3, 2)), ((3, 4, 5), (6, 5, 2))),
    Case("Dot of images over rows", lambda layers: layers.Dot(axes=(-3, 1)), ((3, 4, 5), (3, 2))),
    Case("Dot normalized", lambda layers: layers.Dot(1, normalize=True), ((7,), (7,))),
    Case("Dot normalized over steps", lambda layers: layers.Dot((2, 1), normalize=True), ((6, 4), (4, 3))),
    Case("Dot masked", lambda layers: layers.Dot(2), ((6, 4), (5, 4)), masked=(True, True)),
    Case("Dot of any length", lambda layers: layers.Dot(2), ((None, 4), (5, 4))),
    Case("Concatenate frozen", lambda layers: layers.Concatenate(axis=2, trainable=False), ((3, 4, 2), (3, 1, 2))),
    Case("Concatenate of any length", lambda layers: layers.Concatenate(axis=1), ((None, 4), (3, 4))),
    *(Case(f"{name} of any length", _layer(name), ((None, 4), (None, 4))) for name in (*NAMES, "Subtract")),
    Case("Subtract at ties", _layer("Subtract"), TWO, kinds=("ties", "ties")),
    Case("Subtract first masked", _layer("Subtract"), TWO, masked=(True, False)),
    Case("Subtract of images", _layer("Subtract"), ((3, 4, 2), (3, 4, 2))),
    Case("Add in float32", lambda layers: layers.Add(dtype="float32"), TWO, masked=(True, True), tolerance=1e-5,
         reason="a layer whose own dtype is float32"),
)
