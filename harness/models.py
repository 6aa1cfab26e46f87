"""The model library: `load_model("mlp")`, `load_model("my_model.yaml")`, `load_model("nets.py:tiny", width=8)`.

A model is a function in Keras's notation that returns a ModelSpec (the file models/mlp.py has the function
mlp), or a YAML or JSON spec. A spec in a file takes two parameters: input_shape, in place of the first input's
shape, and num_classes, in place of the units of its last Dense.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.files import LARGEST_FILE
from harness.spec.layers.base import Layer, Shape
from harness.spec.model import InputSpec, ModelSpec, copy_layer

SPEC_ENDINGS = (".yaml", ".yml", ".json")
ENDINGS = (".py", *SPEC_ENDINGS)
FILE_PARAMETERS = ("input_shape", "num_classes")


def load_model(name_or_path: str | Path | ModelSpec, **params: Any) -> ModelSpec:
    """The model of that name or in that file.

    name_or_path: a library name ("mlp"), a spec ("m.yaml", "m.json"), or a file with a function ("m.py", which
    must hold a function m or only one; "m.py:function"). params: what the function takes; for a spec,
    input_shape and num_classes. Raises SpecError with file and line for whatever is wrong in the file.
    """
    if isinstance(name_or_path, ModelSpec):
        return _with_parameters(name_or_path, params, "the model") if params else name_or_path
    path, function = _locate(name_or_path)
    params = {name: _hashable(value) for name, value in params.items()}
    if path.suffix in SPEC_ENDINGS:
        from harness.spec.serial import read_model

        _check_parameters(params, set(FILE_PARAMETERS), str(path))
        return _with_parameters(read_model(path), params, str(path))
    return _call(_function(path, function), path, params)


def available_models() -> dict[str, Path]:
    """The library by name: ./models of the current folder first, then what the package brings."""
    found: dict[str, Path] = {}
    for folder in (Path("models"), library_folder("models")):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.suffix in ENDINGS and not path.name.startswith(("_", ".")):
                    found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def accepted_parameters(name_or_path: str | Path) -> set[str]:
    """The names of the parameters that `load_model` takes for this model."""
    path, function = _locate(name_or_path)
    if path.suffix in SPEC_ENDINGS:
        return set(FILE_PARAMETERS)
    return _named(inspect.signature(_function(path, function)))


def library_folder(what: str) -> Path:
    """The folder `what` ("models", "experiments") that comes with the package.

    harness/library/<what> in an installed package, <what> beside harness/ in a checkout.
    """
    package = Path(__file__).resolve().parent
    installed = package / "library" / what
    return installed if installed.is_dir() else package.parent / what


def _locate(name_or_path: str | Path) -> tuple[Path, str | None]:
    """The file, and the function that was asked for by name in it."""
    text = str(name_or_path)
    file, colon, function = text.rpartition(":")
    if colon and file.endswith(".py"):
        return _existing(Path(file)), function
    if Path(text).suffix in ENDINGS:
        return _existing(Path(text)), None
    models = available_models()
    if text in models:
        return models[text], None
    raise SpecError(f"there is no model {text!r}.", hint=did_you_mean(text, models) + _endings_hint(text))


def _endings_hint(text: str) -> str:
    return f" A file's ending must be {', '.join(ENDINGS)}." if "/" in text or "." in text else ""


def _existing(path: Path) -> Path:
    if path.is_file():
        return path
    folder = path.parent
    names = [item.name for item in folder.iterdir() if item.suffix in ENDINGS] if folder.is_dir() else []
    near = did_you_mean(path.name, names) if names else ""
    raise SpecError(
        "this is not a file." if path.exists() else "there is no such file.",
        where=str(path), hint=near or f"Known models: {', '.join(available_models())}.",
    )


def _function(path: Path, name: str | None) -> Callable[..., Any]:
    """The function `name` of the file, by default the one called like the file, else its only one."""
    module = _execute(path)
    functions = {
        key: value for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not key.startswith("_")
    }
    if name is None:
        name = path.stem if path.stem in functions or len(functions) != 1 else next(iter(functions))
    if name not in functions:
        hint = did_you_mean(name, functions) if functions else "A model is a function that returns harness.Model(...)."
        raise SpecError(f"there is no function {name!r} in the file.", where=str(path), hint=hint)
    return functions[name]


def _execute(path: Path) -> ModuleType:
    """The file's module, compiled here and not imported: nothing is cached and no bytecode is written."""
    if path.stat().st_size > LARGEST_FILE:
        raise SpecError(f"the file is larger than {LARGEST_FILE // 2**20} MiB; this is no model.", where=str(path))
    module = ModuleType(f"harness_model_{path.stem}")
    module.__file__ = str(path)
    try:
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise SpecError(f"Python syntax error: {error.msg}.", where=f"{path}, line {error.lineno or 1}") from None
    except ValueError as error:  # a null byte, a broken encoding
        raise SpecError(f"this is no Python file: {error}.", where=str(path)) from None
    try:
        exec(code, vars(module))
    except (Exception, SystemExit) as error:
        raise _explain(error, path) from None
    return module


