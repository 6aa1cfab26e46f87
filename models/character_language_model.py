"""A recurrent language model of characters (Karpathy 2015, https://karpathy.github.io/2015/05/21/rnn-effectiveness/,
and his char-rnn)."""

from harness import Input, Model, SpecError, layers

CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "simple_rnn": layers.SimpleRNN}


def character_language_model(input_shape=(64,), vocabulary=128, embedding=64, units=(128, 128), cell="lstm",
                             dropout=0.0, output_activation="softmax"):
    """For every character the probabilities of the next one: Embedding, recurrent layers of these `units`, a Dense.

    Input: (steps,) indices below `vocabulary`; steps may be open: (None,). Target: the same text one character on.
    Output: (steps, vocabulary). cell: "lstm", "gru" or "simple_rnn". char-rnn feeds one-hot characters, which is an
    embedding of its own in the first layer's kernel; its default is two LSTMs of 128. dropout: behind each recurrent
    layer. output_activation: "softmax" gives probabilities, None logits.
    """
    if cell not in CELLS:
        raise SpecError(f"cell must be one of {', '.join(CELLS)}, got {cell!r}.")
    x = characters = Input(input_shape, dtype="int32", name="characters")
    x = layers.Embedding(vocabulary, embedding, name="embedding")(x)
    for number, size in enumerate((units,) if isinstance(units, int) else units, start=1):
        x = CELLS[cell](size, return_sequences=True, name=f"{cell}_{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    outputs = layers.Dense(vocabulary, activation=output_activation, name="predictions")(x)
    return Model(characters, outputs, name="character_language_model")
