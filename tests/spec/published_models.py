"""Four published networks in the harness's notation, for counting: their sizes are known from elsewhere.

PARAMETERS: ResNet50 and MobileNetV2 as https://keras.io/api/applications lists them (25.6M, 3.5M) and count_params()
gives them; BERT-base without the heads of pre-training, and GPT-2 small, as their checkpoints hold them.
"""

from harness import Input, Model, layers, ops

PARAMETERS = {"resnet50": 25_636_712, "mobilenet_v2": 3_538_984, "bert_base": 109_482_240, "gpt2_small": 124_439_808}


def resnet50():
    """He et al. 2015 (https://arxiv.org/abs/1512.03385), as keras/src/applications/resnet.py has it."""
    def block(x, filters, strides, name):
        shortcut = x
        if strides != 1 or x.shape[-1] != 4 * filters:
            shortcut = layers.Conv2D(4 * filters, 1, strides, name=f"{name}_0_conv")(x)
            shortcut = layers.BatchNormalization(name=f"{name}_0_bn")(shortcut)
        windows = ((filters, 1, strides), (filters, 3, 1), (4 * filters, 1, 1))
        for number, (count, size, stride) in enumerate(windows, 1):
            x = layers.Conv2D(count, size, stride, padding="same", name=f"{name}_{number}_conv")(x)
            x = layers.BatchNormalization(name=f"{name}_{number}_bn")(x)
            x = layers.ReLU(name=f"{name}_{number}_relu")(x) if number < 3 else x
        return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([shortcut, x]))

    x = image = Input((224, 224, 3), name="image")
    x = layers.Conv2D(64, 7, 2, name="conv1_conv")(layers.ZeroPadding2D(3)(x))
    x = layers.ReLU(name="conv1_relu")(layers.BatchNormalization(name="conv1_bn")(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage, (filters, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], 2):
        for number in range(blocks):
            x = block(x, filters, 2 if number == 0 and stage > 2 else 1, f"conv{stage}_block{number + 1}")
    return Model(image, layers.Dense(1000, name="predictions")(layers.GlobalAveragePooling2D()(x)), name="resnet50")


def mobilenet_v2():
    """Sandler et al. 2018 (https://arxiv.org/abs/1801.04381), as keras/src/applications/mobilenet_v2.py has it."""
    def normed(x, relu=True):
        x = layers.BatchNormalization()(x)
        return layers.ReLU(6.0)(x) if relu else x

    def block(x, filters, strides, expansion):
        y, channels = x, x.shape[-1]
        if expansion > 1:
            y = normed(layers.Conv2D(expansion * channels, 1, padding="same", use_bias=False)(y))
        y = normed(layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(y))
        y = normed(layers.Conv2D(filters, 1, padding="same", use_bias=False)(y), relu=False)
        return layers.Add()([x, y]) if channels == filters and strides == 1 else y

    x = image = Input((224, 224, 3), name="image")
    x = normed(layers.Conv2D(32, 3, 2, padding="same", use_bias=False)(x))
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, filters, blocks, strides in stages:
        for number in range(blocks):
            x = block(x, filters, strides if number == 0 else 1, expansion)
    x = normed(layers.Conv2D(1280, 1, use_bias=False)(x))
    return Model(image, layers.Dense(1000, name="predictions")(layers.GlobalAveragePooling2D()(x)), name="mobilenet_v2")


def bert_base(steps=128):
    """Devlin et al. 2018 (https://arxiv.org/abs/1810.04805): 12 layers of 768, normalization behind each sum, the
    pooled first word."""
    words, kinds, places = (Input((steps,), dtype="int32", name=name) for name in ("words", "kinds", "places"))
    x = layers.Add()([layers.Embedding(size, 768)(ids) for size, ids in ((30522, words), (2, kinds), (512, places))])
    x = layers.LayerNormalization(epsilon=1e-12)(x)
    for _ in range(12):
        x = layers.LayerNormalization(epsilon=1e-12)(layers.Add()([x, layers.MultiHeadAttention(12, 64)(x, x)]))
        hidden = layers.Dense(768)(layers.Dense(3072, activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-12)(layers.Add()([x, hidden]))
    return Model([words, kinds, places], layers.Dense(768, activation="tanh", name="pooled")(x[:, 0]), name="bert_base")


def gpt2_small(steps=128):
    """Radford et al. 2019: 12 layers of 768, normalization in front, logits by the transposed table of words."""
    words, places = (Input((steps,), dtype="int32", name=name) for name in ("words", "places"))
    table = layers.ReversibleEmbedding(50257, 768, name="word_embedding")
    x = layers.Add()([table(words), layers.Embedding(1024, 768)(places)])
    for _ in range(12):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(12, 64)(y, y, use_causal_mask=True)])
        y = layers.Dense(3072)(layers.LayerNormalization(epsilon=1e-5)(x))
        x = layers.Add()([x, layers.Dense(768)(ops.gelu(y))])
    return Model([words, places], table(layers.LayerNormalization(epsilon=1e-5)(x), reverse=True), name="gpt2_small")


MODELS = {"resnet50": resnet50, "mobilenet_v2": mobilenet_v2, "bert_base": bert_base, "gpt2_small": gpt2_small}
