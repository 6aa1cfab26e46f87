"""Layers from numbers to categories in PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from harness.spec.layers import preprocessing_categories as spec
from harness.spec.layers.base import Shape


class Encoding(nn.Module):
    """Places as numbers ("int"), as vectors of `depth`, or as one vector for each row; places beyond it are nothing.

    weights: one for each place of a "tf_idf" vector.
    """

    one: torch.Tensor
    weights: torch.Tensor

    def __init__(self, mode: str, depth: int, squeezes: bool, weights: tuple[float, ...] | None = None) -> None:
        super().__init__()
        self.mode = mode
        self.depth = depth
        self.squeezes = squeezes
        self.register_buffer("one", torch.ones(()), persistent=False)
        values = torch.ones(()) if weights is None else torch.tensor(weights, dtype=torch.float64)
        self.register_buffer("weights", values, persistent=False)

    def extra_repr(self) -> str:
        return f"{self.mode}, {self.depth}"

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        if self.mode == "int":
            return places
        if self.squeezes:
            places = places.squeeze(-1)
        hot = places.unsqueeze(-1) == torch.arange(self.depth, device=places.device)
        if self.mode == "one_hot":
            return hot.to(self.one.dtype)
        if self.mode == "multi_hot":
            return hot.any(1).to(self.one.dtype)
        return hot.sum(1).to(self.one.dtype) * self.weights.to(self.one.dtype)


class Discretization(nn.Module):
    """The bin of each value, right-open. The boundaries are float32 numbers in float64 networks too, as in Keras."""

    boundaries: torch.Tensor

    def __init__(self, boundaries: tuple[float, ...], mode: str, squeezes: bool) -> None:
        super().__init__()
        self.register_buffer("boundaries", torch.tensor(boundaries, dtype=torch.float32), persistent=False)
        self.encoding = Encoding(mode, len(boundaries) + 1, squeezes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.encoding(torch.bucketize(x, self.boundaries.to(x.dtype), right=True))
        return y


class IntegerLookup(nn.Module):
    """Whole numbers to their place in a vocabulary.

    default: the place of an unknown number; -1 with several of them, which the remainder decides on, from
    `first_unknown`. mask: (the mask token, its place), or None.
    """

    keys: torch.Tensor
    places: torch.Tensor

    def __init__(
        self, tokens: tuple[int, ...], first_token: int, default: int, unknowns: int, first_unknown: int,
        mask: tuple[int, int] | None, encoding: Encoding,
    ) -> None:
        super().__init__()
        keys, order = torch.tensor(tokens).sort()
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("places", order + first_token, persistent=False)
        self.default = default
        self.unknowns, self.first_unknown = unknowns, first_unknown
        self.mask = mask
        self.encoding = encoding

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.long()
        nearest = torch.searchsorted(self.keys, ids).clamp_max(len(self.keys) - 1)
        unknown = torch.full_like(ids, self.default)
        if self.unknowns > 1:
            unknown = ids.remainder(self.unknowns) + self.first_unknown
        found = torch.where(self.keys[nearest] == ids, self.places[nearest], unknown)
        if self.mask is not None:
            found = torch.where(ids == self.mask[0], self.mask[1], found)
        y: torch.Tensor = self.encoding(found)
        return y


class InvertedLookup(nn.Module):
    """Places in a vocabulary to whole numbers. mask: the token of place 0, or None."""

    tokens: torch.Tensor

    def __init__(self, tokens: tuple[int, ...], first_token: int, unknown: int, mask: int | None) -> None:
        super().__init__()
        self.register_buffer("tokens", torch.tensor(tokens), persistent=False)
        self.first_token = first_token
        self.unknown = unknown
        self.mask = mask

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        places = places.long()
        index = places - self.first_token
        inside = (index >= 0) & (index < len(self.tokens))
        found = torch.where(inside, self.tokens[index.clamp(0, len(self.tokens) - 1)], self.unknown)
        return found if self.mask is None else torch.where(places == 0, self.mask, found)


def encoding(layer: spec.Discretization | spec.IntegerLookup, shape: Shape, depth: int,
             weights: tuple[float, ...] | None = None) -> Encoding:
    """The module behind the places of inputs of this shape."""
    squeezes = layer.output_mode == "one_hot" and len(shape) > 1 and shape[-1] == 1
    return Encoding(layer.output_mode, depth, squeezes, weights)


def build_discretization(layer: spec.Discretization, *shapes: Shape) -> nn.Module:
    boundaries = layer.bin_boundaries
    return Discretization(boundaries, layer.output_mode, encoding(layer, shapes[0], len(boundaries) + 1).squeezes)


def build_integer_lookup(layer: spec.IntegerLookup, *shapes: Shape) -> nn.Module:
    if layer.invert:
        unknown = -1 if layer.oov_token is None else layer.oov_token
        return InvertedLookup(layer.tokens, layer.first_token, unknown, layer.mask_token)
    # A mask token has the place 0, or, where vectors come out, no place.
    mask = None if layer.mask_token is None else (layer.mask_token, 0 if layer.output_mode == "int" else 2**62)
    default = layer.first_unknown if layer.num_oov_indices == 1 else -1
    return IntegerLookup(layer.tokens, layer.first_token, default, layer.num_oov_indices, layer.first_unknown, mask,
                         encoding(layer, shapes[0], layer.depth, layer.weights_of_tokens()))


BUILDERS = {spec.Discretization: build_discretization, spec.IntegerLookup: build_integer_lookup}
