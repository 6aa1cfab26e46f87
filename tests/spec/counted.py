"""What the FLOPs are counted of, by spec and by PyTorch: framework-free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Input, Model, layers, load_model, ops
from harness.spec.host import is_host
from harness.spec.model import ModelSpec
from tests.conformance.cases.operations import CASES as OPERATIONS
from tests.conformance.engine import all_cases
from tests.spec import published_models

# No product of the model (harness/spec/flops.py), where PyTorch's lowering, or its counter, sees one.
UNCOUNTED_CASES = {
    "preprocessing_signals/STFTSpectrogram": "a transform by a fixed table",
    "preprocessing_signals/MelSpectrogram": "a transform by fixed tables",
    "preprocessing_images/Resizing": "interpolation by products with fixed weights",
    "preprocessing_pipeline": "preprocessing inside",
    "reshaping/up2d": "interpolation by products with fixed weights",
    "augmentation_colors/RandomSharpness": "a fixed filter",
    "augmentation_colors": "gray values by a fixed product",
    "augmentation_mixing/RandAugment": "fixed filters",
    "attention/AdditiveAttention": "the sum over scale * tanh is a product with a vector in PyTorch",
    "attention/attention_kinds": "the same",
    "spectral": "the power iteration, once per step",
    "lora/einsum": "the product of both parts of an adapter, once per step",
}
UNCOUNTED_OPERATIONS = {
    "average": "a weighted sum", "trapezoid": "a weighted sum", "inv": "a factorization", "cholesky": "a factorization",
    "logdet": "a factorization", "solve": "a factorization", "solve_triangular": "a factorization",
    "image.resize": "interpolation", "image.extract_patches": "a copy, by a product with ones in PyTorch",
    "image.rgb_to_grayscale": "a weighted sum", "image.sobel_edges": "fixed filters",
}
BATCH = 2


def library(name: str, **parameters: Any) -> Callable[[], ModelSpec]:
    return lambda: load_model(name, **parameters)


def frozen(make: Callable[[], ModelSpec], *names: str) -> Callable[[], ModelSpec]:
    """The model with the layers frozen whose names begin so."""
    def made() -> ModelSpec:
        spec = make()
        found = {name: False for name in spec.layers if name.startswith(names)}
        assert found, names
        return spec.with_trainable(found)

    return made


def dead_ends() -> ModelSpec:
    """No gradient: behind stop_gradient, through whole numbers, for an output of truths."""
    x = Input((6,), name="x")
    stopped = ops.stop_gradient(layers.Dense(5)(x))
    places = ops.argmax(layers.Dense(4)(x), axis=-1)
    picked = layers.Embedding(4, 5)(places)
    return Model(x, [layers.Dense(3)(stopped), layers.Dense(2)(picked), layers.Dense(2)(x) > 0.0])


def shared() -> ModelSpec:
    """One layer called twice, the second time on its own output; a product of two branches; products over the batch."""
    x = Input((6, 6), name="x")
    dense = layers.Dense(6)
    y = dense(dense(x))
    scores = layers.Dot(axes=(2, 2))([y, layers.Dense(6)(x)])
    across = ops.einsum("bij,cij->bc", y, x)
    return Model(x, [ops.matmul(scores, y), across])


# By name; "sweep": takes seconds.
MODELS: dict[str, Callable[[], ModelSpec]] = {
    "mlp": library("mlp"), "mlp normalized": library("mlp", batch_normalization=True, dropout=0.2),
    "mlp_64_64": library("mlp_64_64"), "mlp_128_64": library("mlp_128_64"), "simple_cnn": library("simple_cnn"),
    "cnn": library("cnn"), "resnet": library("resnet"),
    "lstm_classifier": library("lstm_classifier", input_shape=(12,)),
    "lstm_classifier of two": library("lstm_classifier", input_shape=(9, 5), units=(8, 4), dropout=0.1),
    "gru_classifier": library("gru_classifier", input_shape=(12,)),
    "transformer_encoder": library("transformer_encoder"), "dead ends": dead_ends, "shared": shared,
    "mlp, first layer frozen": frozen(library("mlp"), "hidden_1"),
    "mlp, second layer frozen": frozen(library("mlp"), "hidden_2"),
    "resnet, head alone": frozen(library("resnet", depth=8), "stem", "stage"),
    "cnn, one frozen": frozen(library("cnn"), "conv_2"),
    "lstm frozen": frozen(library("lstm_classifier", input_shape=(9, 5)), "lstm"),
    "lstm, words frozen": frozen(library("lstm_classifier", input_shape=(9,)), "embedding"),
    "transformer, words frozen": frozen(library("transformer_encoder"), "word_embedding", "position_embedding"),
    "transformer, attention frozen": frozen(library("transformer_encoder"), "block_1_attention", "block_2_attention"),
    "mobilenet_v2": published_models.mobilenet_v2,
    "bert": library("bert", configuration="bert-tiny", types=0),
    "bert mlm": library("bert", configuration="bert-tiny", head="mlm"),
    "gpt2": library("gpt2", input_shape=(9,), width=12, depth=2, heads=3, vocabulary=50),
    "gpt2 classification": library("gpt2", input_shape=(9,), width=12, depth=2, heads=3, vocabulary=50,
                                   head="classification", inputs=("input_ids", "attention_mask")),
}
SWEPT: dict[str, Callable[[], ModelSpec]] = {
    **{name: make for name, make in published_models.MODELS.items() if name not in MODELS},
    "lstm_classifier of 200": library("lstm_classifier"), "gru_classifier of 200": library("gru_classifier"),
    **{name: library(name) for name in (
        "vit", "unet", "convolutional_autoencoder", "vae", "audio_cnn", "crnn", "lstm_forecaster",
        "simple_rnn_classifier", "character_language_model", "transformer", "time_series_transformer", "dqn")},
    "resnet 18": library("resnet", form="imagenet", depth=18),
    "resnet 50, strides first": library("resnet", form="imagenet", depth=50, variant="v1"),
    "vit B/16": library("vit", configuration="B/16"), "vit Ti/16": library("vit", configuration="Ti/16"),
    "audio_cnn vggish": library("audio_cnn", configuration="vggish"),
    "crnn of Shi et al.": library("crnn", configuration="shi2015"),
    "gru_classifier both ways": library("gru_classifier", input_shape=(12,), bidirectional=True),
    "transformer base": library("transformer", configuration="base"),
    "transformer, nothing tied": library("transformer", tie_weights=False),
    "seq2seq_lstm with products": library("seq2seq_lstm", attention="dot"),
    "tabular_mlp": library("tabular_mlp", categories={"color": 5, "place": 3}),
    "dqn on pictures": library("dqn", input_shape=(84, 84, 4), num_actions=4),
    "dqn, dueling": library("dqn", dueling=True), "mobilenet_v2 of 1.4": library("mobilenet_v2", alpha=1.4),
    "bert_base, last layer alone": frozen(published_models.bert_base, "embedding", "multi_head", "layer_norm", "dense"),
}


def cases(family: str) -> list[str]:
    """The keys of a family's conformance cases whose products are all counted."""
    return [key for key, case in all_cases().items()
            if key.startswith(f"{family}/") and not key.startswith(tuple(UNCOUNTED_CASES))
            and not is_host(case.layer_class)]


def operations() -> list[str]:
    return [case.name for case in OPERATIONS
            if case.gradient and case.name.split(" ")[0] not in UNCOUNTED_OPERATIONS and case.name != "einsum of three"]
