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


def is_interactive_logging_enabled() -> bool:
    """Whether `fit` shows its progress where its verbose is "auto" and stderr is a terminal."""
    return STATE.interactive


def disable_traceback_filtering() -> None:
    """Nothing to do: no framework's frames stand in a script's tracebacks."""


enable_traceback_filtering = disable_traceback_filtering

_KNOWN = ("dtype_policy", "set_dtype_policy", "set_backend", "set_epsilon", "set_image_data_format",
          "enable_unsafe_deserialization", "disable_flash_attention", "enable_flash_attention",
          "is_flash_attention_enabled", "is_nnx_enabled", "is_traceback_filtering_enabled", "max_epochs",
          "max_steps_per_epoch", "set_max_epochs", "set_max_steps_per_epoch")
_GIVEN = ("floatx", "set_floatx", "epsilon", "image_data_format", "backend", "disable_interactive_logging",
          "enable_interactive_logging", "is_interactive_logging_enabled", "disable_traceback_filtering",
          "enable_traceback_filtering")

__getattr__, __dir__ = namespace(
    "keras.config", {name: globals()[name] for name in _GIVEN}, _KNOWN,
    hint="Both frameworks keep Keras's defaults; precision is set with set_floatx.",
)
