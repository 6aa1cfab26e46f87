"""A module's parameters and buffers as a safetensors file, read with torch alone.

`load_weights` is copied into exported files: it uses the standard library and torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
          "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
          "BOOL": torch.bool}


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Loads the tensors of a safetensors file into the model, converted to the types of its own.

    Raises ValueError for a file that is none or is cut short, and for tensors that are missing, unknown or of
    another shape than the model's; the model is left as it was then.
    """
    stored, own = read_tensors(path), model.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in stored]
    wrong += [f"{name} is not in the model" for name in stored if name not in own]
    wrong += [f"{name} has the shape {tuple(stored[name].shape)}, the model's is {tuple(tensor.shape)}"
              for name, tensor in own.items() if name in stored and stored[name].shape != tensor.shape]
    if wrong:
        raise ValueError(f"{path} does not fit the model: {'; '.join(wrong[:10])}{'; ...' if len(wrong) > 10 else ''}.")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(stored[name])


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file: 8 bytes that tell the length of a JSON header, the header, the values."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    start = 8 + int.from_bytes(content[:8], "little")
    if not 8 < start <= len(content):
        raise ValueError(f"{path} is not a safetensors file, or it is cut short.")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        shape, dtype = entry["shape"], DTYPES[entry["dtype"]]
        first, last = entry["data_offsets"]
        count = math.prod(shape)
        if not 0 <= first <= last <= len(content) - start or last - first != count * dtype.itemsize:
            raise ValueError(f"{path} is cut short or damaged at {name}.")
        values = torch.frombuffer(content, dtype=dtype, count=count, offset=start + first) if count else torch.empty(0)
        tensors[name] = values.reshape(shape)
    return tensors


def save_weights(tensors: Mapping[str, torch.Tensor], path: str | Path, metadata: Mapping[str, str]) -> None:
    """Writes the file that `load_weights` reads. metadata: notes in its header."""
    from safetensors.torch import save_file

    # Copies: tensors that share memory, or are no block of it, are refused.
    plain = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
             for name, tensor in tensors.items()}
    save_file(plain, str(path), metadata={"format": "pt", **metadata})
