"""A network for tables: each column of categories has an embedding (Guo and Berkhahn 2016,
https://arxiv.org/abs/1604.06737)."""

from harness import Input, Model, SpecError, layers


def tabular_mlp(input_shape=(8,), categories=None, num_classes=2, units=(64, 32), embedding=None, dropout=0.0,
                batch_normalization=False, activation="relu", output_activation="softmax", numbers="x"):
    """The embedded categories beside the numbers, hidden layers of these `units`, one Dense.

    Inputs: `numbers`, float (features,), by the name that the data's tables give it; and for each of `categories`,
    {column: how many values}, an int32 index per example under the column's name (the table's `text` columns after
    string_lookup; 0 is what was not seen). input_shape: (features,), or None for a table without numbers. embedding:
    the size of every embedding; (values + 1) / 2, at most 50, where None. dropout: behind each hidden layer.
    num_classes=1 with output_activation=None is a regression; "sigmoid" a choice of two.
    """
    categories = dict(categories or {})
    if input_shape is None and not categories:
        raise SpecError("the table has neither numbers nor categories.", hint="Give input_shape or categories.")
    inputs, parts = [], []
    if input_shape is not None:
        inputs.append(Input(input_shape, name=numbers))
        parts.append(inputs[0])
    for column, values in categories.items():
        if not isinstance(values, int) or values < 1:
            raise SpecError(f"categories: {column!r} needs the number of its values, got {values!r}.")
        index = Input((), dtype="int32", name=column)
        inputs.append(index)
        size = embedding or min(50, (values + 1) // 2)
        parts.append(layers.Embedding(values, size, name=f"{column}_embedding")(index))
    x = layers.Concatenate(name="columns")(parts) if len(parts) > 1 else parts[0]
    for number, size in enumerate((units,) if isinstance(units, int) else units, 1):
        x = layers.Dense(size, activation=None if batch_normalization else activation, name=f"hidden_{number}")(x)
        if batch_normalization:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
            x = layers.Activation(activation, name=f"activation_{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(inputs, outputs, name="tabular_mlp")
