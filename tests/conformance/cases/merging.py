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
)
