"""What differs and cannot be switched, by name and with the reason; and what was chosen, which is no default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.plan.defaults import padding
from harness.plan.defaults.base import is_left, layers_inside, optimizers
from harness.spec.layers.base import Layer
from harness.spec.layers.cells import Gates
from harness.spec.layers.registration import REGISTERED
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe
from harness.spec.schedules import Schedule


@dataclass(frozen=True)
class LeftOut:
    """A difference that no part of the explanation stands for. where: the layers, or "optimizer", "recipe"."""

    what: str
    why: str
    where: tuple[str, ...]


OfLayer = Callable[[Layer], bool]
_WITHOUT_TWIN = frozenset({"EinsumDense", "GroupQueryAttention", "Attention", "AdditiveAttention", "ConvLSTM1D",
                           "ConvLSTM2D", "ConvLSTM3D", "SpectralNormalization"})


def _kind(*names: str) -> OfLayer:
    return lambda layer: type(layer).__name__ in names


LAYERS: tuple[tuple[str, str, OfLayer], ...] = (
    ("the moving variance of BatchNormalization", "PyTorch keeps the unbiased variance, n/(n-1) of Keras's for n "
     "values per channel; a spec has no word for it", _kind("BatchNormalization")),
    ("padding ids", "PyTorch's padding_idx keeps the row of id 0 at zero, Keras trains it as any other",
     lambda layer: bool(getattr(layer, "mask_zero", False))),
    ("dropout of recurrent layers", "PyTorch's nn.LSTM(dropout=) stands between layers, Keras's on a layer's own input",
     lambda layer: isinstance(layer, Gates) and layer.draws),
    ("padding of transposed convolutions", "PyTorch crops as much on either side; a spec has no word for it",
     lambda layer: type(layer).__name__.endswith("Transpose") and getattr(layer, "padding", "") == "same"),
    ("layers that torch.nn does not have", "there is no default of PyTorch to switch to",
     lambda layer: type(layer).__name__ in _WITHOUT_TWIN),
    ("layers of your own", "their defaults are not known", lambda layer: type(layer) in REGISTERED),
)
OPTIMIZERS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("Adam", "AdamW", "Adamax"), (
        "the place of epsilon", "PyTorch adds it after the bias correction, Keras before: the same as an epsilon that "
        "grows with the steps, which a spec has no word for")),
    "Nadam": ("momentum_decay", "PyTorch's schedule of the momentum is another (0.004 for Keras's 1)"),
    "Adafactor": ("epsilon_1", "PyTorch's is the machine epsilon of the weights' type, Keras's 1e-30"),
    **dict.fromkeys(("Ftrl", "Lion", "Lamb", "ScheduleFreeAdamW"), (
        "the optimizer", "torch.optim does not have it")),
    "Muon": ("the optimizer", "torch.optim.Muon computes in bfloat16, and on matrices only"),
}


def left_out(spec: ModelSpec, recipe: Recipe) -> tuple[LeftOut, ...]:
    """What differs between the two frameworks' own trainings of this model, and is not switched."""
    found = []
    inside = layers_inside(spec)
    for what, why, concerns in LAYERS:
        where = tuple(dict.fromkeys(name for name, layer in inside if concerns(layer)))
        if where:
            found.append(LeftOut(what, why, where))
    sizes = tuple(name for name in spec.layers if _other_sizes(spec, name))
    if sizes:
        found.append(LeftOut('padding="same"', "PyTorch's k//2 zeros on either side, or its poolings that drop what is "
                             "left over, give other sizes: another network", sizes))
    return (*found, *_of_training(spec, recipe))


def _of_training(spec: ModelSpec, recipe: Recipe) -> list[LeftOut]:
    used = {type(item).__name__: item for item in optimizers(recipe)}
    found = [LeftOut(*OPTIMIZERS[name], ("optimizer",)) for name in used if name in OPTIMIZERS]
    tables = tuple(name for name, layer in layers_inside(spec) if type(layer).__name__ == "Embedding")
    if tables and set(used) - {"SGD", "Lion"}:
        found.append(LeftOut("gradients of Embedding", "model.fit hands the optimizer one gradient per occurrence of "
                             "an id, PyTorch and the harness their sum", tables))
    if any(getattr(item, "momentum", 0) and isinstance(item.learning_rate, Schedule) for item in used.values()):
        found.append(LeftOut("momentum under a schedule", "Keras multiplies by the learning rate before the momentum, "
                             "PyTorch after it: the same only while it is constant", ("optimizer",)))
    if recipe.class_weight or any(phase.class_weight for phase in recipe.phases):
        found.append(LeftOut("class weights", "PyTorch's loss divides by the sum of the weights, Keras's by the number "
                             "of examples", ("recipe",)))
    return found


def _other_sizes(spec: ModelSpec, name: str) -> bool:
    """Whether PyTorch's padding of this layer would give another size of its output, or none that is known."""
    kinds = padding.CONVOLUTIONS | padding.MAXIMA | padding.MEANS
    layer = spec.layers[name]
    if type(layer).__name__ not in kinds or layer.padding != "same":  # type: ignore[attr-defined]
        return False
    return any(padding.other_sizes(layer, spec.input_shapes(node)[0]) for node in spec.calls[name])


# Arguments that are defaults as long as nobody writes another value.
_CHOICES = ("kernel_initializer", "depthwise_initializer", "pointwise_initializer", "recurrent_initializer",
            "bias_initializer", "embeddings_initializer", "unit_forget_bias", "momentum", "epsilon", "negative_slope")


def written(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    """Choices that PyTorch's twin would carry over and that are therefore not switched: "kernel_initializer=HeNormal()"
    -> the layers with it."""
    found: dict[str, list[str]] = {}
    for name, layer in layers_inside(spec):
        for argument in _CHOICES:
            if argument in type(layer).model_fields and not is_left(layer, argument):
                found.setdefault(f"{argument}={getattr(layer, argument)!r}", []).append(name)
    return {choice: tuple(dict.fromkeys(names)) for choice, names in found.items()}
