"""Cases of TimeDistributed."""

from tests.conformance.engine import Case

STEPS = ((5, 6),)
IMAGES = ((3, 6, 5, 2),)
SEQUENCES = ((3, 5, 4),)


def each(name, inner, inputs=STEPS, **more):
    return Case(f"each step {name}", lambda layers: layers.TimeDistributed(inner(layers)), inputs, **more)


CASES = (
    each("dense", lambda layers: layers.Dense(4, activation="relu")),
    each("dense frozen inside", lambda layers: layers.Dense(4, trainable=False)),
    Case("each step dense frozen", lambda layers: layers.TimeDistributed(layers.Dense(4), trainable=False), STEPS),
    each("dense regularized", lambda layers: layers.Dense(4, kernel_regularizer="l2")),
    each("dense masked", lambda layers: layers.Dense(4), masked=(True,)),
    each("dense of any length", lambda layers: layers.Dense(4), ((None, 6),)),
    each("convolution", lambda layers: layers.Conv2D(3, 3, padding="same", strides=2), IMAGES),
    each("separable convolution", lambda layers: layers.SeparableConv2D(3, 3), IMAGES),
    each("pooling", lambda layers: layers.MaxPooling2D(), IMAGES),
    each("pooling of volumes", lambda layers: layers.MaxPooling3D(), ((2, 4, 3, 4, 2),)),
    each("global pooling", lambda layers: layers.GlobalAveragePooling2D(), IMAGES),
    each("flatten", lambda layers: layers.Flatten(), IMAGES),
    each("layer normalization masked", lambda layers: layers.LayerNormalization(), masked=(True,)),
    each("batch normalization masked", lambda layers: layers.BatchNormalization(momentum=0.7), masked=(True,)),
    each("batch normalization", lambda layers: layers.BatchNormalization(momentum=0.7)),
    each("batch normalization of images", lambda layers: layers.BatchNormalization(momentum=0.7), IMAGES),
    each("batch normalization frozen inside", lambda layers: layers.BatchNormalization(trainable=False)),
    Case("each step batch normalization frozen",
         lambda layers: layers.TimeDistributed(layers.BatchNormalization(), trainable=False), STEPS),
    each("layer normalization", lambda layers: layers.LayerNormalization()),
    each("recurrent", lambda layers: layers.GRU(3), SEQUENCES),
    each("recurrent sequences", lambda layers: layers.LSTM(3, return_sequences=True), SEQUENCES),
    each("bidirectional", lambda layers: layers.Bidirectional(layers.LSTM(3)), SEQUENCES),
    each("steps of steps", lambda layers: layers.TimeDistributed(layers.Dense(3)), SEQUENCES),
    each("embedding", lambda layers: layers.Embedding(5, 3), ((4, 3),), kinds=("ids",)),
    each("dropout", lambda layers: layers.Dropout(0.4), certified=True),
    each("dropout masked", lambda layers: layers.Dropout(0.4), masked=(True,), certified=True),
    each("noise", lambda layers: layers.GaussianNoise(0.3), IMAGES, certified=True),
    each("spatial dropout", lambda layers: layers.SpatialDropout2D(0.4), IMAGES, certified=True),
    each("dropping recurrent", lambda layers: layers.LSTM(3, dropout=0.3, recurrent_dropout=0.2), SEQUENCES,
         certified=True),
    each("dropping bidirectional", lambda layers: layers.Bidirectional(layers.GRU(3, dropout=0.4)), SEQUENCES,
         certified=True),
    each("dropout at steps of steps", lambda layers: layers.TimeDistributed(layers.Dropout(0.4)), SEQUENCES,
         certified=True),
    each("rnn of cells", lambda layers: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), SEQUENCES),
    each("dense constrained", lambda layers: layers.Dense(4, kernel_constraint="max_norm")),
    each("recurrent masked", lambda layers: layers.LSTM(3, return_sequences=True), SEQUENCES, masked=(True,)),
    each("bidirectional masked", lambda layers: layers.Bidirectional(layers.GRU(3, return_sequences=True)), SEQUENCES,
         masked=(True,)),
)
