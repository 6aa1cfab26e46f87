"""docs/models.md: the library by task, with sizes counted from the specs.

`python -m tests.models.models_page` writes the page; tests/models/test_models_page.py compares it with what is there,
and the sizes with the published ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import load_model
from harness.spec.model import ModelSpec

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
HEAD = """# The model library

Functions in Keras's notation (`models/*.py`) and plain specs (`models/*.yaml`); `harness show` lists them with their
parameters, `harness show NAME key=value` shows one. An experiment names one as it is called here:
`model: {vit: {configuration: B/16}}`; image size and classes come from the data where they are not said.

Parameters are those that are trained; FLOPs those of the matrix products and convolutions of one example, forward, 2
per multiply-add, at the size of input that the function has where nothing is said. Both are counted from the spec, and
`tests/spec/test_flops.py` compares the FLOPs with PyTorch's own counter. In brackets: what the source says, its
multiply-adds doubled. Both frameworks train every model alike at a small size (`tests/models/test_certified.py`: rungs
R0 to R3). This page is written by `python -m tests.models.models_page`.
"""
TORCHVISION = "torchvision's documentation"


@dataclass(frozen=True)
class Row:
    """One line. published: (trainable parameters, FLOPs) as the source gives them, FLOPs in multiply-adds, either None;
    close: how near ours must come, relative."""

    task: str
    model: str
    parameters: dict[str, Any]
    paper: str
    published: tuple[float | None, float | None] = (None, None)
    source: str | None = None
    close: float = 0.0
    flops_close: float = 0.01
    everything: bool = False  # the source counts what is not trained as well
    spec: ModelSpec = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", load_model(self.model, **self.parameters))

    @property
    def size(self) -> int:
        return self.spec.parameters if self.everything else self.spec.trainable_parameters


def _paper(name: str, link: str) -> str:
    return f"[{name}]({link})"


HE = _paper("He et al. 2015", "https://arxiv.org/abs/1512.03385")
SANDLER = _paper("Sandler et al. 2018", "https://arxiv.org/abs/1801.04381")
VIT = _paper("Dosovitskiy et al. 2020", "https://arxiv.org/abs/2010.11929")
DEIT = _paper("Touvron et al. 2020", "https://arxiv.org/abs/2012.12877")
VASWANI = _paper("Vaswani et al. 2017", "https://arxiv.org/abs/1706.03762")
KARPATHY = _paper("Karpathy 2015", "https://karpathy.github.io/2015/05/21/rnn-effectiveness/")
MNIH = _paper("Mnih et al. 2015", "https://doi.org/10.1038/nature14236")
DEVLIN = _paper("Devlin et al. 2018", "https://arxiv.org/abs/1810.04805")
GPT2 = "Radford et al. 2019"
LSTM = "Hochreiter and Schmidhuber 1997"
IMAGES, TEXTS, PAIRS = "Image classification", "Text classification", "Sequence to sequence"
LANGUAGE, PIXELS, SERIES = "Language models", "Segmentation, reconstruction, generation", "Series"
SPEECH, TABLES, GAMES = "Sound and speech", "Tables", "Games"
IMAGENET = {"form": "imagenet"}
HIDDEN = {"head": "pooled", "inputs": ("input_ids", "attention_mask", "token_type_ids")}

ROWS = (
    Row(IMAGES, "mlp", {}, "reference programs (a) to (e)"),
    Row(IMAGES, "mlp_64_64", {}, "reference programs (a), (b)"),
    Row(IMAGES, "mlp_128_64", {}, "reference programs (c), (e)"),
    Row(IMAGES, "simple_cnn", {}, "reference program (d)"),
    Row(IMAGES, "cnn", {}, "LeCun et al. 1998"),
    Row(IMAGES, "resnet", {"depth": 20}, HE, (0.27e6, None), "the paper, table 6", 0.02),
    Row(IMAGES, "resnet", {"depth": 56}, HE, (0.85e6, None), "the paper, table 6", 0.02),
    Row(IMAGES, "resnet", {**IMAGENET, "depth": 18}, HE, (11_689_512, 1.814e9), TORCHVISION),
    Row(IMAGES, "resnet", {**IMAGENET, "depth": 34}, HE, (21_797_672, 3.664e9), TORCHVISION),
    Row(IMAGES, "resnet", {**IMAGENET, "depth": 50}, HE, (25_557_032, 4.089e9), TORCHVISION),
    Row(IMAGES, "resnet", {**IMAGENET, "depth": 50, "variant": "v1"}, HE, (25_636_712, 3.8e9),
        "keras.applications, what is not trained included; FLOPs: the paper, table 1", everything=True,
        flops_close=0.02),
    Row(IMAGES, "resnet", {**IMAGENET, "depth": 101}, HE, (44_549_160, 7.801e9), TORCHVISION),
    Row(IMAGES, "resnet", {**IMAGENET, "depth": 152}, HE, (60_192_808, 11.514e9), TORCHVISION),
    Row(IMAGES, "mobilenet_v2", {}, SANDLER, (3_504_872, 300e6), "torchvision; FLOPs: the paper, table 4"),
    Row(IMAGES, "vit", {"configuration": "Ti/16"}, DEIT, (5_717_416, 1.26e9), "timm"),
    Row(IMAGES, "vit", {"configuration": "S/16"}, DEIT, (22_050_664, 4.6e9), "timm"),
    Row(IMAGES, "vit", {"configuration": "B/16"}, VIT, (86_567_656, 17.56e9), TORCHVISION),
    Row(IMAGES, "vit", {"configuration": "B/32"}, VIT, (88_224_232, 4.41e9), TORCHVISION),
    Row(IMAGES, "vit", {"configuration": "L/16"}, VIT, (304_326_632, 61.55e9), TORCHVISION),
    Row(IMAGES, "vit", {"configuration": "H/14"}, VIT, (632_045_800, 167.29e9), TORCHVISION),
    Row(PIXELS, "unet", {}, _paper("Ronneberger et al. 2015", "https://arxiv.org/abs/1505.04597")),
    Row(PIXELS, "unet", {"input_shape": (512, 512, 1), "filters": 64, "batch_normalization": False},
        _paper("Ronneberger et al. 2015", "https://arxiv.org/abs/1505.04597")),
    Row(PIXELS, "convolutional_autoencoder", {}, "Hinton and Salakhutdinov 2006"),
    Row(PIXELS, "vae", {}, _paper("Kingma and Welling 2013", "https://arxiv.org/abs/1312.6114")),
    Row(TEXTS, "simple_rnn_classifier", {}, "Elman 1990"),
    Row(TEXTS, "lstm_classifier", {}, LSTM),
    Row(TEXTS, "lstm_classifier", {"bidirectional": True}, "Graves and Schmidhuber 2005"),
    Row(TEXTS, "gru_classifier", {}, _paper("Cho et al. 2014", "https://arxiv.org/abs/1406.1078")),
    Row(TEXTS, "transformer_encoder", {}, VASWANI),
    Row(TEXTS, "bert", {**HIDDEN, "configuration": "bert-base-uncased"}, DEVLIN, (109_482_240, None),
        "the checkpoint, without the heads of pre-training"),
    Row(LANGUAGE, "character_language_model", {}, KARPATHY),
    Row(LANGUAGE, "gpt2", {"configuration": "gpt2"}, GPT2, (124_439_808, None), "the checkpoint"),
    Row(PAIRS, "seq2seq_lstm", {}, _paper("Bahdanau et al. 2014", "https://arxiv.org/abs/1409.0473")),
    Row(PAIRS, "seq2seq_lstm", {"attention": "dot"}, _paper("Luong et al. 2015", "https://arxiv.org/abs/1508.04025")),
    Row(PAIRS, "transformer", {}, VASWANI),
    Row(PAIRS, "transformer", {"configuration": "base"}, VASWANI, (65e6, None),
        "the paper, table 3; the size of its vocabulary is given as about 37000", 0.03),
    Row(PAIRS, "transformer", {"configuration": "big"}, VASWANI, (213e6, None), "the paper, table 3", 0.01),
    Row(SPEECH, "audio_cnn", {}, _paper("Hershey et al. 2017", "https://arxiv.org/abs/1609.09430")),
    Row(SPEECH, "audio_cnn", {"configuration": "vggish"},
        _paper("Hershey et al. 2017", "https://arxiv.org/abs/1609.09430"), (72_141_184 + 1290, None),
        "the layers of TensorFlow's research models, counted by hand, and a last one of 10 classes"),
    Row(SPEECH, "crnn", {}, _paper("Shi et al. 2015", "https://arxiv.org/abs/1507.05717")),
    Row(SPEECH, "crnn", {"configuration": "shi2015"}, _paper("Shi et al. 2015", "https://arxiv.org/abs/1507.05717"),
        (8.3e6, None), "the paper, table 3", 0.01),
    Row(SERIES, "lstm_forecaster", {}, LSTM),
    Row(SERIES, "time_series_transformer", {}, _paper("Zerveas et al. 2020", "https://arxiv.org/abs/2010.02803")),
    Row(TABLES, "tabular_mlp", {"categories": {"color": 5, "place": 3}},
        _paper("Guo and Berkhahn 2016", "https://arxiv.org/abs/1604.06737")),
    Row(GAMES, "dqn", {}, MNIH),
    Row(GAMES, "dqn", {"input_shape": (84, 84, 4), "num_actions": 4}, MNIH),
)


def page() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD.rstrip("\n")
    for task in dict.fromkeys(row.task for row in ROWS):
        yield from ("", f"## {task}", "", "| model | with | parameters | FLOPs | paper |", "|---|---|---|---|---|")
        for row in (row for row in ROWS if row.task == task):
            yield f"| {row.model} | {_with(row)} | {_parameters(row)} | {_flops(row)} | {row.paper} |"
    yield from ("", "## Where the published figures stand", "", "| model | with | source |", "|---|---|---|")
    for row in (row for row in ROWS if row.source):
        yield f"| {row.model} | {_with(row)} | {row.source} |"


def _with(row: Row) -> str:
    return ", ".join(f"`{key}: {_plain(value)}`" for key, value in row.parameters.items())


def _plain(value: Any) -> str:
    """As it is written in YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parameters(row: Row) -> str:
    found, published = f"{row.size:,}", row.published[0]
    if published is None:
        return found
    return f"{found} [{published:,.0f}]" if row.close == 0 else f"{found} [{published / 1e6:g} M]"


def _flops(row: Row) -> str:
    assert row.spec.flops is not None
    published = row.published[1]
    return _rounded(row.spec.flops) if published is None else f"{_rounded(row.spec.flops)} [{_rounded(2 * published)}]"


def _rounded(flops: float) -> str:
    return f"{flops / 1e9:.4g} G" if flops > 1e8 else f"{flops / 1e6:.4g} M"


if __name__ == "__main__":
    PAGE.write_text(page())
