"""A sequence-to-sequence network of LSTMs with attention: Bahdanau et al. 2014 (https://arxiv.org/abs/1409.0473)
scores pairs with a small network, Luong et al. 2015 (https://arxiv.org/abs/1508.04025) with products."""

from harness import Input, Model, SpecError, layers


def seq2seq_lstm(source_steps=20, target_steps=20, source_vocabulary=64, target_vocabulary=64, embedding=64, units=128,
                 attention="additive", dropout=0.0, mask_zero=True, output_activation="softmax"):
    """A bidirectional LSTM reads the source; an LSTM that starts from its last states reads the target so far, looks
    back at the source through attention, and gives the probabilities of the target's next symbol.

    Inputs: "encoder" (source_steps,) and "decoder" (target_steps,), the target one step behind: start symbol first
    (teacher forcing), as the data's step `sequence_pairs` leaves them. Target of the training: the same without the
    start symbol. Output: "predictions" (target_steps, target_vocabulary). The steps may be None: open. units: of each
    direction; the decoder has 2 * units. attention: "additive" sums projections in tanh, "dot" multiplies. As with
    Luong the decoder's output, not its state before the step, asks, and context and output go through one Dense with
    tanh. mask_zero: index 0 is padding, is not read, not looked at, and does not count in the loss. dropout: behind the
    embeddings and before the last Dense. output_activation: "softmax" gives probabilities, None logits.
    """
    if attention not in ("additive", "dot"):
        raise SpecError(f'attention must be "additive" or "dot", got {attention!r}.')

    def embedded(words, vocabulary, name):
        x = layers.Embedding(vocabulary, embedding, mask_zero=mask_zero, name=f"{name}_embedding")(words)
        return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x

    source = Input((source_steps,), dtype="int32", name="encoder")
    target = Input((target_steps,), dtype="int32", name="decoder")
    encoded, *states = layers.Bidirectional(
        layers.LSTM(units, return_sequences=True, return_state=True), name="source_reader",
    )(embedded(source, source_vocabulary, "source"))
    ahead_h, ahead_c, back_h, back_c = states
    start = [layers.Concatenate(name="start_h")([ahead_h, back_h]),
             layers.Concatenate(name="start_c")([ahead_c, back_c])]
    decoded = layers.LSTM(2 * units, return_sequences=True, name="target_reader")(
        embedded(target, target_vocabulary, "target"), initial_state=start)
    if attention == "additive":
        asked = layers.Dense(units, use_bias=False, name="attention_query")(decoded)
        keys = layers.Dense(units, use_bias=False, name="attention_key")(encoded)
        context = layers.AdditiveAttention(name="attention")([asked, encoded, keys])
    else:
        context = layers.Attention(name="attention")([decoded, encoded])
    x = layers.Concatenate(name="context_and_output")([context, decoded])
    x = layers.Dense(2 * units, activation="tanh", name="attended")(x)
    if dropout:
        x = layers.Dropout(dropout, name="attended_dropout")(x)
    outputs = layers.Dense(target_vocabulary, activation=output_activation, name="predictions")(x)
    return Model([source, target], outputs, name="seq2seq_lstm")
