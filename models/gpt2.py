"""GPT-2 of any size (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners")."""

import math

from harness import Input, Model, SpecError, layers, ops
from harness.spec.initializers import RandomNormal

# As published (github.com/openai/gpt-2; the sizes that the paper names are counted without the shared table).
BASE = {"vocabulary": 50257, "width": 768, "depth": 12, "heads": 12, "feedforward": None, "max_positions": 1024,
        "dropout": 0.1, "attention_dropout": 0.1, "activation": "gelu_tanh", "epsilon": 1e-5}
CONFIGURATIONS = {
    "gpt2": BASE,
    "gpt2-medium": BASE | {"width": 1024, "depth": 24, "heads": 16},
    "gpt2-large": BASE | {"width": 1280, "depth": 36, "heads": 20},
    "gpt2-xl": BASE | {"width": 1600, "depth": 48, "heads": 25},
    "distilgpt2": BASE | {"depth": 6},
}
HEADS = ("language_model", "hidden", "classification")
INPUTS = ("input_ids", "attention_mask")


def gpt2(input_shape=None, num_classes=2, configuration="gpt2", head="language_model", inputs=("input_ids",),
         output_activation="softmax", vocabulary=None, width=None, depth=None, heads=None, feedforward=None,
         max_positions=None, dropout=None, attention_dropout=None, activation=None, epsilon=None):
    """Word and position embeddings, `depth` decoder blocks with the norm before each part, a last norm, and a head.

    input_shape: (steps,), at most max_positions; (128,), or as many, where None. configuration: a name in
    CONFIGURATIONS; what is not None from `vocabulary` on takes its value's place. feedforward: 4 * width where None.
    activation: "gelu_tanh" is the approximation by tanh. inputs: input_ids and, if wanted, attention_mask (1 where
    there is a token, 0 for padding behind the text), both int32 (batch, steps); a token sees none that comes later, so
    that padding behind the text needs no mask in training a language model.

    head: "language_model", the logits of the next token over the vocabulary by the transposed word embeddings;
    "hidden", the last hidden states (batch, steps, width); "classification", `num_classes` from those of the last
    token (output_activation: "softmax" gives probabilities, None logits), without a bias, as in Hugging Face's.
    """
    given = {"vocabulary": vocabulary, "width": width, "depth": depth, "heads": heads, "feedforward": feedforward,
             "max_positions": max_positions, "dropout": dropout, "attention_dropout": attention_dropout,
             "activation": activation, "epsilon": epsilon}
    sizes = _settled(configuration, given, head, inputs)
    input_shape = (min(128, sizes["max_positions"]),) if input_shape is None else input_shape
    fed = {name: Input(input_shape, dtype="int32", name=name) for name in INPUTS if name in inputs}
    tokens, mask = fed["input_ids"], fed.get("attention_mask")
    if tokens.shape[1] > sizes["max_positions"]:
        raise SpecError(f"{tokens.shape[1]} steps are more than max_positions={sizes['max_positions']}.")
    words = layers.ReversibleEmbedding(sizes["vocabulary"], sizes["width"], embeddings_initializer=_normal(),
                                       name="word_embedding")
    # 0, 1, 2, ... for every text, in whole numbers: half precision has none above 256.
    places = list(range(tokens.shape[1]))
    positions = ops.add(ops.zeros_like(tokens, name="zero_ids"), places, name="positions")
    x = layers.Add(name="embedded_positions")([words(tokens), layers.Embedding(
        sizes["max_positions"], sizes["width"], embeddings_initializer=_normal(0.01), name="position_embedding")(
        positions)])
    x = _dropped(x, sizes["dropout"], "embedding_dropout")
    seen = None if mask is None else ops.expand_dims(mask, 1, name="seen")
    for number in range(1, sizes["depth"] + 1):
        x = _block(x, seen, sizes, f"block_{number}")
    x = layers.LayerNormalization(epsilon=sizes["epsilon"], name="norm")(x)
    outputs = _head(head, x, mask, words, num_classes, output_activation)
    return Model([fed[name] for name in INPUTS if name in fed], outputs, name="gpt2")


def _settled(configuration, given, head, inputs):
    if configuration not in CONFIGURATIONS:
        raise SpecError(f"there is no configuration {configuration!r}; known: {', '.join(CONFIGURATIONS)}.")
    if head not in HEADS:
        raise SpecError(f"there is no head {head!r}; known: {', '.join(HEADS)}.")
    if "input_ids" not in inputs or not set(inputs) <= set(INPUTS):
        raise SpecError(f"inputs are input_ids and, if wanted, attention_mask, got {list(inputs)}.")
    sizes = CONFIGURATIONS[configuration] | {name: value for name, value in given.items() if value is not None}
    if sizes["width"] % sizes["heads"]:
        raise SpecError(f"width={sizes['width']} is no multiple of heads={sizes['heads']}.")
    return sizes | {"feedforward": sizes["feedforward"] or 4 * sizes["width"]}


def _normal(stddev=0.02):
    return RandomNormal(stddev=stddev)


def _dropped(x, rate, name):
    return layers.Dropout(rate, name=name)(x) if rate else x


def _block(x, seen, sizes, name):
    """Norm, causal self-attention and sum; norm, feed-forward network and sum, on (batch, steps, width).

    (The paper has attention's last kernel begin smaller as well; Keras's layer has one initializer for its four.)
    """
    width, epsilon = sizes["width"], sizes["epsilon"]
    normed = layers.LayerNormalization(epsilon=epsilon, name=f"{name}_norm_1")(x)
    attention = layers.MultiHeadAttention(sizes["heads"], width // sizes["heads"], dropout=sizes["attention_dropout"],
                                          kernel_initializer=_normal(), name=f"{name}_attention")
    attended = attention(normed, normed, attention_mask=seen, use_causal_mask=True)
    x = layers.Add(name=f"{name}_add_1")([x, _dropped(attended, sizes["dropout"], f"{name}_dropout_1")])
    normed = layers.LayerNormalization(epsilon=epsilon, name=f"{name}_norm_2")(x)
    tanh = sizes["activation"] == "gelu_tanh"
    hidden = layers.Dense(sizes["feedforward"], activation=None if tanh else sizes["activation"],
                          kernel_initializer=_normal(), name=f"{name}_feedforward_1")(normed)
    hidden = ops.gelu(hidden, approximate=True, name=f"{name}_gelu") if tanh else hidden
    # The paper: what adds to the residual stream begins smaller, by the number of such sums.
    hidden = layers.Dense(width, kernel_initializer=_normal(0.02 / math.sqrt(2 * sizes["depth"])),
                          name=f"{name}_feedforward_2")(hidden)
    return layers.Add(name=f"{name}_add_2")([x, _dropped(hidden, sizes["dropout"], f"{name}_dropout_2")])


def _head(head, x, mask, words, num_classes, output_activation):
    if head == "hidden":
        return x
    if head == "language_model":
        return layers.Identity(name="predictions")(words(x, reverse=True))
    if mask is None:
        last = ops.get_item(x, (slice(None), -1), name="last_token")
    else:
        # A sum in which all tokens but the last one count 0.
        place = ops.subtract(ops.sum(mask, axis=1, name="lengths"), 1, name="last_place")
        chosen = ops.expand_dims(ops.one_hot(place, x.shape[1], name="places"), -1, name="chosen")
        last = ops.sum(ops.multiply(x, chosen, name="chosen_states"), axis=1, name="last_token")
    return layers.Dense(num_classes, activation=output_activation, use_bias=False, kernel_initializer=_normal(),
                        name="predictions")(last)
