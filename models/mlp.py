"""A multi-layer perceptron."""

from harness import Input, Model, layers


def mlp(input_shape=(28, 28), num_classes=10, units=(64, 64), activation="relu", dropout=0.0,
        batch_normalization=False, l2=0.0, output_activation="softmax"):
    """Dense layers of these `units`, each with dropout behind it if its rate is above 0.

    batch_normalization: between the matrix product and the activation, in place of the bias.
    l2: factor of the kernels' penalty.
    output_activation: "softmax" gives probabilities, None logits (or quantities).
    """
    regularizer = {"L2": {"l2": l2}} if l2 else None
    x = inputs = Input(input_shape, name="inputs")
    if len(inputs.shape) > 2:
        x = layers.Flatten()(x)
    for number, size in enumerate((units,) if isinstance(units, int) else units, start=1):
        x = layers.Dense(size, activation=None if batch_normalization else activation, use_bias=not batch_normalization,
                         kernel_regularizer=regularizer, name=f"hidden_{number}")(x)
        if batch_normalization:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
            x = layers.Activation(activation, name=f"activation_{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(inputs, outputs, name="mlp")
