"""The outputs of a saved model as Keras itself loads it: what the harness's own model is held against."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from harness.backends.tensorflow.layers.stock import numpy


def outputs_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """A workers' entry point. arguments: {"model": a .keras or .h5 file, "inputs": .npz, "file": .npz}.

    The outputs in inference mode, in the model's order, as "0", "1", ... safe_mode: Keras runs no code of the file.
    """
    model = keras.models.load_model(arguments["model"], compile=False, safe_mode=True)
    with np.load(arguments["inputs"]) as file:
        inputs = [file[str(index)] for index in range(len(file.files))]
    fed = [keras.ops.convert_to_tensor(array, tensor.dtype) for array, tensor in zip(inputs, model.inputs, strict=True)]
    structure = keras.tree.pack_sequence_as(model._inputs_struct, fed)
    outputs = keras.tree.flatten(model(structure, training=False))
    arrays: dict[str, Any] = {str(index): numpy(output) for index, output in enumerate(outputs)}
    np.savez(arguments["file"], **arrays)
    return {"dtype": model.dtype_policy.name}
