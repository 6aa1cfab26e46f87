"""Models as people write them in Keras, each with whatever importing has to cope with.

Functions take the `keras` module (so that this file imports no framework) and return a keras.Model. `inputs_of` fills
the model's inputs.
"""

import numpy as np

VOCABULARY = 7


def plain(keras):
    layers = keras.layers
    return keras.Sequential([
        keras.Input((6, 6, 2)), layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2"),
        layers.BatchNormalization(), layers.ReLU(6.0), layers.MaxPooling2D(), layers.Flatten(),
        layers.Dropout(0.3, seed=1), layers.Dense(5, activation="gelu", kernel_initializer="he_normal"),
        layers.Dense(3, activation="softmax", name="class probabilities"),
    ], name="plain")


def shared_layer(keras):
    """A layer called three times, once on its own output; and two inputs that meet."""
    layers = keras.layers
    a, b = keras.Input((4,), name="b_first"), keras.Input((4,), name="a_second")
    dense, norm = layers.Dense(4, activation="tanh"), layers.BatchNormalization()
    x = layers.Concatenate()([norm(dense(a)), norm(dense(b)), dense(dense(b))])
    return keras.Model([a, b], layers.Dense(2)(x))


def inner_models(keras):
    """A Sequential and a functional model as layers, one of them called twice, one with two outputs, one inside one."""
    layers = keras.layers
    encoder = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense"), layers.BatchNormalization()],
                               name="encoder")
    start = keras.Input((3,))
    deep = keras.Sequential([keras.Input((3,)), layers.Dense(3, activation="relu")], name="deep")
    head = keras.Model(start, [layers.Dense(2, name="dense")(deep(start)), layers.Dense(1)(start)], name="head")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    mixed = layers.Add()([encoder(a), encoder(b)])
    first, second = head(layers.Dense(3, name="dense")(mixed))
    return keras.Model([a, b], [second, first, head(mixed)[0]], name="outer")


def one_layer_in_two_models(keras):
    """An auto-encoder with tied parts: the same layer object in the model and in an inner one."""
    layers = keras.layers
    tied = layers.Dense(4, activation="tanh", name="tied")
    start = keras.Input((4,))
    inner = keras.Model(start, tied(tied(start)), name="inner")
    x = keras.Input((4,))
    return keras.Model(x, layers.Average()([inner(x), tied(x)]))


def dictionaries(keras):
    layers = keras.layers
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    x = layers.Dense(4)(left)
    y = layers.Dense(4)(right)
    return keras.Model({"right": right, "left": left},
                       {"sum": layers.Add(name="sum")([x, y]), "product": layers.Multiply(name="product")([x, y])})


def states(keras):
    """An LSTM whose last states start another, and a GRU read backwards: an encoder and a decoder."""
    layers = keras.layers
    source, target = keras.Input((5, 3), name="source"), keras.Input((4, 2), name="target")
    _, h, c = layers.LSTM(6, return_state=True, name="encode")(source)
    decoded = layers.LSTM(6, return_sequences=True, name="decode")(target, initial_state=[h, c])
    back = layers.GRU(3, go_backwards=True, reset_after=False)(decoded)
    return keras.Model([source, target], [layers.TimeDistributed(layers.Dense(2))(decoded), back])


def masked_text(keras):
    """Masks from an Embedding, which Keras writes into the graph as operations."""
    layers = keras.layers
    ids = keras.Input((6,), dtype="int32", name="ids")
    x = layers.Embedding(VOCABULARY, 5, mask_zero=True)(ids)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.LayerNormalization()(x)
    y = layers.GRU(4)(x)
    return keras.Model(ids, layers.Concatenate()([y, layers.GlobalAveragePooling1D()(x)]))


def masked_numbers(keras):
    layers = keras.layers
    steps = keras.Input((5, 3), name="steps")
    x = layers.Masking(0.0)(steps)
    return keras.Model(steps, layers.Bidirectional(layers.SimpleRNN(2), merge_mode="ave")(x))


def masked_merges(keras):
    """Masks that merges join: of two masked tensors, and of a masked one beside one without a mask."""
    layers = keras.layers
    ids, steps = keras.Input((6,), dtype="int32", name="ids"), keras.Input((6, 4), name="steps")
    x = layers.Embedding(VOCABULARY, 4, mask_zero=True)(ids)
    both = layers.Add()([x, layers.Masking()(steps)])
    beside = layers.Concatenate(axis=1)([x, steps])
    y = layers.GRU(3, name="first")(both)
    return keras.Model([ids, steps], layers.Concatenate()([y, layers.LSTM(2, name="second")(beside)]))


def mask_by_hand(keras):
    """Masks that do not follow from the layers: an input, and a computed one."""
    layers, ops = keras.layers, keras.ops
    steps, seen = keras.Input((6, 3), name="steps"), keras.Input((6,), dtype="bool", name="seen")
    other = layers.Bidirectional(layers.GRU(2))(steps, mask=ops.logical_not(seen))
    return keras.Model([steps, seen], [layers.LSTM(3)(steps, mask=seen), other])


def transformer(keras):
    layers = keras.layers
    x = start = keras.Input((5, 8), name="tokens")
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x, use_causal_mask=True)
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, layers.Dropout(0.1)(attended)]))
        x = layers.Add()([x, layers.Dense(8)(layers.Dense(16, activation="relu")(x))])
    grouped = layers.GroupQueryAttention(4, 4, 2)(x, x)
    plain_attention = layers.Attention(use_scale=True)([x, grouped])
    return keras.Model(start, [layers.GlobalAveragePooling1D()(x), plain_attention])


