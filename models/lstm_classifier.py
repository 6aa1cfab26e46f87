"""An LSTM network that classifies sequences of word indices or of measurements (Hochreiter and Schmidhuber 1997;
both ways: Graves and Schmidhuber 2005)."""

from harness import Input, Model, layers


def lstm_classifier(input_shape=(200,), num_classes=2, vocabulary=10000, embedding=64, units=(64,), dropout=0.0,
                    mask_zero=False, output_activation="softmax", bidirectional=False):
    """Embedding, LSTM layers of these `units`, one Dense layer on the last state.

    input_shape: (steps,) for word indices below `vocabulary`; (steps, features) for measurements, which go into
    the first LSTM as they are. mask_zero: index 0 is padding and is skipped. dropout: behind each LSTM.
    output_activation: "softmax" gives probabilities, None logits. bidirectional: each LSTM reads both ways, and gives
    2 * units features.
    """
    sizes = (units,) if isinstance(units, int) else tuple(units)
    words = isinstance(input_shape, int) or len(input_shape) == 1
    x = inputs = Input(input_shape, dtype="int32" if words else None, name="words" if words else "series")
    if words:
        x = layers.Embedding(vocabulary, embedding, mask_zero=mask_zero, name="embedding")(x)
    for number, size in enumerate(sizes, start=1):
        sequences, name = number < len(sizes), f"lstm_{number}"
        if bidirectional:
            x = layers.Bidirectional(layers.LSTM(size, return_sequences=sequences), name=name)(x)
        else:
            x = layers.LSTM(size, return_sequences=sequences, name=name)(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(inputs, outputs, name="lstm_classifier")
