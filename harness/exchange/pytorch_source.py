"""A model as one PyTorch file that needs torch alone, written for people to read and to go on with.

The layers' classes are copied from the PyTorch backend, with what they need and without what they do not; the model
becomes a class with one line per layer in its constructor and one per call in `forward`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.exchange import pytorch_source_edits as edits
from harness.exchange.pytorch_source_model import FLOATING, ModelText, model_text
from harness.exchange.pytorch_source_parts import Key, Part, Parts
from harness.exchange.pytorch_source_text import class_name, identifier, literal, remark
from harness.spec.layers.base import Shape
from harness.spec.model import InputSpec

if TYPE_CHECKING:
    from harness.backends.pytorch.blueprint import Blueprint

LOADING = Key("harness.backends.pytorch.state_files", "load_weights")
FORMATS = {4: "torch.channels_last", 5: "torch.channels_last_3d"}
# The order of the import lines: what comes from the standard library first.
TORCH = re.compile(r"(import|from) torch\b")


def pytorch_source(blueprint: Blueprint, module: str) -> tuple[str, dict[str, str]]:
    """(the file's text, layer -> its attribute in the model's class). module: the file's name without its ending.

    Raises SpecError, with every layer that cannot be written down.
    """
    model = model_text(blueprint, {})
    masked = any(note.seen is not None for note in blueprint.notes.values())
    parts = Parts(masked, model.texts, _attributes(model))
    for cls in model.constructed:
        parts.add(cls)
    tools = Parts(masked, (), ())
    tools.add_name(LOADING)
    layers, loading = parts.settle(), tools.settle()
    names = _final_names([*layers, *loading])
    known = {cls: names[key] for cls in model.constructed if (key := Key(cls.__module__, cls.__qualname__)) in names}
    model = model_text(blueprint, known)
    name = class_name(blueprint.spec.name, {*names.values(), *_imported([*layers, *loading])})
    layers_text, loading_text = _definitions(layers, names), _definitions(loading, names)
    top = f"{_header(blueprint, model, name, module)}\n\n{_imports([*layers, *loading])}"
    if layers_text and not layers_text.startswith(("class ", "def ", "@")):
        # One line of blanks between the imports and what is no class.
        top, layers_text = f"{top}\n\n{layers_text}", ""
    sections = (top, layers_text, _model_class(blueprint, model, name), loading_text, _main(blueprint, model, name))
    return "\n\n\n".join(filter(None, sections)) + "\n", model.attributes


def _attributes(model: ModelText) -> set[str]:
    lines = "\n".join(model.forward).split("\n")
    return {match for line in lines for match in re.findall(r"\.(\w+)\(", line)}


def _final_names(parts: Iterable[Part]) -> dict[Key, str]:
    """The name of every definition in the file: its own, numbered where something else has it already."""
    names: dict[Key, str] = {}
    owners: dict[str, str] = {}
    for part in parts:
        name, number = part.key.name, 2
        while owners.get(name, part.kept) != part.kept:
            name, number = f"{part.key.name}{number}", number + 1
        names[part.key] = name
        owners[name] = part.kept
    return names


def _definitions(parts: Sequence[Part], names: Mapping[Key, str]) -> str:
    """The definitions' texts, two lines of blanks around classes and functions. What two modules define alike is
    written once."""
    texts: dict[str, bool] = {}
    for part in parts:
        meant = {name: names[need] for name, need in part.needs.items() if isinstance(need, Key)}
        text = edits.renamed(part.kept, {part.key.name: names[part.key], **meant}).strip("\n")
        texts.setdefault(text, isinstance(ast.parse(text).body[0], (ast.ClassDef, ast.FunctionDef)))
    joined, after_block = "", False
    for text, block in texts.items():
        space = "" if not joined else "\n\n\n" if block or after_block else "\n"
        joined, after_block = f"{joined}{space}{text}", block
    return joined


def _import_lines(parts: Iterable[Part]) -> set[str]:
    lines = {need for part in parts for need in part.needs.values() if isinstance(need, str)}
    return lines | {"import torch", "from torch import nn", "from pathlib import Path"}


def _imported(parts: Iterable[Part]) -> set[str]:
    """The names that the import lines give."""
    return {line.split()[-1] for line in _import_lines(parts)}


def _imports(parts: Iterable[Part]) -> str:
    """The import lines, those of the standard library first."""
    lines = _import_lines(parts)
    merged: dict[str, set[str]] = {}
    plain = set()
    for line in lines:
        source, _, name = line.removeprefix("from ").partition(" import ")
        if line.startswith("from "):
            merged.setdefault(source, set()).add(name)
        else:
            plain.add(line)
    froms = {f"from {source} import {', '.join(sorted(names))}" for source, names in merged.items()}
    groups = [[line for line in (*sorted(plain), *sorted(froms)) if bool(TORCH.match(line)) is torch]
              for torch in (False, True)]
    return "\n".join(("from __future__ import annotations", "", *groups[0], "", *groups[1]))


def _shape(shape: Shape) -> str:
    return f"({', '.join(['batch', *('any' if size is None else str(size) for size in shape[1:])])})"


def _dtype(item: InputSpec, blueprint: Blueprint) -> str:
    """The type of an input: the model's, or the spec's for what is no floating-point number."""
    return blueprint.dtype.removeprefix("torch.") if item.dtype.startswith("float") else item.dtype


def _header(blueprint: Blueprint, model: ModelText, name: str, module: str) -> str:
    spec, version = blueprint.spec, sys.modules["harness"].__version__
    lines = [
        f'"""{remark(spec.name)} as plain PyTorch: {spec.parameters:,} parameters; this file needs torch alone.',
        "",
        f"    from {module} import {name}, load_weights",
        "",
        f"    model = {name}()",
        f'    load_weights(model, "{module}.safetensors")',
        "    model.eval()  # or train it: dropout and moving statistics are Keras's",
        f"    {', '.join(_output_names(spec.output_names))} = model({', '.join(model.inputs)})",
        "",
        "Tensors are laid out as in Keras, with the channels last:",
        *(f"    {argument}: {_dtype(item, blueprint)} {_shape(item.shape)}"
          for argument, item in zip(model.inputs, spec.inputs, strict=True)),
        *(f"    -> {remark(output)}: {_shape(spec.tensors[reference])}"
          for output, reference in zip(spec.output_names, spec.outputs, strict=True)),
        "",
        f"Written by harness {version} (harness export --to pytorch) from the model with the digest",
        f"{spec.digest}.",
        '"""',
    ]
    return "\n".join(lines)


