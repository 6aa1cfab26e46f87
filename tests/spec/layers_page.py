"""docs/layers.md, from the vocabulary, the table of refusals and the conformance cases.

`python -m tests.spec.layers_page` writes the page; tests/spec/test_vocabulary.py compares it with what is there.
"""

from __future__ import annotations

from pathlib import Path

from harness.keras.keras_layers import NAMES
from harness.spec.layers import families
from harness.spec.layers.refused import ALIASES, REFUSED
from tests.conformance.engine import TOLERANCE, all_cases

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
HEAD = """# The layers

Every class of `keras.layers` (Keras 3.15) is in the vocabulary, under Keras's name and with Keras's arguments and
defaults, or it is refused by name. A supported layer means the same in both backends: `make conformance` plays at
least eight configurations of each that has arguments against Keras on TensorFlow in float64, every argument varied,
and writes [the table](../reports/conformance/table.md). This page is written by `python -m tests.spec.layers_page`.
"""
# (argument, why, the way out)
ARGUMENTS = (
    ("`dilation_rate` above 1 of a transposed convolution",
     "TensorFlow cannot run it on a CPU",
     "leave it at 1"),
    ("unequal `strides` of a depthwise or separable convolution",
     "TensorFlow's kernel takes equal ones only",
     "one number"),
    ("`strides` and `dilation_rate` above 1 at once",
     "Keras refuses them too",
     "one of them"),
    ("sizes that are not known before training, of `UpSampling2D` but for `nearest` and `bilinear`, and of "
     "adaptive pooling",
     "the weights of their windows depend on them",
     "give them in the Input's shape"),
    ("`flash_attention=True`",
     "Keras's TensorFlow backend does not have it",
     "leave it out: PyTorch picks its fastest kernel"),
    ("causality, windows and scores of an attention with several dimensions between batch and features "
     "(`attention_axes`), and masks unless it is over the last of them alone",
     "Keras's own rules for them are those of one dimension of steps",
     "reshape to one"),
    ("under a mask: `RNN` around a stack of one cell, `BatchNormalization(axis=1)` where that dimension is 1, and "
     "masks with less dimensions than a layer reads",
     "Keras breaks off on them",
     "`RNN(cell)`; `axis=-1`, or the layer before the Masking"),
    ("`lora_rank`, `quantization_config`, quantised dtype policies",
     "other layers than the ones that were asked for",
     "import the model before it is quantised or adapted"),
    ("`reverse_dtype` of ReversibleEmbedding",
     "a layer here computes in one dtype",
     "the precision of the run, or the layer's `dtype`"),
    ("`stateful=True` of recurrent layers",
     "a batch would depend on the batches before it",
     "`return_state` and `initial_state`"),
)
LAYOUTS = """## data_format

`data_format="channels_first"` is taken wherever Keras has it; the weights keep Keras's shapes. PyTorch runs the module
for channels last between two views. TensorFlow runs the stock layer where its CPU kernels can, and otherwise the layer
for channels last between two transposes (`backends/tensorflow/layers/channels.py`): convolutions, which exist in
float32 only, and in which Keras would add a bias along the last axis if that has as many places as there are filters.
"""


def page() -> str:
    """The page's text."""
    lines = [HEAD, "## By family", "", "| family | layers |", "|---|---|"]
    for family in families():
        known = [cls.canonical_name() for cls in family.LAYERS if cls.canonical_name() in NAMES]
        if known:
            name = family.__name__.rpartition(".")[2].replace("_", " ")
            lines.append(f"| {name} | {', '.join(known)} |")
    seconds = ", ".join(f"{alias} ({name})" for alias, name in ALIASES.items())
    lines += ["", f"Second names: {seconds}.", "", "## Layers that are refused", "",
              "| layer | why | the way out |", "|---|---|---|"]
    lines += [f"| {name} | {refusal.reason} | {refusal.way_out} |" for name, refusal in sorted(REFUSED.items())]
    lines += ["", "## Arguments that are refused", "", "| argument | why | the way out |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in ARGUMENTS]
    lines += ["", LAYOUTS, "## Wider tolerances", "",
              f"All cases are held to {TOLERANCE:.0e} of the largest value, but for these:", "",
              "| layer | tolerance | why |", "|---|---|---|"]
    wider = {(case.layer_class.canonical_name(), case.tolerance, case.reason)
             for case in all_cases().values() if case.tolerance > TOLERANCE}
    lines += [f"| {name} | {tolerance:.0e} | {reason} |" for name, tolerance, reason in sorted(wider)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
