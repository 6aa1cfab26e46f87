"""keras.config: the precision, and the questions that scripts ask."""

from __future__ import annotations

from harness.keras.refusals import namespace
from harness.keras.state import STATE


def floatx() -> str:
    """ "float32" or "float64"."""
    return STATE.precision


def set_floatx(value: str) -> None:
    """Precision of all trainings to come. Raises SpecError for another than float32 and float64."""
    STATE.set_precision(value)


def epsilon() -> float:
    """Keras's fuzz factor; both frameworks use it where Keras does."""
    return 1e-7


def image_data_format() -> str:
    """Always channels last, in both frameworks."""
    return "channels_last"


def backend() -> str:
    """ "tensorflow": the framework whose numbers `history.history` and `evaluate` give."""
    return "tensorflow"


def disable_interactive_logging() -> None:
    """`fit` is silent where its verbose is "auto"."""
    STATE.interactive = False


def enable_interactive_logging() -> None:
    """`fit` shows its progress where its verbose is "auto" and stderr is a terminal."""
    STATE.interactive = True


_KNOWN = ("dtype_policy", "set_dtype_policy", "set_backend", "set_epsilon", "set_image_data_format",
          "enable_unsafe_deserialization")
_GIVEN = ("floatx", "set_floatx", "epsilon", "image_data_format", "backend", "disable_interactive_logging",
          "enable_interactive_logging")

__getattr__, __dir__ = namespace(
    "keras.config", {name: globals()[name] for name in _GIVEN}, _KNOWN,
    hint="Both frameworks keep Keras's defaults; precision is set with set_floatx.",
)