def _output_names(names: Sequence[str]) -> list[str]:
    return [identifier(name, ()) for name in names]


def _model_class(blueprint: Blueprint, model: ModelText, name: str) -> str:
    spec = blueprint.spec
    arguments = ", ".join(f"{argument}: torch.Tensor" for argument in model.inputs)
    returns = "torch.Tensor" if len(spec.outputs) == 1 else f"tuple[{', '.join(['torch.Tensor'] * len(spec.outputs))}]"
    if len(spec.outputs) > 3:
        returns = "tuple[torch.Tensor, ...]"
    head = f"    def forward(self, {arguments}) -> {returns}:"
    if len(head) > edits.WIDTH:
        head = f"    def forward(\n        self, {arguments},\n    ) -> {returns}:"
    lines = [
        f"class {name}(nn.Module):",
        f'    """{remark(spec.name)}: {", ".join(model.inputs)} -> {remark(", ".join(spec.output_names))}."""',
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        *model.init,
    ]
    if model.converts:
        lines += ["        # Has the type of the parameters, to which whole numbers are converted.",
                  f'        self.register_buffer("{FLOATING}", torch.zeros(()), persistent=False)']
    if blueprint.dtype != "torch.float32":
        lines.append(f"        self.to({blueprint.dtype})")
    lines += [f"        self.{model.attributes[layer]}.to({own})" for layer, own in blueprint.own_dtypes.items()]
    lines += _memory_format(blueprint.memory_formats())
    lines += ["", head, *model.forward]
    return "\n".join(lines)


def _memory_format(dimensions: set[int]) -> list[str]:
    if not dimensions:
        return []
    if len(dimensions) == 1:
        return [f"        self.to(memory_format={FORMATS[next(iter(dimensions))]})"]
    return ["        for tensor in (*self.parameters(), *self.buffers()):",
            "            if tensor.dim() in (4, 5):",
            "                last = torch.channels_last if tensor.dim() == 4 else torch.channels_last_3d",
            "                tensor.data = tensor.data.contiguous(memory_format=last)"]


def _main(blueprint: Blueprint, model: ModelText, name: str) -> str:
    spec = blueprint.spec
    zeros = []
    for item in spec.inputs:
        shape = ", ".join(map(str, blueprint.example_shape(item.shape)))
        dtype = _dtype(item, blueprint)
        kind = "" if dtype == "float32" else f", dtype=torch.{dtype}"
        zeros.append(f"torch.zeros({shape}{kind})")
    lines = [
        'if __name__ == "__main__":',
        f"    model = {name}().eval()",
        '    load_weights(model, Path(__file__).with_suffix(".safetensors"))',
        "    with torch.no_grad():",
        *_call_of_model(zeros),
    ]
    if len(spec.outputs) == 1:
        lines.append(f'    print({literal(spec.output_names[0])}, tuple(result.shape))')
    else:
        lines += [f"    for name, output in zip({literal(tuple(spec.output_names))}, result, strict=True):",
                  "        print(name, tuple(output.shape))"]
    return "\n".join(lines)


def _call_of_model(arguments: list[str]) -> list[str]:
    """On one line where it fits."""
    line = f"        result = model({', '.join(arguments)})"
    if len(line) <= edits.WIDTH:
        return [line]
    return ["        result = model(", *(f"            {argument}," for argument in arguments), "        )"]
