"""Every tensor accounted for: files made from the tables, then broken in every way. No framework, no transformers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.errors import SpecError
from harness.exchange.pretrained.files import digest, locate
from harness.exchange.pretrained.loading import ARCHITECTURES, load_pretrained
from harness.exchange.pretrained.models import from_pretrained, pretrained_model
from harness.models import load_model
from harness.spec.model import ModelSpec

SMALL = {
    "bert": {"input_shape": (5,), "vocabulary": 9, "width": 8, "depth": 2, "heads": 2, "feedforward": 6,
             "max_positions": 6},
    "gpt2": {"input_shape": (5,), "vocabulary": 9, "width": 8, "depth": 2, "heads": 2, "max_positions": 6},
    "vit": {"input_shape": (8, 8, 3), "width": 8, "depth": 1, "heads": 2, "num_classes": 3},
    "resnet": {"form": "imagenet", "depth": 18, "filters": 2, "num_classes": 3, "input_shape": (32, 32, 3)},
}
CONFIG = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "vocab_size": 9, "hidden_size": 8,
          "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 6, "max_position_embeddings": 6,
          "hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2, "hidden_dropout_prob": 0.1,
          "attention_probs_dropout_prob": 0.1}


def small(name: str, **parameters: Any) -> ModelSpec:
    given = {"distilbert": {**SMALL["bert"], "configuration": "distilbert-base-uncased"}}.get(name) or SMALL[name]
    return load_model(ARCHITECTURES[name].model, **{**given, **parameters})


def tensors_of(spec: ModelSpec, name: str, prefix: str = "") -> dict[str, np.ndarray]:
    """Drawn tensors under the names and in the shapes that the table gives."""
    rng, found = np.random.default_rng(0), {}
    for weight in spec.weights:
        rule, names = ARCHITECTURES[name].find(weight.name, prefix)
        found[names[0]] = rng.normal(size=rule.layout.tensor(weight.shape)).astype(np.float32)
    return found


def saved(folder: Path, tensors: dict[str, np.ndarray], config: Any = CONFIG) -> str:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return f"hf:{folder}"


@pytest.fixture
def bert(tmp_path: Path) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    spec = small("bert")
    return spec, tensors_of(spec, "bert", "bert.")


@pytest.mark.parametrize(("name", "parameters"), [
    ("bert", {}), ("bert", {"head": "mlm"}), ("bert", {"head": "pooled"}), ("distilbert", {}),
    ("distilbert", {"head": "mlm"}), ("gpt2", {}), ("gpt2", {"head": "classification"}), ("vit", {}), ("resnet", {}),
    ("resnet", {"depth": 50}),
])
def test_a_table_has_every_weight_of_its_model_once(name: str, parameters: dict, tmp_path: Path) -> None:
    spec = small(name, **parameters)
    tensors = tensors_of(spec, name)
    found = load_pretrained(saved(tmp_path / "m", tensors, None), spec, architecture=name)
    assert list(found.weights) == [weight.name for weight in spec.weights]
    assert {tensor for tensor, _ in found.sources.values()} == set(tensors)
    assert found.ignored == {}
    # Nothing is lost or read twice: the same numbers, in another order.
    read = np.sort(np.concatenate([array.ravel() for array in found.weights.values()]))
    assert np.array_equal(read, np.sort(np.concatenate([array.ravel() for array in tensors.values()])))
    matching = [rule for rule in ARCHITECTURES[name].rules for weight in spec.weights if rule.tensors(weight.name, "")]
    assert len(matching) == len(spec.weights)


def test_layouts_by_hand(tmp_path: Path) -> None:
    spec = small("gpt2")
    tensors = tensors_of(spec, "gpt2")
    weights = load_pretrained(saved(tmp_path / "m", tensors, None), spec, architecture="gpt2").weights
    packed = tensors["h.1.attn.c_attn.weight"]
    assert np.array_equal(weights["block_2_attention/value/kernel"][:, 1, 2], packed[:, 16 + 4 + 2])
    assert np.array_equal(weights["block_2_attention/key/bias"][1], tensors["h.1.attn.c_attn.bias"][12:16])
    assert np.array_equal(weights["block_1_attention/attention_output/kernel"][1, 3],
                          tensors["h.0.attn.c_proj.weight"][7])
    spec = small("bert")
    tensors = tensors_of(spec, "bert")
    weights = load_pretrained(saved(tmp_path / "m", tensors, None), spec, architecture="bert").weights
    query = tensors["encoder.layer.0.attention.self.query.weight"]
    assert np.array_equal(weights["block_1_attention/query/kernel"][:, 1, 3], query[7])
    assert np.array_equal(weights["block_1_attention/attention_output/kernel"][1, 3],
                          tensors["encoder.layer.0.attention.output.dense.weight"][:, 7])
    assert np.array_equal(weights["pooler/kernel"], tensors["pooler.dense.weight"].T)


def test_what_is_left_out_is_said(bert: tuple, tmp_path: Path) -> None:
    spec, tensors = bert
    tensors |= {"bert.embeddings.position_ids": np.arange(6)[None], "cls.seq_relationship.bias": np.zeros(2),
                "cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"].copy()}
    found = load_pretrained(saved(tmp_path / "m", tensors), spec)
    assert found.ignored == {
        "bert.embeddings.position_ids": "a counter 0, 1, 2, ..., no weight",
        "cls.predictions.decoder.weight": "the word embeddings once more",
        "cls.seq_relationship.bias": "the head for the next sentence, of pre-training",
    }


def test_every_misfit_is_listed(bert: tuple, tmp_path: Path) -> None:
    spec, tensors = bert
    del tensors["bert.encoder.layer.1.output.dense.bias"]
    tensors["bert.pooler.dense.weight"] = np.zeros((8, 9), np.float32)
    tensors["bert.encoder.layer.2.output.dense.bias"] = np.zeros(8, np.float32)
    tensors["cls.predictions.decoder.weight"] = np.zeros((9, 8), np.float32)
    with pytest.raises(SpecError) as error:
        load_pretrained(saved(tmp_path / "m", tensors), spec)
    message = str(error.value)
    assert "missing in the file: block_2_feedforward_2/bias (8)" in message
    assert "not in the model: bert.encoder.layer.2.output.dense.bias (8)" in message
    assert "bert.pooler.dense.weight is (8, 9), pooler/kernel needs (8, 8)" in message
    assert "should be bert.embeddings.word_embeddings.weight once more and holds other numbers" in message
    assert error.value.exit_code == 4


def test_a_new_head_is_named(bert: tuple, tmp_path: Path) -> None:
    spec, tensors = bert
    source = saved(tmp_path / "m", {name: array for name, array in tensors.items() if "classifier" not in name})
    with pytest.raises(SpecError, match=r"missing in the file: predictions/kernel \(8, 2\).*new: \[predictions\]"):
        load_pretrained(source, spec)
    found = load_pretrained(source, spec, new=["predictions"])
    assert found.new == ("predictions/kernel", "predictions/bias")
    with pytest.raises(SpecError, match=r"no layer fits 'prediction'\. Did you mean 'predictions'"):
        load_pretrained(source, spec, new=["prediction"])
    # The file's own head stays where it is, and the reason is said.
    found = load_pretrained(saved(tmp_path / "m", tensors), small("bert", num_classes=4), new=["predictions"])
    assert found.ignored["classifier.weight"] == "the model has another head"


def test_older_names_and_half_precision(bert: tuple, tmp_path: Path) -> None:
    spec, tensors = bert
    renamed = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"):
               array.astype(ml_dtypes.bfloat16) for name, array in tensors.items()}
    found = load_pretrained(saved(tmp_path / "m", renamed), spec)
    expected = tensors["bert.encoder.layer.0.output.LayerNorm.weight"].astype(ml_dtypes.bfloat16).astype(np.float32)
    assert found.weights["block_1_norm_2/gamma"].dtype == np.float32
    assert np.array_equal(found.weights["block_1_norm_2/gamma"], expected)


def test_several_files(bert: tuple, tmp_path: Path) -> None:
    spec, tensors = bert
    one = load_pretrained(saved(tmp_path / "one", tensors), spec)
    folder, names = tmp_path / "many", sorted(tensors)
    folder.mkdir()
    parts = {"a-1.safetensors": names[:9], "a-2.safetensors": names[9:]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    many = load_pretrained(f"hf:{folder}", spec)
    assert all(np.array_equal(many.weights[name], array) for name, array in one.weights.items())
    (folder / "a-2.safetensors").unlink()
    with pytest.raises(SpecError, match=r"files that are not there: a-2\.safetensors"):
        load_pretrained(f"hf:{folder}", spec)
    index["weight_map"]["x"] = "../other/model.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(SpecError, match=r"is no \.safetensors file of this folder"):
        load_pretrained(f"hf:{folder}", spec)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    for source in (f"hf:{tmp_path}", f"hf:{tmp_path / 'pytorch_model.bin'}"):
        with pytest.raises(SpecError, match=r"pytorch_model\.bin is a Python pickle.*save_pretrained"):
            load_pretrained(source, small("bert"), architecture="bert")


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"\x80\x04cos\nsystem\n", struct.pack("<Q", 2**60) + b"{}",
                                     struct.pack("<Q", 2) + b"[]"])
def test_broken_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(SpecError, match="not a readable safetensors file"):
        load_pretrained(f"hf:{tmp_path}", small("bert"), architecture="bert")


def test_numbers_that_are_none(bert: tuple, tmp_path: Path) -> None:
    spec, tensors = bert
    name = "bert.pooler.dense.bias"
    with pytest.raises(SpecError, match="holds numbers that are not finite"):
        load_pretrained(saved(tmp_path / "m", {**tensors, name: np.full(8, np.nan, np.float32)}), spec)
    with pytest.raises(SpecError, match="holds int8"):
        load_pretrained(saved(tmp_path / "m", {**tensors, name: np.zeros(8, np.int8)}), spec)


@pytest.mark.parametrize(("source", "message"), [
    ("hf:", "needs a folder or a name"), ("hf:./nowhere", "there is no such folder"),
    ("hf:package:no_such_package_here/model", "it is not installed"),
    ("hf:package:numpy/no/such", "it has no 'no/such'"),
])
def test_places(source: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        locate(source)


def test_a_name_of_the_hub_without_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SpecError, match=r"needs huggingface_hub.*harness\[hub\]"):
        locate("hf:somebody/some-model")


def test_a_name_of_the_hub_comes_from_its_cache(bert: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache as huggingface_hub lays it out; no network is asked."""
    commit = "0" * 40
    snapshot = tmp_path / "models--somebody--some-model" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    saved(snapshot, bert[1])
    refs = tmp_path / "models--somebody--some-model" / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert locate("hf:somebody/some-model") == snapshot
    assert locate(f"hf:somebody/some-model@{commit}") == snapshot


