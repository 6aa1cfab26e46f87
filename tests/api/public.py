"""The public Python API in one framework's process: python -m tests.api.public <backend> <out.npz>."""

import sys

import numpy as np
import pytest

import harness
from harness.records.checkpoint import save_checkpoint


def main() -> None:
    backend, out = sys.argv[1], sys.argv[2]
    spec = harness.load_model("cnn", input_shape=(8, 8), num_classes=10, filters=(4,), units=8,
                              batch_normalization=True)
    saved = {}

    model = harness.build(spec, backend, seed=4, dtype="float64")
    first = harness.get_weights(model)
    x = np.random.default_rng(0).normal(size=(5, 8, 8))
    if backend == "tensorflow":
        saved["outputs"] = np.asarray(model(x, training=False))
    else:
        import torch

        model.eval()
        saved["outputs"] = model(torch.from_numpy(x)).detach().numpy()

    doubled = {name: 2 * array for name, array in first.items()}
    harness.set_weights(model, doubled)
    assert all(np.array_equal(array, doubled[name]) for name, array in harness.get_weights(model).items())
    for wrong in ({**doubled, "extra/kernel": x}, {**doubled, "hidden/bias": np.zeros(3)}, {}):
        with pytest.raises(harness.SpecError, match=r"hidden/bias|extra/kernel"):
            harness.set_weights(model, wrong)

    recipe = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], "batch_size": 16}
    batches = np.arange(48).reshape(3, 16)
    exact = {"data": "digits", "backend": backend, "dtype": "float64"}
    record = harness.train(spec, recipe, batches=batches, weights=first, execution={"compile": "none"}, **exact)
    assert record.status == "done"
    assert record.losses.shape == (3,)
    assert set(record.weights) == set(first)
    after = harness.get_weights(record.model)
    assert all(np.array_equal(record.weights[name], after[name]) for name in first)
    assert 0 <= record.metrics["test_accuracy"] <= 1
    saved["losses"] = record.losses
    saved |= {f"weight {name}": array for name, array in record.weights.items()}
    saved |= {f"first {name}": array for name, array in first.items()}

    # A fine-tuning that starts from a canonical checkpoint on disk.
    path = out + ".safetensors"
    save_checkpoint(path, record.weights)
    phase = {"name": "tune", "start_from": path, "steps": 3, "freeze": ["conv_*"]}
    tuned = harness.train(spec, {**recipe, "phases": [phase]}, execution={"compile": "none"}, **exact)
    assert np.array_equal(tuned.weights["conv_1/kernel"], record.weights["conv_1/kernel"])
    saved["tuned losses"] = tuned.losses

    idiomatic = harness.train(spec, {**recipe, "shuffle": False}, weights=first,
                              execution={"tier": "idiomatic", "compile": "none"}, **exact)
    saved["idiomatic losses"] = idiomatic.losses
    saved["idiomatic kernel"] = idiomatic.weights["hidden/kernel"]
    np.savez(out, **saved)


if __name__ == "__main__":
    main()
