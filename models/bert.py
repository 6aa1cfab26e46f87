"""BERT of any size (Devlin et al. 2018, https://arxiv.org/abs/1810.04805), MiniLM and DistilBERT among them."""

from harness import Input, Model, SpecError, layers, ops
from harness.spec.initializers import TruncatedNormal

# As published (google-research/bert; Sanh et al. 2019, https://arxiv.org/abs/1910.01108; Wang et al. 2020,
# https://arxiv.org/abs/2002.10957). DistilBERT has no types, and its classifier's pooler ends in relu.
BASE = {"vocabulary": 30522, "width": 768, "depth": 12, "heads": 12, "feedforward": 3072, "max_positions": 512,
        "types": 2, "dropout": 0.1, "attention_dropout": 0.1, "attention_output_dropout": 0.1, "activation": "gelu",
        "pooler_activation": "tanh", "epsilon": 1e-12}
CONFIGURATIONS = {
    "bert-tiny": BASE | {"width": 128, "depth": 2, "heads": 2, "feedforward": 512},
    "bert-mini": BASE | {"width": 256, "depth": 4, "heads": 4, "feedforward": 1024},
    "bert-small": BASE | {"width": 512, "depth": 4, "heads": 8, "feedforward": 2048},
    "bert-medium": BASE | {"width": 512, "depth": 8, "heads": 8, "feedforward": 2048},
    "bert-base-uncased": BASE,
    "bert-base-cased": BASE | {"vocabulary": 28996},
    "bert-large-uncased": BASE | {"width": 1024, "depth": 24, "heads": 16, "feedforward": 4096},
    "minilm-l6-h384-uncased": BASE | {"width": 384, "depth": 6, "feedforward": 1536},
    "minilm-l12-h384-uncased": BASE | {"width": 384, "feedforward": 1536},
    "distilbert-base-uncased": BASE | {"depth": 6, "types": 0, "attention_output_dropout": 0.0,
                                       "pooler_activation": "relu"},
}
HEADS = ("hidden", "pooled", "classification", "mlm", "embedding")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def bert(input_shape=None, num_classes=2, configuration="bert-base-uncased", head="classification",
         inputs=None, padding_id=0, output_activation="softmax", vocabulary=None, width=None, depth=None, heads=None,
         feedforward=None, max_positions=None, types=None, dropout=None, attention_dropout=None,
         attention_output_dropout=None, activation=None, pooler_activation=None, epsilon=None):
    """Word, position and type embeddings, `depth` encoder blocks with the norm behind each sum, and a head.

    input_shape: (steps,), at most max_positions; (128,), or as many, where None. configuration: a name in
    CONFIGURATIONS; what is not None from `vocabulary` on takes its value's place. inputs: which of input_ids,
    attention_mask (1 where there is a token, 0 for padding) and token_type_ids (below `types`) the model is fed, each
    int32 (batch, steps); all where None. Without attention_mask the tokens other than padding_id are seen (None: all),
    without token_type_ids all are of type 0.

    head: "hidden", the last hidden states (batch, steps, width); "pooled", a Dense layer on the first token's;
    "classification", `num_classes` behind that (output_activation: "softmax" gives probabilities, None logits);
    "mlm", the logits of every token over the vocabulary by the transposed word embeddings; "embedding", the mean of
    the hidden states of all tokens but padding, scaled to length 1.
    """
    given = {"vocabulary": vocabulary, "width": width, "depth": depth, "heads": heads, "feedforward": feedforward,
             "max_positions": max_positions, "types": types, "dropout": dropout,
             "attention_dropout": attention_dropout, "attention_output_dropout": attention_output_dropout,
             "activation": activation, "pooler_activation": pooler_activation, "epsilon": epsilon}
    sizes = _settled(configuration, given, head, inputs)
    inputs = INPUTS[:3 if sizes["types"] else 2] if inputs is None else inputs
    input_shape = (min(128, sizes["max_positions"]),) if input_shape is None else input_shape
    fed = {name: Input(input_shape, dtype="int32", name=name) for name in INPUTS if name in inputs}
    tokens = fed["input_ids"]
    if tokens.shape[1] > sizes["max_positions"]:
        raise SpecError(f"{tokens.shape[1]} steps are more than max_positions={sizes['max_positions']}.")
    mask = fed.get("attention_mask")
    if mask is None and padding_id is not None:
        mask = ops.not_equal(tokens, padding_id, name="attention_mask_of_ids")
    words = layers.ReversibleEmbedding(sizes["vocabulary"], sizes["width"], embeddings_initializer=_normal(),
                                       name="word_embedding")
    x = _embedded(words, tokens, fed.get("token_type_ids"), sizes)
    # (batch, 1, steps): which keys a query sees, the same for all queries, those of padding too.
    seen = None if mask is None else ops.expand_dims(mask, 1, name="seen")
    for number in range(1, sizes["depth"] + 1):
        x = _block(x, seen, sizes, f"block_{number}")
    outputs = _head(head, x, tokens, mask, words, sizes, num_classes, output_activation)
    return Model([fed[name] for name in INPUTS if name in fed], outputs, name="bert")


