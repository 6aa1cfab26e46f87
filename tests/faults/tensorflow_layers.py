"""Faults in Keras's layers. Shape letters: N, B batch, H height, W width, C channels, T steps, U units."""

from __future__ import annotations

from typing import Any

from tests.faults.mutant import BACKWARD, BUFFER, FORWARD, Expected, Mutant
from tests.faults.patching import on_keras_layer, wrap


def set_on_layer(cls: str, layer: str, **values: Any) -> None:
    """Attributes of a Keras layer, after its constructor."""
    import keras

    def change(made: Any) -> None:
        for name, value in values.items():
            assert hasattr(made, name), (layer, name)
            setattr(made, name, value)

    on_keras_layer(getattr(keras.layers, cls), layer, change)


def called(cls: str, method: str, layer: str, change: Any) -> None:
    """change(layer, original, *args, **kwargs) in the place of a method of the Keras layer of that name."""
    import keras

    def make(original: Any) -> Any:
        def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
            if self.name != layer:
                return original(self, *args, **kwargs)
            return change(self, original, *args, **kwargs)

        return replacement

    wrap(getattr(keras.layers, cls), method, make)


def always_training(self: Any, original: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    return original(self, inputs, training=True, mask=mask)


def never_training(self: Any, original: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    return original(self, inputs, training=False, mask=mask)


def trains_while_frozen(self: Any, original: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    frozen, self._trainable = not self._trainable, True
    try:
        return original(self, inputs, training=training, mask=mask)
    finally:
        self._trainable = not frozen


def sample_variance(self: Any, original: Any, inputs: Any, mask: Any) -> Any:
    import tensorflow as tf

    mean, variance = original(self, inputs, mask)
    count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], inputs.dtype)
    return mean, variance * (count / (count - 1))


def channels_first(self: Any, original: Any, x_NHWC: Any) -> Any:
    import keras

    return original(self, keras.ops.transpose(x_NHWC, (0, 3, 1, 2)))


def pads_count(self: Any, original: Any, x_NHWC: Any) -> Any:
    """Pools of 3 with stride 2 over an even size: one line of zeros behind, which counts."""
    import tensorflow as tf

    return tf.nn.avg_pool2d(tf.pad(x_NHWC, [[0, 0], [0, 1], [0, 1], [0, 0]]), 3, 2, "VALID")


def flipped_kernel(self: Any, original: Any, inputs: Any, kernel: Any) -> Any:
    import tensorflow as tf

    return original(self, inputs, tf.reverse(kernel, [0, 1]))


def stopped_gradient(self: Any, original: Any, inputs: Any) -> Any:
    import tensorflow as tf

    return inputs[0] + tf.stop_gradient(inputs[1])


def unmasked(self: Any, original: Any, inputs: Any, mask: Any = None) -> Any:
    return original(self, inputs, mask=None)


def masks_ignored(self: Any, original: Any, query: Any, value: Any, **options: Any) -> Any:
    """Attention that knows of no padding."""
    return original(self, query, value, **{**options, "query_mask": None, "value_mask": None, "key_mask": None})


def dropped_in_another_place(first: str, second: str) -> None:
    """Two layers take each other's keys of the tape."""
    from harness.backends.tensorflow.randomness import Keys

    others = {first: second, second: first}
    wrap(Keys, "take", lambda original: lambda self, layer: original(self, others.get(layer, layer)))


def update_gate_turned() -> None:
    import keras

    def call(self: Any, inputs: Any, states: Any, training: bool = False) -> Any:
        ops, (h_BU,) = keras.ops, states
        x_z, x_r, x_h = ops.split(ops.matmul(inputs, self.kernel) + self.bias[0], 3, axis=-1)
        h_z, h_r, h_h = ops.split(ops.matmul(h_BU, self.recurrent_kernel) + self.bias[1], 3, axis=-1)
        z_BU, r_BU = ops.sigmoid(x_z + h_z), ops.sigmoid(x_r + h_r)
        new_BU = (1 - z_BU) * h_BU + z_BU * ops.tanh(x_h + r_BU * h_h)
        return new_BU, [new_BU]

    wrap(keras.layers.GRUCell, "call", lambda original: call)


def gate_order() -> None:
    """The gates of the fused product are taken as i, f, o, c."""
    import keras

    wrap(keras.layers.LSTMCell, "_compute_carry_and_output_fused",
         lambda original: lambda self, z, c_tm1: original(self, (z[0], z[1], z[3], z[2]), c_tm1))


def gelu_by_tanh(layer: str) -> None:
    import keras

    set_on_layer("Dense", layer, activation=lambda x: keras.activations.gelu(x, approximate=True))


def no_penalty(layer: str) -> None:
    set_on_layer("Dense", layer, kernel_regularizer=None)


TF = "tensorflow"
MUTANTS = (
    Mutant("keras: batch norm momentum 0.9", "cnn", TF,
           lambda: set_on_layer("BatchNormalization", "norm", momentum=0.9), Expected(BUFFER, "norm")),
    Mutant("keras: batch norm trains at inference", "cnn", TF, called, Expected(("inference",), "norm"),
           ("BatchNormalization", "call", "norm", always_training)),
    Mutant("keras: batch norm never trains", "cnn", TF, called, Expected((*FORWARD, *BUFFER), "norm"),
           ("BatchNormalization", "call", "norm", never_training)),
    Mutant("keras: batch norm trains while frozen", "finetune", TF, called, Expected((*FORWARD, *BUFFER), "stem_norm"),
           ("BatchNormalization", "call", "stem_norm", trains_while_frozen)),
    Mutant("keras: batch norm sample variance", "cnn", TF, called, Expected((*FORWARD, *BUFFER), "norm"),
           ("BatchNormalization", "_moments", "norm", sample_variance)),
    Mutant("keras: layer norm epsilon 1e-6", "transformer", TF,
           lambda: set_on_layer("LayerNormalization", "norm_2", epsilon=1e-6), Expected(FORWARD, "norm_2")),
    Mutant("keras: gelu by tanh", "transformer", TF, gelu_by_tanh, Expected(FORWARD, "feedforward_1"),
           ("feedforward_1",)),
    Mutant("keras: leaky relu slope 0.2", "mlp", TF,
           lambda: set_on_layer("LeakyReLU", "leaky", negative_slope=0.2), Expected(FORWARD, "leaky")),
    Mutant("keras: flatten channels first", "cnn", TF, called, Expected(FORWARD, "flatten"),
           ("Flatten", "call", "flatten", channels_first)),
    Mutant("keras: average pooling counts the pads", "cnn", TF, called, Expected(FORWARD, "average"),
           ("AveragePooling2D", "call", "average", pads_count)),
    Mutant("keras: kernel flipped", "cnn", TF, called, Expected(FORWARD, "wide"),
           ("Conv2D", "convolution_op", "wide", flipped_kernel)),
    Mutant("keras: stopped gradient in a residual", "transformer", TF, called, Expected(BACKWARD, "add_1"),
           ("Add", "_merge_function", "add_1", stopped_gradient)),
    Mutant("keras: pooling mask ignored", "gru", TF, called, Expected(FORWARD, "mean"),
           ("GlobalAveragePooling1D", "call", "mean", unmasked)),
    Mutant("keras: attention scale missing", "transformer", TF,
           lambda: set_on_layer("MultiHeadAttention", "attention", _inverse_sqrt_key_dim=1.0),
           Expected(FORWARD, "attention")),
    Mutant("keras: attention mask ignored", "transformer", TF, called, Expected(FORWARD, "attention"),
           ("MultiHeadAttention", "_compute_attention_mask", "attention", masks_ignored)),
    Mutant("keras: dropout never applied", "dropout", TF, lambda: set_on_layer("Dropout", "drop_1", rate=0.0),
           Expected(("random", *FORWARD), "drop_1")),
    Mutant("keras: keys of two layers swapped", "dropout", TF, dropped_in_another_place,
           Expected(("random", *FORWARD), "drop_1|drop_2"), ("drop_1", "drop_2")),
    Mutant("keras: gru update gate turned round", "gru", TF, update_gate_turned, Expected(FORWARD, "gru")),
    Mutant("keras: lstm gate order", "lstm", TF, gate_order, Expected(FORWARD, "both|lstm")),
    Mutant("keras: weight penalty left out", "mlp", TF, no_penalty,
           Expected(("loss", *BACKWARD), says="regulari|penalt|l2|first"), ("first",)),
)
