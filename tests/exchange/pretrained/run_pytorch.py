"""`python -m tests.exchange.pretrained.run_pytorch FOLDER`: writes FOLDER/<case>/ (a model that transformers saved, its
inputs and outputs in reference.npz) for every case, and what the PyTorch backend makes of it in pytorch.npz."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import harness
from harness.exchange.pretrained.loading import load_pretrained
from harness.exchange.pretrained.models import from_pretrained
from tests.exchange.pretrained import torch_resnet
from tests.exchange.pretrained.cases import CASES, MINILM, RESNETS, SENTENCES, Case, fed, inputs_of

CONFIGURATIONS = {"Bert": "BertConfig", "Dist": "DistilBertConfig", "GPT2": "GPT2Config", "ViTF": "ViTConfig"}


def save_reference(case: Case, folder: Path) -> None:
    """Drawn weights, in float32 in the file; the outputs in float64."""
    config = getattr(transformers, CONFIGURATIONS[case.model[:4]])(**case.config)
    model = getattr(transformers, case.model)(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    arrays = inputs_of(case)
    given = {name: torch.from_numpy(array).long() for name, array in arrays.items() if name != "image"}
    if case.images:
        given = {"pixel_values": torch.from_numpy(arrays["image"]).permute(0, 3, 1, 2)}
    with torch.no_grad():
        output = getattr(model.double()(**given), case.output).numpy()
    np.savez(folder / "reference.npz", output=output, **arrays)


def ours(spec: Any, weights: Any, arrays: list[np.ndarray], dtype: str = "float64") -> np.ndarray:
    model = harness.build(spec, "pytorch", weights=weights, dtype=dtype).eval()
    with torch.no_grad():
        return model(*(torch.from_numpy(array) for array in arrays)).numpy()


def save_resnet(depth: int, folder: Path) -> None:
    folder.mkdir()
    model = torch_resnet.resnet(depth, 4, 3).eval()
    save_file(model.state_dict(), folder / "model.safetensors")
    image = np.random.default_rng(4).normal(size=(2, 64, 64, 3))
    with torch.no_grad():
        output = model.double()(torch.from_numpy(image).permute(0, 3, 1, 2)).numpy()
    np.savez(folder / "reference.npz", output=output, image=image)
    spec = harness.load_model("resnet", form="imagenet", depth=depth, filters=4, num_classes=3,
                              input_shape=(64, 64, 3), output_activation=None)
    found = load_pretrained(f"hf:{folder}", spec, architecture="resnet")
    np.savez(folder / "pytorch.npz", output=ours(spec, found.weights, [image]))


def save_minilm(folder: Path) -> None:
    """The package's model on real sentences: hidden states of BertModel, embeddings as sentence-transformers does."""
    from tokenizers import Tokenizer

    from harness.exchange.pretrained.files import locate

    folder.mkdir()
    place = locate(MINILM)
    tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(SENTENCES))
    arrays = {"input_ids": np.array([item.ids for item in encoded], np.int32),
              "attention_mask": np.array([item.attention_mask for item in encoded], np.int32),
              "token_type_ids": np.array([item.type_ids for item in encoded], np.int32)}
    model = transformers.BertModel.from_pretrained(place).eval()
    given = {name: torch.from_numpy(array).long() for name, array in arrays.items()}
    with torch.no_grad():
        found = model(**given)
        exact = model.double()(**given).last_hidden_state
    hidden = found.last_hidden_state
    seen = torch.from_numpy(arrays["attention_mask"])[:, :, None].float()
    embedding = torch.nn.functional.normalize((hidden * seen).sum(1) / seen.sum(1).clamp(min=1e-9))
    np.savez(folder / "reference.npz", hidden=hidden.numpy(), pooled=found.pooler_output.numpy(),
             embedding=embedding.numpy(), hidden64=exact.numpy(), **arrays)
    outputs = {}
    for head in ("hidden", "pooled", "embedding"):
        spec, weights = from_pretrained(MINILM, input_shape=arrays["input_ids"].shape[1:], head=head)
        outputs[head] = ours(spec, weights, fed(spec, arrays), "float32")
        if head == "hidden":
            outputs["hidden64"] = ours(spec, weights, fed(spec, arrays))
    np.savez(folder / "pytorch.npz", **outputs)


def main(folder: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    for name, case in CASES.items():
        place = folder / name
        save_reference(case, place)
        spec, weights = from_pretrained(f"hf:{place}", **case.parameters)
        np.savez(place / "pytorch.npz", output=ours(spec, weights, fed(spec, inputs_of(case))))
    for name, depth in RESNETS.items():
        save_resnet(depth, folder / name)
    save_minilm(folder / "minilm")
    (folder / "versions.json").write_text(json.dumps({"transformers": transformers.__version__}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
