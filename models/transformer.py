"""The Transformer, encoder and decoder (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762)."""

import math

from harness import Input, Model, SpecError, layers, ops

# Width, heads, feed-forward, blocks of each half, dropout; a shared vocabulary of 37000 pieces: the paper's table 3.
CONFIGURATIONS = {"base": (512, 8, 2048, 6, 0.1), "big": (1024, 16, 4096, 6, 0.3)}


def transformer(source_steps=20, target_steps=20, vocabulary=None, source_vocabulary=None, configuration=None,
                width=128, heads=4, feedforward=256, depth=2, dropout=0.1, tie_weights=True, mask_zero=True,
                activation="relu"):
    """The source through `depth` encoder blocks; the target so far through as many decoder blocks, which see no later
    step and look at the encoded source; logits of the target's next symbol.

    Inputs: "encoder" (source_steps,) and "decoder" (target_steps,), the target one step behind: start symbol first
    (teacher forcing), as the data's step `sequence_pairs` leaves them; the steps may be None: open. Output:
    "predictions", logits (target_steps, vocabulary): the loss takes from_logits=True, and ignore_class=0 leaves padding
    out. configuration: "base" (65 million parameters in the paper) or "big" (213) sets the sizes and a vocabulary of
    37000.

    As published, one table embeds source and target and, transposed, makes the logits (section 3.4); a
    source_vocabulary of another size has a table of its own, tie_weights=False gives each of the three one. Positions
    are the fixed sines and cosines; embeddings are multiplied by sqrt(width); normalization stands behind each sum.
    dropout: in the attention too, as in the authors' program. mask_zero: source index 0 is padding and is not attended
    to.
    """
    if configuration is not None:
        if configuration not in CONFIGURATIONS:
            raise SpecError(f"configuration must be one of {', '.join(CONFIGURATIONS)}, got {configuration!r}.")
        width, heads, feedforward, depth, dropout = CONFIGURATIONS[configuration]
    vocabulary = vocabulary or (37000 if configuration else 64)
    if width % heads or width % 2:
        raise SpecError(f"width must be even and a multiple of heads, got {width} and {heads}.")
    initial = {"RandomNormal": {"stddev": width**-0.5}}
    table = layers.ReversibleEmbedding(vocabulary, width, tie_weights, embeddings_initializer=initial, name="embedding")
    own = not tie_weights or source_vocabulary not in (None, vocabulary)
    tables = {"target": table, "source": layers.Embedding(
        source_vocabulary or vocabulary, width, embeddings_initializer=initial, name="source_embedding",
    ) if own else table}

    def embedded(words, name):
        x = layers.Rescaling(math.sqrt(width), name=f"{name}_scaled")(tables[name](words))
        x = layers.Add(name=f"{name}_embedded")([x, positions(words, width, f"{name}_positions")])
        return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x

    block = Block(heads, feedforward, dropout, activation)
    source = Input((source_steps,), dtype="int32", name="encoder")
    target = Input((target_steps,), dtype="int32", name="decoder")
    # (batch, 1, source_steps), True where the source may be looked at.
    readable = ops.expand_dims(ops.not_equal(source, 0), 1, name="readable") if mask_zero else None
    x = embedded(source, "source")
    for number in range(1, depth + 1):
        x = block.attend(x, x, f"encoder_block_{number}_attention", attention_mask=readable)
        x = block.feed(x, f"encoder_block_{number}")
    y = embedded(target, "target")
    for number in range(1, depth + 1):
        # A target's padding stands behind its symbols, which see nothing later anyway.
        y = block.attend(y, y, f"decoder_block_{number}_attention", use_causal_mask=True)
        y = block.attend(y, x, f"decoder_block_{number}_cross_attention", attention_mask=readable)
        y = block.feed(y, f"decoder_block_{number}")
    return Model([source, target], layers.Identity(name="predictions")(table(y, reverse=True)),
                 name=f"transformer_{configuration}" if configuration else "transformer")


def positions(words, width, name):
    """sin(place / 10000^(2i / width)), cos of the same beside it: (batch, steps, width) for words (batch, steps)."""
    # 0, 1, 2, ... in whole numbers: half precision has none above 256.
    places = ops.cumsum(ops.ones_like(words), axis=1) - 1
    rates = [[10000.0 ** (-(channel - channel % 2) / width) for channel in range(width)]]
    turns = [[math.pi / 2 * (channel % 2) for channel in range(width)]]  # cos(x) = sin(x + pi / 2)
    return ops.sin(ops.add(ops.multiply(ops.expand_dims(places, -1), rates), turns), name=name)


class Block:
    """Both kinds of sub-block on (batch, steps, width), each with dropout, sum and normalization."""

    def __init__(self, heads, feedforward, dropout, activation):
        self.heads, self.feedforward, self.dropout, self.activation = heads, feedforward, dropout, activation

    def attend(self, x, memory, name, **options):
        size = x.shape[-1] // self.heads
        y = layers.MultiHeadAttention(self.heads, size, dropout=self.dropout, name=name)(x, memory, **options)
        return self.summed(x, y, name)

    def feed(self, x, name):
        y = layers.Dense(self.feedforward, activation=self.activation, name=f"{name}_feedforward_1")(x)
        return self.summed(x, layers.Dense(x.shape[-1], name=f"{name}_feedforward_2")(y), f"{name}_feedforward")

    def summed(self, x, y, name):
        if self.dropout:
            y = layers.Dropout(self.dropout, name=f"{name}_dropout")(y)
        return layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(layers.Add(name=f"{name}_add")([x, y]))
