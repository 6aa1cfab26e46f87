"""What Keras has and this namespace has not: each such name exists, and says so when it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.errors import SpecError, did_you_mean

_OWN_CODE = "Code of your own would run in one framework only; use a loss, metric or layer of Keras."
# What a model has in Keras and not here -> the way out.
OF_MODELS = {
    "add_loss": _OWN_CODE, "add_metric": _OWN_CODE, "compute_loss": _OWN_CODE, "train_step": _OWN_CODE,
    "export": "model.save('name.yaml') and model.save_weights('name.safetensors') hold the model.",
    "fit_generator": "Use fit with arrays.", "from_config": "Use keras.models.clone_model.",
    "quantize": "Leave it out.", "reset_states": "No layer here keeps a state from batch to batch.",
    "to_yaml": "model.save('name.yaml') writes the model without its weights.",
}


class Refused(type):
    """The class of a name that is refused: calling it, deriving from it or reading from it raises SpecError."""

    message: str
    hint: str

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise cls.error()

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise cls.error()

    def __repr__(cls) -> str:
        return f"<{cls.message}>"

    def error(cls) -> SpecError:
        return SpecError(cls.message, hint=cls.hint)


def refuse(owner: str, name: str, hint: str = "", reason: str = "") -> Any:
    """A stand-in for `owner.name`: it can be imported, and raises SpecError with the way out when it is used."""
    text = f"{owner}.{name} is not supported under harness.keras" + (f": {reason}." if reason else ".")

    def refuse_subclass(cls: type, **kwargs: Any) -> None:
        raise SpecError(text, hint=hint)

    return Refused(name, (), {"message": text, "hint": hint, "__init_subclass__": classmethod(refuse_subclass)})


def namespace(
    owner: str, supported: Mapping[str, Any], known: Iterable[str] = (), hint: str = "",
    hints: Mapping[str, str] | None = None, reasons: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """(__getattr__, __dir__) of a module: what is supported, what Keras has besides, and what is a mistake.

    known: all of Keras's names there. hint: the way out of a refused one; hints, reasons: of single ones.
    """
    refused = {name: (hints or {}).get(name, hint) for name in known if name not in supported}

    def get(name: str) -> Any:
        if name in supported:
            return supported[name]
        if name in refused:
            return refuse(owner, name, refused[name], (reasons or {}).get(name, ""))
        raise AttributeError(f"{owner} has no {name!r}. {did_you_mean(name, supported)}")

    return get, lambda: sorted(supported)
