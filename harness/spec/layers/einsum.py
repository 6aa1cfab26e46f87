"""The shapes behind an einsum equation of a layer (keras/src/layers/core/einsum_dense.py: _analyze_einsum_string)."""

import math
import re
from dataclasses import dataclass

from harness.errors import SpecError
from harness.spec.layers.base import Shape

FORMS = "Expected [X],[Y]->[Z], ...[X],[Y]->...[Z] or [X]...,[Y]->[Z]..., each in letters, as 'abc,cd->abd'."


@dataclass(frozen=True)
class EinsumShapes:
    """kernel, bias (None without) and output of a layer; fans: (summed, made), what glorot_uniform looks at;
    products: the multiply-adds of one example, None where a size is unknown."""

    kernel: tuple[int, ...]
    bias: tuple[int, ...] | None
    output: Shape
    fans: tuple[float, float]
    products: int | None


@dataclass(frozen=True)
class Equation:
    """The letters of input, kernel and output; left, right: where "..." stands in input and output."""

    inputs: str
    kernel: str
    output: str
    left: bool
    right: bool


def parse_equation(equation: str) -> Equation:
    """Raises SpecError for what Keras cannot read."""
    found = re.fullmatch(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?", equation)
    if found is None:
        raise SpecError(f"cannot read the equation {equation!r}.", hint=FORMS)
    left, inputs, right, kernel, left_out, output, right_out = found.groups()
    if left != left_out or right != right_out or (left and right):
        raise SpecError(f"'...' must stand on the same side of input and output, got {equation!r}.", hint=FORMS)
    for name, letters in (("input", inputs), ("kernel", kernel), ("output", output)):
        if len(set(letters)) < len(letters):
            raise SpecError(f"a letter stands twice in the {name} of {equation!r}.")
    if unknown := set(output) - set(inputs) - set(kernel):
        raise SpecError(f"{min(unknown)!r} stands in the output of {equation!r} alone.")
    if unknown := set(kernel) - set(inputs) - set(output):
        raise SpecError(f"{min(unknown)!r} stands in the kernel of {equation!r} alone.")
    return Equation(inputs, kernel, output, bool(left), bool(right))


def einsum_shapes(equation: str, bias_axes: str | None, shape: Shape, partial: Shape) -> EinsumShapes:
    """The shapes for an input of `shape`; partial: the layer's output_shape. Raises SpecError if they do not fit."""
    parsed = parse_equation(equation)
    elided = len(shape) - len(parsed.inputs)
    if elided < 0 or (elided and not (parsed.left or parsed.right)):
        raise SpecError(f"the equation {equation!r} does not fit inputs of shape {shape}.")
    output = _output_shape(parsed, elided, shape, partial)
    if len(output) != len(parsed.output) + elided:
        raise SpecError(f"output_shape={partial} does not fit the output of {equation!r} for inputs of shape {shape}.",
                        hint="Leave out the batch and what '...' stands for.")
    offset = elided if parsed.left else 0
    sizes_in = {letter: shape[offset + place] for place, letter in enumerate(parsed.inputs)}
    sizes_out = {letter: output[offset + place] for place, letter in enumerate(parsed.output)}
    for letter, size in sizes_in.items():
        if sizes_out.get(letter) not in (None, size):
            raise SpecError(f"{letter!r} of {equation!r} is {size} in inputs of shape {shape} and {sizes_out[letter]} "
                            f"in output_shape={partial}.")
    kernel = tuple(_known(letter, sizes_out[letter] if letter in sizes_out else sizes_in[letter], equation)
                   for letter in parsed.kernel)
    made = [size for letter, size in zip(parsed.kernel, kernel, strict=True) if letter in sizes_out]
    summed = [size for letter, size in zip(parsed.kernel, kernel, strict=True) if letter not in sizes_out]
    fans = (float(math.prod(summed)), float(math.prod(made)))
    bias = _bias_shape(parsed, equation, bias_axes, sizes_out, 0 if parsed.left else elided)
    return EinsumShapes(kernel, bias, output, fans, _products(parsed, elided, shape, sizes_in, sizes_out))


def _output_shape(parsed: Equation, elided: int, shape: Shape, partial: Shape) -> Shape:
    if parsed.left and elided:
        return (*shape[:elided], *partial)
    return (shape[0], *partial, *(shape[len(shape) - elided:] if parsed.right else ()))


def _bias_shape(
    parsed: Equation, equation: str, bias_axes: str | None, sizes: dict[str, int | None], behind: int
) -> tuple[int, ...] | None:
    if bias_axes is None:
        return None
    if not bias_axes or set(bias_axes) - set(parsed.output):
        raise SpecError(f"bias_axes must be letters of the output of {equation!r}, got {bias_axes!r}.")
    first = min(parsed.output.index(letter) for letter in bias_axes)
    own = (_known(letter, sizes[letter], equation) if letter in bias_axes else 1 for letter in parsed.output[first:])
    return (*own, *(1,) * behind)


def _products(
    parsed: Equation, elided: int, shape: Shape, sizes_in: dict[str, int | None], sizes_out: dict[str, int | None]
) -> int | None:
    """Every combination of letters is one multiply-add; the batch counts for nothing. No sum: no matrix product."""
    if not set(parsed.inputs) - set(parsed.output):
        return 0
    sizes = {**sizes_out, **sizes_in}
    every = [*sizes.values(), *(shape[:elided] if parsed.left else shape[len(shape) - elided:])]
    batch = shape[0] if parsed.left and elided else sizes[parsed.inputs[0]]
    every.remove(batch)
    return None if None in every else math.prod(size for size in every if size is not None)


def _known(letter: str, size: int | None, equation: str) -> int:
    if size is None:
        raise SpecError(f"EinsumDense needs to know the size of {letter!r} in {equation!r}.",
                        hint="Give it in output_shape or in the Input's shape.")
    return size