def test_config_json_says_what_the_model_is(bert: tuple, tmp_path: Path) -> None:
    source = saved(tmp_path / "m", bert[1])
    spec, weights = from_pretrained(source, input_shape=(5,))
    assert spec.digest == bert[0].digest
    assert set(weights) == {weight.name for weight in spec.weights}
    assert pretrained_model(source, input_shape=(5,), head="embedding").tensors["sentence_embedding"] == (None, 8)
    for change, message in (({"hidden_act": "quick_gelu"}, "hidden_act is 'quick_gelu'"),
                            ({"is_decoder": True}, "is_decoder is True, only False"),
                            ({"position_embedding_type": "relative_key"}, "only 'absolute' is supported"),
                            ({"model_type": "llama"}, "no table for the architecture 'llama'"),
                            ({"model_type": None}, "no config.json says what these weights are of")):
        with pytest.raises(SpecError, match=message):
            from_pretrained(saved(tmp_path / "m", bert[1], {**CONFIG, **change}), input_shape=(5,))
    source = saved(tmp_path / "m", bert[1])
    with pytest.raises(SpecError, match=r"unknown parameter 'widht' of bert\. Did you mean 'width'"):
        pretrained_model(source, widht=3)
    (tmp_path / "m" / "config.json").write_text("{")
    with pytest.raises(SpecError, match=r"config\.json is no JSON"):
        from_pretrained(source)


def test_the_digest_is_of_the_content(bert: tuple, tmp_path: Path) -> None:
    one, same = saved(tmp_path / "one", bert[1]), saved(tmp_path / "same", bert[1])
    assert digest(one) == digest(same)
    bert[1]["bert.pooler.dense.bias"][0] += 1
    assert digest(saved(tmp_path / "same", bert[1])) != digest(one)
