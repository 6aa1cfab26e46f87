"""`weights:` of a recipe and `model: hf:...` of an experiment, before any framework."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.cli.main import main
from harness.errors import SpecError
from harness.exchange.pretrained.loading import ARCHITECTURES
from harness.exchange.pretrained.models import pretrained_model
from harness.exchange.pretrained.tokenizer import check_vocabulary, load_tokenizer, vocabulary_size
from harness.models import load_model
from harness.plan.initial import initial_weights
from harness.records.checkpoint import save_checkpoint
from harness.runner.matrix import checkpoint_hashes
from harness.runner.pretrained import first_weights
from harness.spec.explicit import explicit
from harness.spec.recipe import Recipe

CONFIG = {"model_type": "gpt2", "architectures": ["GPT2Model"], "vocab_size": 11, "n_embd": 8, "n_layer": 1,
          "n_head": 2, "n_positions": 6, "activation_function": "gelu_new"}
EXPERIMENT = """
model: {{"hf:there": {{head: classification}}}}
data: {{arrays: data.npz}}
recipe: {{loss: sparse_categorical_crossentropy, weights: "hf:there"{new}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved GPT-2 without a head, and eight texts of three classes."""
    place = tmp_path / "there"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(CONFIG))
    rng, tensors = np.random.default_rng(0), {}
    for weight in pretrained_model(f"hf:{place}", input_shape=(5,)).weights:
        rule, names = ARCHITECTURES["gpt2"].find(weight.name, "")
        tensors[names[0]] = rng.normal(size=rule.layout.tensor(weight.shape)).astype(np.float32)
    save_file(tensors, place / "model.safetensors")
    np.savez(tmp_path / "data.npz", x_train=rng.integers(0, 11, (8, 5)), y_train=np.arange(8) % 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(**given: object) -> Recipe:
    return Recipe.parse({"loss": "sparse_categorical_crossentropy", **given})


def test_first_weights(folder: Path) -> None:
    spec = pretrained_model("hf:there", folder, input_shape=(5,), head="classification", num_classes=3)
    assert first_weights(spec, recipe(), 0, folder) is None
    found = first_weights(spec, recipe(weights="hf:there", new=["predictions"]), 3, folder)
    drawn = initial_weights(spec, 3)
    assert list(found) == [weight.name for weight in spec.weights]
    assert np.array_equal(found["predictions/kernel"], drawn["predictions/kernel"])
    assert not np.allclose(found["word_embedding/embeddings"], drawn["word_embedding/embeddings"])
    with pytest.raises(SpecError, match=r"weights: hf:there: .* missing in the file: predictions/kernel \(8, 3\)"):
        first_weights(spec, recipe(weights="hf:there"), 0, folder)


def test_own_files(folder: Path) -> None:
    spec = load_model("mlp", input_shape=(3,), units=(4,), num_classes=2)
    weights = initial_weights(spec, 5)
    save_checkpoint(folder / "w.safetensors", weights)
    assert first_weights(spec, recipe(weights="w.safetensors"), 0, folder).keys() == weights.keys()
    other = load_model("mlp", input_shape=(3,), units=(4,), num_classes=7)
    with pytest.raises(SpecError, match="wrongly shaped: "):
        first_weights(other, recipe(weights="w.safetensors"), 0, folder)
    last = list(spec.layers)[-1]
    found = first_weights(other, recipe(weights="w.safetensors", new=[last]), 0, folder)
    assert np.array_equal(found[f"{last}/kernel"], initial_weights(other, 0)[f"{last}/kernel"])


def test_a_recipe_says_what_it_starts_from() -> None:
    found = recipe(weights="hf:there", new="predictions")
    assert found.new == ("predictions",)
    assert Recipe.parse(found.to_data()).weights == "hf:there"
    # What was recorded before there was such a key keeps its id.
    assert not {"weights", "new"} & set(explicit(recipe()))
    for given, message in (({"weights": "model.bin"}, r"got 'model\.bin'.*pickle.*safetensors"),
                           ({"new": ["a"]}, "there is no weights")):
        with pytest.raises(SpecError, match=message):
            recipe(**given)


def test_the_files_are_part_of_a_cells_id(folder: Path) -> None:
    one = checkpoint_hashes(recipe(weights="hf:there"), folder)
    assert len(one["weights"]) == 64
    assert checkpoint_hashes(recipe(weights="hf:elsewhere"), folder) == {"weights": "missing"}
    (folder / "there" / "config.json").write_text(json.dumps({**CONFIG, "resid_pdrop": 0.2}))
    assert checkpoint_hashes(recipe(weights="hf:there"), folder) != one
    assert checkpoint_hashes(recipe(), folder) == {}


def test_an_experiment_is_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "e.yaml").write_text(EXPERIMENT.format(new=", new: [predictions]"))
    assert main(["check", "e.yaml", "--json"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    (folder / "there" / "model.safetensors").rename(folder / "there" / "pytorch_model.bin")
    assert main(["check", "e.yaml"]) == 4
    error = capsys.readouterr().err
    assert "pytorch_model.bin is a Python pickle" in error
    assert "Traceback" not in error


def test_import_writes_spec_and_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "hf:there", "head=classification", "num_classes=3", "input_shape=[5]", "--new",
                 "predictions", "-o", "g.yaml", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["tensors"]["block_1_attention/key/kernel"] == {"tensor": "h.0.attn.c_attn.weight",
                                                              "layout": "part 2 of 3, split into heads"}
    assert load_model("g.yaml").digest == data["digest"]
    assert (folder / "g.safetensors").is_file()
    assert main(["import", "hf:there", "head=classification", "-o", "h.yaml"]) == 4
    assert "A layer that is to be drawn anew is named: new: [predictions]." in capsys.readouterr().err
    assert not (folder / "h.yaml").exists()
    assert main(["import", "there.keras", "head=hidden"]) == 4


def test_a_tokenizer_is_the_models() -> None:
    import tokenizers

    spec = load_model("gpt2", input_shape=(5,), vocabulary=11, width=8, depth=1, heads=2)
    assert vocabulary_size(spec) == 11
    words = {f"w{number}": number for number in range(11)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    check_vocabulary(tokenizer, spec)
    tokenizer.add_special_tokens(["[PAD]"])
    with pytest.raises(SpecError, match="the tokenizer has 12 tokens, the model 'gpt2' takes 11"):
        check_vocabulary(tokenizer, spec)
    with pytest.raises(SpecError, match="the tokenizer has 12 tokens, the model 'gpt2' was made for 13"):
        check_vocabulary(tokenizer, load_model("gpt2", input_shape=(5,), vocabulary=13, width=8, depth=1, heads=2))
    with pytest.raises(SpecError, match="does not read ids"):
        check_vocabulary(tokenizer, load_model("mlp"))


def test_tokenizer_files(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no tokenizer\.json"):
        load_tokenizer("there")
    (folder / "there" / "tokenizer.json").write_text("{")
    with pytest.raises(SpecError, match="is no tokenizer"):
        load_tokenizer("there")
