"""Every model of the library at a size that trains in a test, with a recipe and examples that fit its task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = tuple[Any, Any]
LABELS = "sparse_categorical_crossentropy"
LOGITS = {"SparseCategoricalCrossentropy": {"from_logits": True}}
EXAMPLES = 44


@dataclass(frozen=True)
class Small:
    """One form of a model. data: (random numbers) -> inputs and targets of EXAMPLES examples."""

    model: str
    parameters: dict[str, Any]
    data: Callable[[np.random.Generator], Arrays]
    loss: Any = LABELS
    optimizer: Any = field(default_factory=lambda: {"Adam": {"learning_rate": 0.01}})

    @property
    def recipe(self) -> dict[str, Any]:
        return {"loss": self.loss, "optimizer": self.optimizer, "batch_size": 8, "epochs": 2}


def images(shape: tuple[int, ...], labels: tuple[int, ...] = (), classes: int = 3) -> Callable[..., Arrays]:
    return lambda rng: (rng.random((EXAMPLES, *shape)), rng.integers(0, classes, (EXAMPLES, *labels)))


def themselves(shape: tuple[int, ...]) -> Callable[..., Arrays]:
    """Images whose target they are, from 0 to 1."""
    def made(rng: np.random.Generator) -> Arrays:
        x = rng.random((EXAMPLES, *shape))
        return x, x

    return made


def words(steps: int, vocabulary: int, labels: tuple[int, ...] = (), classes: int = 3) -> Callable[..., Arrays]:
    """Ids with zeros behind the last of some texts."""
    return lambda rng: (padded(rng, steps, vocabulary), rng.integers(0, classes, (EXAMPLES, *labels)))


def padded(rng: np.random.Generator, steps: int, vocabulary: int) -> np.ndarray:
    ids = rng.integers(1, vocabulary, (EXAMPLES, steps)).astype("int32")
    lengths = rng.integers(2, steps + 1, EXAMPLES)
    return np.where(np.arange(steps) < lengths[:, None], ids, 0).astype("int32")


def pairs(rng: np.random.Generator) -> Arrays:
    """As the step `sequence_pairs` leaves them: the decoder reads 2 first, and the target without its last."""
    target = padded(rng, 5, 9)
    read = np.concatenate([np.full((EXAMPLES, 1), 2, "int32"), target[:, :-1]], axis=1)
    return {"encoder": padded(rng, 6, 11), "decoder": read}, target


def transcribed(rng: np.random.Generator) -> Arrays:
    """Spectra of 12 frames, of which the network leaves 6 steps, and up to 3 labels, some equal neighbours."""
    return rng.normal(size=(EXAMPLES, 12, 8)), np.sort(padded(rng, 3, 4), axis=1)[:, ::-1].copy()


def masked_words(rng: np.random.Generator) -> Arrays:
    ids = padded(rng, 6, 11)
    return {"input_ids": ids, "attention_mask": (ids > 0).astype("int32")}, rng.integers(0, 3, EXAMPLES)


def guessed_words(rng: np.random.Generator) -> Arrays:
    """Targets are the ids that were chosen, and 0 everywhere else."""
    x, _ = masked_words(rng)
    return x, np.where(rng.random((EXAMPLES, 6)) < 0.3, x["input_ids"], 0)


def typed_words(rng: np.random.Generator) -> Arrays:
    x, _ = masked_words(rng)
    return {**x, "token_type_ids": rng.integers(0, 2, (EXAMPLES, 6)).astype("int32")}, rng.normal(size=(EXAMPLES, 8))


def next_words(rng: np.random.Generator) -> Arrays:
    ids = rng.integers(0, 11, (EXAMPLES, 7)).astype("int32")
    return ids[:, :-1], ids[:, 1:]


def table(rng: np.random.Generator) -> Arrays:
    return {"x": rng.normal(size=(EXAMPLES, 4)), "color": rng.integers(0, 5, EXAMPLES).astype("int32"),
            "place": rng.integers(0, 3, EXAMPLES).astype("int32")}, rng.integers(0, 3, EXAMPLES)


def numbers(*shapes: tuple[int, ...]) -> Callable[..., Arrays]:
    def made(rng: np.random.Generator) -> Arrays:
        x, y = (rng.normal(size=(EXAMPLES, *shape)) for shape in shapes)
        return x, y

    return made


TEXT = {"input_shape": (7,), "num_classes": 3, "vocabulary": 11, "embedding": 4, "units": (5, 4), "dropout": 0.2,
        "mask_zero": True}
PAIRED = {"source_steps": 6, "target_steps": 5}
SEQ2SEQ = {**PAIRED, "source_vocabulary": 11, "target_vocabulary": 9, "embedding": 4, "units": 3}
TRANSFORMER = {**PAIRED, "vocabulary": 11, "width": 8, "heads": 2, "feedforward": 12, "depth": 1}
PADDED = {"SparseCategoricalCrossentropy": {"from_logits": True, "ignore_class": 0}}
VIT = {"input_shape": (8, 8, 3), "num_classes": 3, "width": 8, "heads": 2, "depth": 2}
AUTOENCODER = {"input_shape": (7, 6), "filters": (3, 4), "latent": 3}
BERT = {"input_shape": (6,), "num_classes": 3, "vocabulary": 11, "width": 8, "depth": 1, "heads": 2, "feedforward": 12,
        "max_positions": 6}
DQN = {"input_shape": (12, 12, 2), "num_actions": 3, "units": 6, "convolutions": ((3, 4, 2), (4, 2, 1))}

# By name of the case; the first of each model is its smallest size in the other tests.
SMALL = {
    "mlp": Small("mlp", {"input_shape": (4,), "num_classes": 3, "units": (5, 4), "dropout": 0.2,
                         "batch_normalization": True, "l2": 0.01}, images((4,))),
    "mlp_64_64": Small("mlp_64_64", {"input_shape": (3, 3), "num_classes": 3}, images((3, 3))),
    "mlp_128_64": Small("mlp_128_64", {"input_shape": (3, 3), "num_classes": 3}, images((3, 3))),
    "simple_cnn": Small("simple_cnn", {"input_shape": (8, 8), "num_classes": 3}, images((8, 8)), LOGITS),
    "cnn": Small("cnn", {"input_shape": (8, 8), "num_classes": 3, "filters": (3, 4), "units": 6, "dropout": 0.2,
                         "batch_normalization": True, "l2": 0.01}, images((8, 8))),
    "resnet": Small("resnet", {"input_shape": (8, 8, 3), "num_classes": 3, "depth": 8, "filters": 2},
                    images((8, 8, 3))),
    "resnet for ImageNet": Small("resnet", {"input_shape": (32, 32, 3), "num_classes": 3, "depth": 18, "filters": 2,
                                            "form": "imagenet"}, images((32, 32, 3))),
    "resnet of bottlenecks": Small("resnet", {"input_shape": (32, 32, 3), "num_classes": 3, "depth": 50, "filters": 2,
                                              "form": "imagenet"}, images((32, 32, 3))),
    "mobilenet_v2": Small("mobilenet_v2", {"input_shape": (16, 16, 3), "num_classes": 3, "alpha": 0.1, "dropout": 0.2,
                                           "l2": 0.01, "stages": ((1, 16, 1, 1), (2, 24, 2, 2), (3, 32, 1, 1))},
                          images((16, 16, 3))),
    "vit": Small("vit", VIT, images((8, 8, 3))),
    "vit with dropout": Small("vit", {**VIT, "dropout": 0.1, "attention_dropout": 0.1}, images((8, 8, 3))),
    "unet": Small("unet", {"input_shape": (8, 8), "num_classes": 3, "filters": 2, "depth": 2, "dropout": 0.2},
                  images((8, 8), (8, 8))),
    "convolutional_autoencoder": Small("convolutional_autoencoder", AUTOENCODER, themselves((7, 6)),
                                       "binary_crossentropy"),
    "vae": Small("vae", AUTOENCODER, themselves((7, 6)), "binary_crossentropy"),
    "audio_cnn": Small("audio_cnn", {"input_shape": (9, 6), "num_classes": 3, "filters": ((2, 3), 4), "dropout": 0.2},
                       images((9, 6))),
    "lstm_classifier": Small("lstm_classifier", TEXT, words(7, 11)),
    "lstm_classifier both ways": Small("lstm_classifier", {**TEXT, "bidirectional": True}, words(7, 11)),
    "gru_classifier": Small("gru_classifier", {"input_shape": (7, 3), "num_classes": 3, "units": (5, 4),
                                               "dropout": 0.2}, images((7, 3))),
    "gru_classifier both ways": Small("gru_classifier", {**TEXT, "bidirectional": True}, words(7, 11)),
    "simple_rnn_classifier": Small("simple_rnn_classifier", TEXT, words(7, 11)),
    "transformer_encoder": Small("transformer_encoder", {
        "input_shape": (6,), "num_classes": 3, "vocabulary": 11, "width": 8, "heads": 2, "feedforward": 12,
        "mask_zero": True}, words(6, 11)),
    "bert": Small("bert", {**BERT, "inputs": ("input_ids", "attention_mask")}, masked_words),
    "bert, masked words": Small("bert", {**BERT, "head": "mlm", "inputs": ("input_ids", "attention_mask")},
                                guessed_words, PADDED),
    "bert, types and no pooling": Small("bert", {**BERT, "head": "embedding"}, typed_words, "mean_squared_error"),
    "gpt2": Small("gpt2", {name: value for name, value in BERT.items() if name != "num_classes"}, next_words, LOGITS),
    "character_language_model": Small("character_language_model", {
        "input_shape": (6,), "vocabulary": 9, "embedding": 4, "units": (5, 4), "dropout": 0.2},
        words(6, 9, (6,), 9)),
    "seq2seq_lstm": Small("seq2seq_lstm", SEQ2SEQ, pairs),
    "seq2seq_lstm with products": Small("seq2seq_lstm", {**SEQ2SEQ, "attention": "dot", "dropout": 0.2}, pairs),
    "transformer": Small("transformer", TRANSFORMER, pairs, PADDED),
    "transformer, nothing tied": Small("transformer", {**TRANSFORMER, "tie_weights": False, "dropout": 0.0}, pairs,
                                       PADDED),
    "crnn": Small("crnn", {"input_shape": (12, 8), "num_classes": 4, "convolutions": (
        (3, 3, True, (2, 2)), (4, 3, False, (1, 2))), "units": (4, 3), "projection": 5, "dropout": 0.2}, transcribed,
        "ctc"),
    "lstm_forecaster": Small("lstm_forecaster", {"input_shape": (7, 2), "horizon": 3, "targets": 2, "units": (5, 4),
                                                 "dropout": 0.2}, numbers((7, 2), (3, 2)), "mean_squared_error"),
    "time_series_transformer": Small("time_series_transformer", {
        "input_shape": (7, 2), "horizon": 3, "targets": 2, "width": 8, "heads": 2, "feedforward": 12, "depth": 1},
        numbers((7, 2), (3, 2)), "mean_squared_error"),
    "tabular_mlp": Small("tabular_mlp", {"input_shape": (4,), "categories": {"color": 5, "place": 3}, "num_classes": 3,
                                         "units": (5, 4), "dropout": 0.2, "batch_normalization": True}, table),
    "dqn": Small("dqn", DQN, numbers((12, 12, 2), (3,)), "huber"),
    "dqn, dueling": Small("dqn", {"input_shape": (4,), "num_actions": 3, "units": (5, 4), "dueling": True},
                          numbers((4,), (3,)), "huber"),
}
FIRST = {case.model: case for case in reversed(SMALL.values())}
