"""Specs with every default written out: what a record and experiment.json hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.spec.configured import Configured
from harness.spec.dataset import DatasetSpec, Limit, Split
from harness.spec.deep_q import DeepQLearning
from harness.spec.execution import Execution
from harness.spec.lora import LoRA
from harness.spec.phase import LayerDecay, Resize
from harness.spec.preparation import Augmentation
from harness.spec.recipe import EarlyStopping, Phase, Recipe
from harness.spec.sources import Csv, FileSource, Images, Parquet

# These are written as their arguments; everything else as {Name: {arguments}}.
_BARE = (Recipe, Phase, EarlyStopping, LoRA, LayerDecay, Resize, DatasetSpec, Split, Limit, Execution, Augmentation,
         FileSource, DeepQLearning)

# Left out at these defaults: what was recorded before there was such an argument keeps its id.
_LATER: dict[tuple[type[Configured], str], Any] = {
    (Recipe, "pretrained_in"): None, (Recipe, "weights"): None, (Recipe, "new"): (),
    (Recipe, "deep_q_learning"): None,
    (Phase, "lora"): None, (Phase, "merge_lora"): False, (Phase, "unfreeze_schedule"): {},
    (Phase, "layer_decay"): None, (Phase, "resize"): {},
    (Split, "contiguous"): "auto", (Images, "masks"): None, (Csv, "text"): (), (Parquet, "text"): (),
    (Execution, "program"): "auto", (Execution, "initial_scale"): 2.0**15, (Execution, "dynamic_growth_steps"): 2000,
    (Execution, "remat"): None,
}


def explicit(value: Any) -> Any:
    """Plain data in which no default is left out; `parse` reads it back to an equal spec."""
    if isinstance(value, Configured):
        arguments = {
            name: explicit(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if not field.exclude and not _left_out(value, name)
        }
        if isinstance(value, _BARE):
            return arguments
        return {value.canonical_name(): arguments} if arguments else value.canonical_name()
    if isinstance(value, Mapping):
        return {str(key): explicit(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [explicit(item) for item in value]
    return value


def _left_out(value: Configured, name: str) -> bool:
    key = (type(value), name)
    return key in _LATER and getattr(value, name) == _LATER[key]
