"""Settings of a Keras layer beside those of the torch module that holds it, and what the module should have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.certify.ports.rules import TorchUnit

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Setting:
    """Attributes that would make the module what Keras's layer is. "same padding": zeros per side, before and after,
    of (batch, channels, ...)."""

    key: str
    attributes: dict[str, Any]
    cause: str
    mend: str


# Keras's argument -> (torch's attribute, Keras's value as torch writes it).
PAIRS: dict[str, dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "BatchNormalization": {"epsilon": ("eps", float), "momentum": ("momentum", lambda value: 1 - value)},
    "LayerNormalization": {"epsilon": ("eps", float)},
    "GroupNormalization": {"epsilon": ("eps", float), "groups": ("num_groups", int)},
    "RMSNormalization": {"epsilon": ("eps", float)},
    "Conv1D": {"strides": ("stride", list), "dilation_rate": ("dilation", list), "groups": ("groups", int)},
    "Conv2D": {"strides": ("stride", list), "dilation_rate": ("dilation", list), "groups": ("groups", int)},
    "Conv3D": {"strides": ("stride", list), "dilation_rate": ("dilation", list), "groups": ("groups", int)},
    "DepthwiseConv2D": {"strides": ("stride", list), "dilation_rate": ("dilation", list)},
    "Conv2DTranspose": {"strides": ("stride", list)},
}


def different_settings(layer: Any, unit: TorchUnit) -> Iterator[tuple[str, Any, str, Any, Any]]:
    """(Keras's argument, its value, torch's attribute, its value, what it should be) of those that differ."""
    for argument, (attribute, convert) in PAIRS.get(type(layer).__name__, {}).items():
        if attribute not in unit.settings:
            continue
        given, held = getattr(layer, argument), unit.settings[attribute]
        wanted = _converted(given, convert, held)
        same = abs(held - wanted) < 1e-12 if isinstance(held, float) and isinstance(wanted, float) else held == wanted
        if not same:
            yield argument, given, attribute, held, wanted


def shown_settings(layer: Any, unit: TorchUnit) -> tuple[str, ...]:
    """"epsilon (eps): 0.001 | 1e-05", Keras's value first."""
    return tuple(f"{argument} ({attribute}): {given} | {held}"
                 for argument, given, attribute, held, _ in different_settings(layer, unit))


def expected_settings(layer: Any, unit: TorchUnit, shapes: Sequence[Shape]) -> list[Setting]:
    """What to try: each setting that differs, all of them together, and Keras's padding."""
    found = [Setting(argument, {attribute: tuple(wanted) if isinstance(wanted, list) else wanted},
                     f"{argument} is {given} in Keras, {attribute} is {held} in the port",
                     f"set {attribute}={wanted}")
             for argument, given, attribute, held, wanted in different_settings(layer, unit)]
    if len(found) > 1:
        together: dict[str, Any] = {}
        for item in found:
            together |= item.attributes
        found.append(Setting(found[0].key, together, "; ".join(item.cause for item in found),
                             "; ".join(item.mend for item in found)))
    return [*found, *_padding(layer, unit, shapes)]


def _padding(layer: Any, unit: TorchUnit, shapes: Sequence[Shape]) -> Iterator[Setting]:
    if not unit.kind.startswith("Conv") or "Transpose" in unit.kind or not hasattr(layer, "padding"):
        return
    sizes = shapes[0][1:-1]
    rank = len(sizes)
    strides, window, dilation = (_spread(getattr(layer, name, 1), rank)
                                 for name in ("strides", "kernel_size", "dilation_rate"))
    sides = []
    for size, width, stride, gap in zip(sizes, window, strides, dilation, strict=True):
        whole = (width - 1) * gap + 1
        total = max((-(-(size or 0) // stride) - 1) * stride + whole - (size or 0), 0) if layer.padding == "same" else 0
        if layer.padding == "causal":
            sides.append((whole - 1, 0))
        else:
            sides.append((total // 2, total - total // 2))
    held = unit.settings.get("padding")
    yield Setting(
        "padding", {"same padding": [(0, 0), (0, 0), *sides]},
        f"Keras (padding={layer.padding!r}, strides {strides}) pads "
        f"{', '.join(f'{a} before and {b} after' for a, b in sides)}; the port pads {held} on both sides",
        "pad with F.pad as Keras does, and convolve without padding")


def _converted(value: Any, convert: Callable[[Any], Any], held: Any) -> Any:
    if convert is list:
        size = len(held) if isinstance(held, (list, tuple)) else 1
        return list(_spread(value, size))
    return convert(value)


def _spread(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)