def _call(function: Callable[..., Any], path: Path, params: Mapping[str, Any]) -> ModelSpec:
    signature = inspect.signature(function)
    if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        _check_parameters(params, _named(signature), f"{path}: {function.__name__}")
    missing = [
        p.name for p in signature.parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in params
    ]
    if missing:
        raise SpecError(f"the model needs a value for {', '.join(missing)}.", where=f"{path}: {function.__name__}",
                        hint=f"Write {missing[0]}=VALUE.")
    try:
        model = function(**params)
    except (Exception, SystemExit) as error:
        raise _explain(error, path) from None
    if not isinstance(model, ModelSpec):
        raise SpecError(f"the function returned {type(model).__name__}, expected a model.",
                        where=f"{path}: {function.__name__}", hint="End it with: return Model(inputs, outputs).")
    return model


def _explain(error: BaseException, path: Path) -> SpecError:
    """The error with the last line of the model's own file that led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    place = f"{path}, line {lines[-1]}" if lines else str(path)
    if isinstance(error, SpecError):
        return error.at(place)
    return SpecError(f"{type(error).__name__}: {error}", where=place)


def _named(signature: inspect.Signature) -> set[str]:
    return {p.name for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _check_parameters(params: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in params:
        if name not in known:
            takes = ", ".join(sorted(known)) or "no parameters"
            near = did_you_mean(name, known)
            raise SpecError(f"unknown parameter {name!r}; the model takes {takes}.", where=where,
                            hint=near if near.startswith("Did") else None)


def _hashable(value: Any) -> Any:
    """Lists of YAML and JSON as tuples, as one writes them in Python."""
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


def _with_parameters(model: ModelSpec, params: Mapping[str, Any], where: str) -> ModelSpec:
    """The model with another input shape and another number of classes."""
    _check_parameters(params, set(FILE_PARAMETERS), where)
    inputs, layers = model.inputs, dict(model.layers)
    if params.get("input_shape") is not None:
        try:
            first = _input(model.inputs[0], params["input_shape"])
        except SpecError as error:
            raise error.at(f"{where}: input_shape") from None
        inputs = (first, *model.inputs[1:])
        layers.update(_reshapes(model, first))
    if params.get("num_classes") is not None:
        name = _last_dense(model, where)
        try:
            layers[name] = _named_copy(layers[name], name, units=params["num_classes"])
        except SpecError as error:
            raise error.at(f"{where}: num_classes") from None
    return replace(model, inputs=inputs, layers=layers)


def _input(old: InputSpec, shape: Any) -> InputSpec:
    from harness.spec.notation import Input

    if not isinstance(shape, (int, list, tuple)):
        raise SpecError(f"expected a list of sizes such as [28, 28], got {shape!r}.")
    return replace(old, shape=Input(shape, name=old.name).shape)


def _reshapes(model: ModelSpec, given: InputSpec) -> dict[str, Layer]:
    """The Reshape layers that only add axes of size 1 to the input, adapted to its new shape.

    They keep the number of dimensions that they make: (28, 28) to (28, 28, 1) becomes (8, 8) to (8, 8, 1), and
    (32, 32, 3) to (32, 32, 3).
    """
    adapted: dict[str, Layer] = {}
    old, new = model.inputs[0].shape[1:], given.shape[1:]
    for node in model.nodes:
        target: Shape | None = getattr(model.layers[node.layer], "target_shape", None)
        if target is None or node.inputs != (given.name,):
            continue
        ones = (1,) * (len(target) - len(old))
        if tuple(target) == (*old, *ones) and len(new) <= len(target) and None not in new:
            shape = (*new, *(1,) * (len(target) - len(new)))
            adapted[node.layer] = _named_copy(model.layers[node.layer], node.layer, target_shape=shape)
    return adapted


def _last_dense(model: ModelSpec, where: str) -> str:
    for node in reversed(model.nodes):
        if type(model.layers[node.layer]).__name__ == "Dense":
            return node.layer
    raise SpecError("the model has no Dense layer whose units num_classes could set.", where=where)


def _named_copy(layer: Layer, name: str, **changes: Any) -> Layer:
    return copy_layer(layer, **{"name": layer.name or name, **changes})
