"""ResNets as timm and torchvision write them (timm/models/resnet.py, torchvision/models/resnet.py), for
models/resnet.py with form="imagenet", variant="v1.5"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError
from harness.exchange.pretrained.layouts import CONVOLUTION, LINEAR
from harness.exchange.pretrained.mapping import Architecture, Ignored, Rule, linear


def _convolution(weight: str, convolution: str, batch_norm: str) -> tuple[Rule, ...]:
    """A convolution without bias and the batch normalization behind it."""
    return (
        Rule(f"{weight}_conv/kernel", f"{convolution}.weight", CONVOLUTION),
        Rule(f"{weight}_norm/gamma", f"{batch_norm}.weight"),
        Rule(f"{weight}_norm/beta", f"{batch_norm}.bias"),
        Rule(f"{weight}_norm/moving_mean", f"{batch_norm}.running_mean"),
        Rule(f"{weight}_norm/moving_variance", f"{batch_norm}.running_var"),
    )


BLOCK = "layer{stage}.{block-1}"
RULES = (
    *_convolution("stem", "conv1", "bn1"),
    *_convolution("stage_{stage}_block_{block}_shortcut", f"{BLOCK}.downsample.0", f"{BLOCK}.downsample.1"),
    *_convolution("stage_{stage}_block_{block}_{number}", f"{BLOCK}.conv{{number}}", f"{BLOCK}.bn{{number}}"),
    *linear("predictions", "fc", LINEAR),
)
IGNORED = (
    Ignored("*.num_batches_tracked", "a counter of batches, no weight"),
    Ignored("fc.*", "the model has another head"),
)
# Plain residual networks; timm's resnet50d, resnetv2_50 and their like are others.
DEPTHS = {f"resnet{depth}": depth for depth in (18, 34, 50, 101, 152)}


def resnet_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of models/resnet.py for timm's config.json."""
    name = str(config.get("architecture", "")).split(".")[0]
    if name not in DEPTHS:
        raise SpecError(f"the architecture {name!r} is not in the library.", where="config.json",
                        hint=f"Known: {', '.join(DEPTHS)}.")
    if config.get("model_args"):
        raise SpecError(f"model_args {config['model_args']!r} make another network of it.", where="config.json")
    found: dict[str, Any] = {"depth": DEPTHS[name], "form": "imagenet", "variant": "v1.5"}
    size = (config.get("pretrained_cfg") or {}).get("input_size")
    if isinstance(size, (list, tuple)) and len(size) == 3:
        found["input_shape"] = (size[1], size[2], size[0])  # timm has channels first
    return {**found, **({"num_classes": config["num_classes"]} if config.get("num_classes") else {})}


ARCHITECTURE = Architecture("resnet", "resnet", "conv1.weight", ("",), RULES, IGNORED, resnet_parameters)
