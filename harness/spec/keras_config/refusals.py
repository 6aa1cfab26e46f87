"""What of a Keras model cannot be carried over: all of it in one error, never only the first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import SpecError

REGISTER = ("Register it with harness.register_layer (a spec entry and one builder per framework), or take it out of "
            "the model.")

# Classes of Keras 2 alone: class -> (reason, way out). spec/layers/refused.py has those of Keras 3.
OLD = {
    "TFOpLambda": ("it is a TensorFlow operation of Keras 2",
                   "Save the model anew with Keras 3, or write the operation as a layer (Add, Multiply, Rescaling)."),
    "SlicingOpLambda": ("it is a TensorFlow operation of Keras 2", "Save the model anew with Keras 3."),
}


@dataclass(frozen=True)
class Unsupported:
    """One part of a model: its name and class, why it is refused, and what to do."""

    name: str
    class_name: str
    reason: str
    way_out: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.class_name}): {self.reason.rstrip('.')}." + (f" {self.way_out}" if self.way_out
                                                                                else "")


class UnsupportedModelError(SpecError):
    """A Keras model with parts that have no counterpart. parts: every one of them."""

    parts: tuple[Unsupported, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[Unsupported], where: str) -> UnsupportedModelError:
        unique = tuple(dict.fromkeys(parts))
        count = "1 part" if len(unique) == 1 else f"{len(unique)} parts"
        lines = "".join(f"\n  {number}. {part}" for number, part in enumerate(unique[:MOST], start=1))
        more = f"\n  ... and {len(unique) - MOST} more" if len(unique) > MOST else ""
        error = cls(f"the Keras model has {count} that cannot be carried over:{lines}{more}", where=where)
        error.parts = unique
        return error

    def at(self, place: str) -> SpecError:
        error = super().at(place)
        assert isinstance(error, UnsupportedModelError)
        error.parts = self.parts
        return error


# How many parts a message lists; `parts` has them all.
MOST = 200
