"""Where the families' tables of builders meet: spec class -> function (layer, *input shapes) -> nn.Module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from harness.backends.pytorch.layers import (
    activation,
    applications,
    attention,
    augmentation,
    augmentation_colors,
    augmentation_mixing,
    convolutional,
    core,
    depthwise,
    lora,
    merging,
    normalization,
    pooling,
    preprocessing,
    preprocessing_categories,
    preprocessing_images,
    preprocessing_pipeline,
    preprocessing_signals,
    recurrent,
    regularization,
    reshaping,
    spectral,
    transposed,
    wrapping,
)
from harness.backends.pytorch.layers.channels import in_either_layout

FAMILIES = (
    activation, applications, attention, augmentation, augmentation_colors, augmentation_mixing, convolutional, core,
    depthwise, lora, merging, normalization, pooling, preprocessing, preprocessing_categories,
    preprocessing_images, preprocessing_pipeline, preprocessing_signals, recurrent,
    regularization, reshaping, spectral, transposed, wrapping,
)

# Families whose builders are written for channels last and serve data_format="channels_first" by channels.py.
BY_CHANNELS_LAST = (
    augmentation, augmentation_colors, augmentation_mixing, convolutional, depthwise, pooling, preprocessing_images,
    regularization, reshaping, transposed,
)

BUILDERS: dict[type, Callable[..., nn.Module]] = {}
for _family in FAMILIES:
    _table: dict[Any, Any] = _family.BUILDERS
    BUILDERS.update(_table)
for _family in BY_CHANNELS_LAST:
    BUILDERS.update({_cls: in_either_layout(_builder) for _cls, _builder in _family.BUILDERS.items()})
