"""The worked cases: a Keras model, a port of it, and what is to be found. No framework is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """layer, part: of the finding; None where the port is to be certified. cause: words of the cause. rung: where."""

    model: str
    port: str
    layer: str | None = None
    part: str | None = None
    cause: str = ""
    rung: str = "R1"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        own = "-".join(str(value).rpartition(":")[2] for value in self.options.values() if isinstance(value, str))
        return self.port.rpartition(":")[2] + (f"-{own}" if own else "-mapped" if "names" in self.options else "")


FLAT = {"names": {"hidden": {"torch": "hidden", "transform": "flatten 4 4 4"}}}
UNTURNED = {"names": {"square/kernel": {"torch": "square.weight", "transform": "same"}, "square/bias": "square.bias"}}


def _own(kind: str, name: str, file: str = "images") -> dict[str, Any]:
    return {f"torch_{kind}": f"tests/faults/ports/{file}.py:{name}"}


CORRECT = (
    Case("images", "images:Exact"),
    Case("images", "images:Port", options={"accept": ["unbiased variance"]}),
    Case("images", "images:ChannelsFirstFlatten", options=FLAT),
    Case("images", "images:Probabilities"),
    Case("images", "images:Exact", options=_own("step", "good_step")),
    Case("images", "images:Exact", options={"torch_loss": "torch.nn:CrossEntropyLoss"}),
    Case("text", "sequences:Text"), Case("text", "sequences:OwnGates"),
    Case("recurrent", "sequences:Recurrent"),
    Case("frozen", "sequences:Frozen", options=_own("optimizer", "sgd", "sequences")),
    Case("block", "blocks:Block"), Case("block", "blocks:OwnBlock"), Case("block", "blocks:FusedBlock"),
    Case("block", "blocks:ResidualInsideBlock"),
    Case("separable", "others:Separable"), Case("stacked", "others:Stacked"), Case("two_inputs", "others:TwoInputs"),
    Case("shared", "others:Shared"), Case("cells", "others:Cells"), Case("branches", "others:Branches"),
    Case("bare", "others:Bare"),
)
MISTAKES = (
    Case("images", "images:Port", "bn", "buffer", "unbiased variance"),
    Case("images", "images:ChannelsFirstFlatten", "flatten", "forward", "channels, height, width"),
    Case("images", "images:Exact", "square", "forward", "untransposed", options=UNTURNED),
    Case("images", "images:DefaultEpsilon", "bn", "forward", "epsilon is 0.001 in Keras"),
    Case("images", "images:DefaultMomentum", "bn", "buffer", "momentum=0.1"),
    Case("images", "images:SymmetricPadding", "conv2", "forward", "0 before and 1 after"),
    Case("images", "images:PaddedBefore", "conv2", "forward", "1 before and 0 after"),
    Case("images", "images:DefaultSlope", "leaky", "forward", "0.01"),
    Case("images", "images:NoActivation", "relu", "forward", "no activation"),
    Case("images", "images:ActivationFirst", None, "forward", "relu once more"),
    Case("images", "images:ResidualBeforeActivation", "add", "forward", "takes 'conv2'"),
    Case("images", "images:CountsPads", "pool", "forward", "counts the zeros"),
    Case("images", "images:KeepsOneQuarter", "drop", "random", "drops 0.75", "R0"),
    Case("images", "images:DropsAlways", "drop", "inference", "drops after .eval()", "R0"),
    Case("images", "images:Probabilities", None, "loss", "softmax a second time", "R2",
         {"torch_loss": "torch.nn:CrossEntropyLoss"}),
    Case("images", "images:NormalizationInInference", "bn", "forward", "inference mode in its training"),
    Case("images", "images:ScaledInput", None, "forward", "0.00392157 times"),
    Case("images", "images:Detached", None, "backward", ""),
    Case("images", "images:FrozenByHand", "conv3", "plan", "not trained in the port", "R0"),
    Case("images", "images:Exact", None, "forward", "inference mode while your step", "R2",
         _own("step", "step_without_train")),
    Case("images", "images:Exact", None, "backward", "batch before", "R2", _own("step", "step_without_clearing")),
    Case("images", "images:Exact", None, "backward", "8 times", "R2", _own("step", "step_with_a_sum")),
    Case("images", "images:Exact", None, "update", "epsilon is 1e-07", "R2", _own("optimizer", "adam")),
    Case("text", "sequences:TwoBiases", "lstm", "plan", "two biases", "R0"),
    Case("text", "sequences:PaddingRow", "embedding", "backward", "padding_idx=0"),
    Case("text", "sequences:FirstStep", None, "forward", ""),
    Case("text", "sequences:OutputGateThird", "lstm", "forward", "input, forget, output, candidate"),
    Case("old_gru", "sequences:OldGRU", "gru", "forward", "before the recurrent kernel",
         options={"accept": ["doubled bias"]}),
    Case("frozen", "sequences:FrozenButCounting", "bn", "forward", "frozen BatchNormalization"),
    Case("frozen", "sequences:Thawed", "base", "plan", "is frozen", "R0"),
    Case("frozen", "sequences:Frozen", None, "update", "nesterov", "R2", _own("optimizer", "nesterov", "sequences")),
    Case("block", "blocks:DefaultEpsilon", "norm1", "forward", "epsilon is 0.001 in Keras"),
    Case("block", "blocks:TanhGelu", "up", "forward", "tanh approximation"),
    Case("block", "blocks:UnscaledBlock", "attention", "forward", "does not scale"),
    Case("block", "blocks:SoftmaxAtTheEnd", "logits", "forward", "second one"),
    Case("block", "blocks:SequenceFirst", "attention", "forward", "over the batch"),
    Case("bare", "precision:Autocast", None, "trajectory", "computes in bfloat16", "R4"),
)
