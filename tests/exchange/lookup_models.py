"""Models whose lookup layers were adapted: python -m tests.exchange.lookup_models FOLDER keras|pytorch|back

"keras" saves them, with their inputs and outputs; "pytorch" imports the files, computes the text on the host and the
rest in PyTorch, and writes them back; "back" loads those with stock Keras. What was found is in pytorch.json and
back.json.
"""

import json
import sys
import traceback
from pathlib import Path

import numpy as np

import harness

TEXTS = np.array([["The cat sat on the mat, the cat."], ["A naïve dog!  ran\ta mile"], ["日本 语 dog"], [""],
                  ["unknown words"]])
WORDS = np.array([["red"], ["green"], ["blue"], ["red"], ["ünknown"]])
PAIRS = np.array([["red", "blue"], ["green", "green"], ["", "red"], ["blue", "x"], ["y", "z"]])
NUMBERS = np.array([[3], [-7], [2**40], [3], [11]])
# name -> (floatx, inputs, the largest error there may be).
MODELS = {
    "text": ("float64", (TEXTS,), 1e-12), "strings": ("float64", (WORDS, PAIRS), 1e-12),
    "numbers": ("float64", (NUMBERS,), 1e-12), "frequencies": ("float32", (TEXTS, PAIRS), 1e-6),
}


def text(keras):
    layers = keras.layers
    x = keras.Input((1,), dtype="string", name="x")
    words = layers.TextVectorization(max_tokens=12, ngrams=2, output_sequence_length=6)
    words.adapt(TEXTS[:3])
    y = layers.GlobalAveragePooling1D()(layers.Embedding(12, 4)(words(x)))
    return keras.Model(x, layers.Dense(3)(y))


def strings(keras):
    """A lookup that two calls share, one in an inner model, and the masked one with two unknown places."""
    layers = keras.layers
    inner_x = keras.Input((2,), dtype="string", name="inner_x")
    many = layers.StringLookup(output_mode="multi_hot", num_oov_indices=2, mask_token="")
    many.adapt(PAIRS[:4])
    inner = keras.Model(inner_x, many(inner_x), name="inner")
    x = keras.Input((1,), dtype="string", name="x")
    pair = keras.Input((2,), dtype="string", name="pair")
    one, place = layers.StringLookup(output_mode="one_hot"), layers.StringLookup(num_oov_indices=1, mask_token="")
    one.adapt(WORDS[:3])
    place.adapt(PAIRS)
    embedded = layers.Embedding(place.vocabulary_size(), 3)
    parts = [one(x), inner(pair), layers.Flatten()(embedded(place(pair))), layers.Flatten()(embedded(place(x)))]
    return keras.Model([x, pair], layers.Dense(2)(layers.Concatenate()(parts)))


def numbers(keras):
    layers = keras.layers
    x = keras.Input((1,), dtype="int64", name="x")
    one, place = layers.IntegerLookup(output_mode="one_hot"), layers.IntegerLookup(mask_token=11, num_oov_indices=2)
    one.adapt(NUMBERS[:3])
    place.adapt(NUMBERS[:2])
    parts = [one(x), layers.Flatten()(layers.Embedding(place.vocabulary_size(), 3)(place(x)))]
    return keras.Model(x, layers.Dense(2)(layers.Concatenate()(parts)))


def frequencies(keras):
    layers = keras.layers
    x = keras.Input((), dtype="string", name="x")
    pair = keras.Input((2,), dtype="string", name="pair")
    words = layers.TextVectorization(output_mode="tf_idf", max_tokens=20, pad_to_max_tokens=True,
                                       name="words")
    words.adapt(TEXTS[:3, 0])
    colours = layers.StringLookup(output_mode="tf_idf")
    colours.adapt(PAIRS[:2])
    given = layers.StringLookup(output_mode="tf_idf", vocabulary=["red", "blue"], idf_weights=[0.5, 0.25])
    return keras.Model([x, pair], layers.Dense(2)(layers.Concatenate()([words(x), colours(pair), given(pair)])))


def inputs_of(name):
    arrays = MODELS[name][1]
    return [arrays[0][:, 0], *arrays[1:]] if name == "frequencies" else list(arrays)


def predict(model, arrays):
    import tensorflow

    fed = [tensorflow.constant(array) for array in arrays]
    return np.asarray(model(fed if len(fed) > 1 else fed[0], training=False))


def write(folder, name):
    import keras

    keras.config.set_floatx(MODELS[name][0])
    keras.utils.set_random_seed(0)
    model = globals()[name](keras)
    model.save(folder / f"{name}.keras")
    model.save_weights(folder / f"{name}.weights.h5")
    (folder / f"{name}.json").write_text(model.to_json())
    if name == "text":
        model.save(folder / f"{name}.h5")
    np.save(folder / f"{name}.npy", predict(model, inputs_of(name)))
    (folder / f"{name}.live.json").write_text(json.dumps(harness.from_keras(model)[0].to_data()))
    return {}


def look(folder, name):
    import torch

    from harness.data.text_prefix import host_inputs
    from harness.exchange.keras_writer import write_keras_file
    from harness.spec.host import device_part
    from harness.spec.model import ModelSpec

    spec, weights = harness.from_keras(folder / f"{name}.keras")
    spec.save(folder / f"{name}.yaml")
    again = harness.load_model(folder / f"{name}.yaml")
    twin = harness.build(again, "pytorch", weights=weights, dtype=MODELS[name][0]).eval()
    prefix = host_inputs(again, dict(zip((item.name for item in spec.inputs), inputs_of(name), strict=True)))
    with torch.no_grad():
        output = twin(*(torch.from_numpy(prefix[item.name]) for item in device_part(again).inputs)).numpy()
    write_keras_file(spec, weights, folder / f"{name}.back.keras")
    other, _ = harness.from_keras(folder / f"{name}.back.keras")
    live = ModelSpec.from_data(json.loads((folder / f"{name}.live.json").read_text()))
    both, _ = harness.from_keras(folder / f"{name}.keras", weights=folder / f"{name}.weights.h5")
    return {"error": float(np.abs(output - np.load(folder / f"{name}.npy")).max()),
            "yaml": again.digest == spec.digest, "live": live.digest == spec.digest,
            "weights": both.digest == spec.digest, "back": vocabularies(other) == vocabularies(spec),
            "vocabularies": vocabularies(spec)}


def back(folder, name):
    import keras

    keras.config.set_floatx(MODELS[name][0])
    model = keras.models.load_model(folder / f"{name}.back.keras")
    return {"error": float(np.abs(predict(model, inputs_of(name)) - np.load(folder / f"{name}.npy")).max())}


def vocabularies(spec):
    found = {name.replace("/", "_"): (layer.vocabulary, layer.idf_weights) for name, layer in spec.layers.items()
             if hasattr(layer, "vocabulary")}
    return json.loads(json.dumps(found))


def main(folder, part):
    found = {}
    for name in MODELS:
        try:
            found[name] = {"keras": write, "pytorch": look, "back": back}[part](folder, name)
        except Exception:
            found[name] = {"failed": traceback.format_exc(limit=-4)[-1500:]}
    (folder / f"{part}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