def _settled(configuration, given, head, inputs):
    if configuration not in CONFIGURATIONS:
        raise SpecError(f"there is no configuration {configuration!r}; known: {', '.join(CONFIGURATIONS)}.")
    if head not in HEADS:
        raise SpecError(f"there is no head {head!r}; known: {', '.join(HEADS)}.")
    if inputs is not None and ("input_ids" not in inputs or not set(inputs) <= set(INPUTS)):
        raise SpecError(f"inputs are input_ids and, if wanted, attention_mask and token_type_ids, got {list(inputs)}.")
    sizes = CONFIGURATIONS[configuration] | {name: value for name, value in given.items() if value is not None}
    if sizes["width"] % sizes["heads"]:
        raise SpecError(f"width={sizes['width']} is no multiple of heads={sizes['heads']}.")
    return sizes


def _normal():
    return TruncatedNormal(stddev=0.02)


def _embedded(words, tokens, segments, sizes):
    """The sum of the embeddings, normalized."""
    width = sizes["width"]
    # 0, 1, 2, ... for every text, in whole numbers: half precision has none above 256.
    places = list(range(tokens.shape[1]))
    positions = ops.add(ops.zeros_like(tokens, name="zero_ids"), places, name="positions")
    x = layers.Add(name="embedded_positions")([words(tokens), layers.Embedding(
        sizes["max_positions"], width, embeddings_initializer=_normal(), name="position_embedding")(positions)])
    if sizes["types"]:
        segments = ops.zeros_like(tokens, name="token_type_ids_0") if segments is None else segments
        x = layers.Add(name="embedded_types")([x, layers.Embedding(
            sizes["types"], width, embeddings_initializer=_normal(), name="type_embedding")(segments)])
    elif segments is not None:
        raise SpecError("a model without types (types=0) takes no token_type_ids.")
    x = layers.LayerNormalization(epsilon=sizes["epsilon"], name="embedding_norm")(x)
    return _dropped(x, sizes["dropout"], "embedding_dropout")


def _dropped(x, rate, name):
    return layers.Dropout(rate, name=name)(x) if rate else x


def _block(x, seen, sizes, name):
    """Self-attention and a feed-forward network on (batch, steps, width), each with dropout, sum and norm."""
    width, epsilon = sizes["width"], sizes["epsilon"]
    attention = layers.MultiHeadAttention(sizes["heads"], width // sizes["heads"], dropout=sizes["attention_dropout"],
                                          kernel_initializer=_normal(), name=f"{name}_attention")
    attended = _dropped(attention(x, x, attention_mask=seen), sizes["attention_output_dropout"], f"{name}_dropout_1")
    x = layers.LayerNormalization(epsilon=epsilon, name=f"{name}_norm_1")(
        layers.Add(name=f"{name}_add_1")([x, attended]))
    hidden = layers.Dense(sizes["feedforward"], activation=sizes["activation"], kernel_initializer=_normal(),
                          name=f"{name}_feedforward_1")(x)
    hidden = layers.Dense(width, kernel_initializer=_normal(), name=f"{name}_feedforward_2")(hidden)
    hidden = _dropped(hidden, sizes["dropout"], f"{name}_dropout_2")
    return layers.LayerNormalization(epsilon=epsilon, name=f"{name}_norm_2")(
        layers.Add(name=f"{name}_add_2")([x, hidden]))


def _mean(x, mask):
    """The mean over the steps that the mask has, (batch, width); of an empty text 0."""
    if mask is None:
        return layers.GlobalAveragePooling1D(name="mean")(x)
    total = ops.sum(ops.multiply(x, ops.expand_dims(mask, -1, name="counted"), name="counted_states"), axis=1,
                    name="total")
    return ops.divide(total, ops.maximum(ops.sum(mask, axis=1, keepdims=True, name="lengths"), 1, name="divisor"),
                      name="mean")


def _head(head, x, tokens, mask, words, sizes, num_classes, output_activation):
    if head == "hidden":
        return x
    if head == "embedding":
        return layers.UnitNormalization(name="sentence_embedding")(_mean(x, mask))
    if head == "mlm":
        x = layers.Dense(sizes["width"], activation=sizes["activation"], kernel_initializer=_normal(),
                         name="mlm_dense")(x)
        x = layers.LayerNormalization(epsilon=sizes["epsilon"], name="mlm_norm")(x)
        # A bias alone is the only row of an embedding: (batch, 1, vocabulary).
        row = ops.zeros_like(ops.get_item(tokens, (slice(None), slice(0, 1)), name="first_ids"), name="row_0")
        bias = layers.Embedding(1, sizes["vocabulary"], embeddings_initializer="zeros", name="mlm_bias")(row)
        return ops.add(words(x, reverse=True), bias, name="predictions")
    first = ops.get_item(x, (slice(None), 0), name="first_token")
    pooled = layers.Dense(sizes["width"], activation=sizes["pooler_activation"], kernel_initializer=_normal(),
                          name="pooler")(first)
    if head == "pooled":
        return pooled
    pooled = _dropped(pooled, sizes["dropout"], "pooler_dropout")
    return layers.Dense(num_classes, activation=output_activation, kernel_initializer=_normal(),
                        name="predictions")(pooled)