def cells(keras):
    layers = keras.layers
    x = keras.Input((4, 3))
    y = layers.RNN([layers.LSTMCell(2), layers.GRUCell(3), layers.LSTMCell(4)], return_sequences=True)(x)
    return keras.Model(x, layers.RNN(layers.SimpleRNNCell(2))(y))


def preprocessing(keras):
    """A Normalization adapted to data, one that was given its numbers, and a Rescaling."""
    layers = keras.layers
    x = keras.Input((4,), name="numbers")
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(0).normal(2.0, 3.0, (50, 4)))
    for weight in (adapted.adapt_mean, adapted.adapt_variance):
        # A spec's mean and variance are of float32, as Keras has those that it is given.
        weight.assign(np.asarray(weight).astype(np.float32))
    adapted.finalize_state()
    given = layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 16.0])
    return keras.Model(x, layers.Concatenate()([adapted(x), given(x), layers.Rescaling(0.5, offset=-1.0)(x)]))


def volumes(keras):
    layers = keras.layers
    x = keras.Input((4, 4, 4, 2))
    y = layers.Conv3D(3, 2, strides=2, padding="same", activation="elu")(x)
    y = layers.Conv3DTranspose(2, 2, strides=2)(y)
    return keras.Model(x, layers.GlobalMaxPooling3D()(y))


def separable(keras):
    layers = keras.layers
    x = keras.Input((8, 8, 4))
    y = layers.SeparableConv2D(4, 3, depth_multiplier=2)(x)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = layers.Conv2D(4, 1, groups=2)(layers.ZeroPadding2D(((0, 1), (1, 0)))(y))
    return keras.Model(x, layers.GlobalAveragePooling2D(keepdims=True)(layers.PReLU(shared_axes=[1, 2])(y)))


def operations(keras):
    """keras.ops and Python's operators between the layers."""
    layers, ops = keras.layers, keras.ops
    x = keras.Input((6, 4), name="x")
    y = layers.Dense(4)(x) * 2.0 + x
    z = ops.concatenate([y[:, 1:3], ops.mean(y, axis=1, keepdims=True)], axis=1)
    w = ops.matmul(z, ops.transpose(z, (0, 2, 1)))
    return keras.Model(x, [ops.reshape(1.0 - w, (-1, 9)), ops.where(z > 0.0, z, ops.sigmoid(z))])


def normalized(keras):
    layers = keras.layers
    x = keras.Input((6,))
    y = layers.SpectralNormalization(layers.Dense(4, activation=layers.LeakyReLU(0.05)))(x)
    y = layers.GroupNormalization(2)(y)
    return keras.Model(x, layers.UnitNormalization()(layers.BatchNormalization(trainable=False)(y)))


def frozen(keras):
    """Layers of an inner model that do not train: legacy files list their weights behind the others."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, trainable=False), layers.BatchNormalization(),
                              layers.Dense(4)], name="inner")
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2)(inner(x)))


def model_at_each_step(keras):
    """A TimeDistributed around a whole model, with a merge in it and a model inside."""
    layers = keras.layers
    frame = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, padding="same")(frame)
    x = layers.Add()([x, layers.BatchNormalization()(layers.Conv2D(3, 1)(x))])
    last = keras.Sequential([keras.Input((6, 6, 3)), layers.GlobalAveragePooling2D(), layers.Dense(4)], name="last")
    network = keras.Model(frame, layers.Concatenate(axis=1)([last(x), layers.GlobalMaxPooling2D()(x)]), name="network")
    film = keras.Input((3, 6, 6, 2), name="film")
    return keras.Model(film, layers.LSTM(3)(layers.TimeDistributed(network, name="each")(film)))


def convolutional_steps(keras):
    layers = keras.layers
    x = keras.Input((3, 5, 5, 2))
    y = layers.ConvLSTM2D(2, 3, padding="same")(x)
    return keras.Model(x, layers.Flatten()(y))


MODELS = {function.__name__: function for function in (
    plain, shared_layer, inner_models, one_layer_in_two_models, dictionaries, states, masked_text, masked_numbers,
    masked_merges, mask_by_hand, transformer, cells, preprocessing, volumes, separable, operations, normalized, frozen,
    model_at_each_step, convolutional_steps,
)}
# Models whose config a legacy .h5 file cannot hold, or that Keras cannot read back from one.
NOT_LEGACY = ("one_layer_in_two_models", "operations", "masked_text", "masked_numbers", "masked_merges",
              "mask_by_hand")
# Models that `to_json` loses something of: it does not mark a layer that two models hold.
NOT_IN_JSON = ("one_layer_in_two_models",)


def inputs_of(name, shapes):
    """The arrays fed: for (shape, dtype) of each input, a batch of 3; the ends of some sequences are zeros."""
    rng = np.random.default_rng(len(name))
    arrays = []
    for shape, dtype in shapes:
        size = (3, *(5 if item is None else item for item in shape[1:]))
        if dtype == "bool":
            values = rng.random(size) < 0.6
        elif dtype.startswith("int"):
            values = rng.integers(1, VOCABULARY, size).astype(dtype)
            values[0, 3:] = 0
        else:
            values = rng.normal(size=size)
            if len(size) == 3 and name.startswith("masked"):
                values[1, 2:] = 0.0
        arrays.append(values)
    return arrays
