"""keras.applications in two processes: python -m tests.exchange.applications <keras|pytorch> FOLDER NAME...

The Keras half writes NAME.keras (float64, no weight trivial), the inputs and what Keras makes of them; the PyTorch half
imports each file and writes the largest difference, relative to the largest output, into errors.json.
"""

import json
import sys
import time
import zlib
from pathlib import Path

import numpy as np

# The smallest images that each family takes (rows and columns).
SMALLEST = {"DenseNet": 32, "EfficientNet": 32, "Inception": 75, "NASNet": 32, "Xception": 71}
NAMES = (
    "ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge", "DenseNet121", "DenseNet169",
    "DenseNet201", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2",
    "EfficientNetV2B3", "EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L", "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "NASNetLarge", "NASNetMobile", "ResNet50",
    "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2", "VGG16", "VGG19", "Xception",
)


def size_of(name):
    return next((size for family, size in SMALLEST.items() if name.startswith(family)), 32)


def keras_half(folder, names):
    import keras

    keras.config.set_floatx("float64")
    for name in names:
        keras.backend.clear_session()
        start = time.process_time()
        options = {} if name.startswith("MobileNetV3") else {"classifier_activation": None}
        size = size_of(name)
        model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10, **options)
        seconds = time.process_time() - start
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for weight in model.weights:
            weight.assign(drawn(weight, rng))
        x = rng.uniform(0, 255, (2, size, size, 3))
        settle(keras, model, rng, size)
        y = np.asarray(model(x, training=False))
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", x=x, y=y, build_seconds=seconds)


def drawn(weight, rng):
    """Numbers in which nothing is trivial, and with which the signal neither dies nor explodes."""
    role = weight.path.rsplit("/", 1)[-1]
    if role in ("kernel", "depthwise_kernel", "pointwise_kernel"):
        fan_in = np.prod(weight.shape[:-1]) if role != "depthwise_kernel" else np.prod(weight.shape[:2])
        return rng.standard_normal(weight.shape) * np.sqrt(2 / fan_in)
    noise = rng.standard_normal(weight.shape)
    if role in ("gamma", "scale") or role.startswith("variable"):
        return 1.0 + 0.1 * noise
    # Those of a Normalization are of float32, as Keras has those that it is given.
    return np.exp(0.2 * noise).astype(np.float32) if role.endswith("variance") else (0.1 * noise).astype(np.float32)


def settle(keras, model, rng, size):
    """Moving statistics near those of the data, so that the last layers still see the images."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if norms:
        momenta = [layer.momentum for layer in norms]
        for layer in norms:
            layer.momentum = 0.0
        model(rng.uniform(0, 255, (8, size, size, 3)), training=True)
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
            variance = np.asarray(layer.moving_variance)
            layer.moving_mean.assign(layer.moving_mean + 0.1 * rng.standard_normal(variance.shape) * variance ** 0.5)
            layer.moving_variance.assign((variance + 1e-3) * np.exp(0.2 * rng.standard_normal(variance.shape)))


def pytorch_half(folder, names):
    import harness

    errors = {}
    for name in names:
        saved = np.load(folder / f"{name}.npz")
        start = time.process_time()
        spec, weights = harness.from_keras(folder / f"{name}.keras")
        imported = time.process_time() - start
        twin = harness.build(spec, "pytorch", weights=weights, dtype="float64")
        built = time.process_time() - start
        import torch

        twin.eval()
        with torch.no_grad():
            y = twin(torch.from_numpy(saved["x"])).numpy()
        errors[name] = {
            "error": float(np.abs(y - saved["y"]).max() / np.abs(saved["y"]).max()),
            "largest": float(np.abs(saved["y"]).max()),
            # How much two images differ in what the model makes of them: 0 would make the comparison an empty one.
            "between_images": float(np.abs(saved["y"][0] - saved["y"][1]).max() / np.abs(saved["y"]).max()),
            "parameters": spec.parameters, "calls": len(spec.nodes), "import_cpu_seconds": imported,
            "import_and_build_cpu_seconds": built, "keras_build_cpu_seconds": float(saved["build_seconds"]),
        }
        del twin, weights
    (folder / "errors.json").write_text(json.dumps(errors, indent=1))


if __name__ == "__main__":
    {"keras": keras_half, "pytorch": pytorch_half}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
