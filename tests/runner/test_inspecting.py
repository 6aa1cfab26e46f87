"""What a look at a trained model keeps: of sessions that say what they are told to, and alike in both frameworks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness import Input, Model, SpecError, layers, load_model
from harness.data.dataset import Arrays, Dataset
from harness.data.vocabularies import Vocabulary
from harness.plan.compiler import compile_phase
from harness.records.inspection import Inspection
from harness.records.record import read_record
from harness.report.write import write_report
from harness.runner.inspecting import INSPECT, MOST_CLASSES, MOST_KEPT, inspector
from harness.runner.inspecting_images import behind
from harness.runner.inspecting_texts import NEW_TOKENS, PROMPT_TOKENS
from harness.runner.matrix import cells
from harness.runner.spelling import Speller, spelled, vocabulary_of
from harness.runner.workers import Job
from harness.spec.experiment import Experiment
from harness.spec.recipe import Recipe

LETTERS = Vocabulary(("", "[UNK]", "[START]", "[END]", *"abcdef"), 0, 1, 2, 3, None, (0, 1, 2, 3))


class Session:
    """Says the same outputs for whatever it is asked: (examples, inputs) -> arrays."""

    def __init__(self, say: Any) -> None:
        self.say = say
        self.evaluations = 0

    def evaluate(self, arrays: Any, batch_size: int) -> tuple[float, tuple[np.ndarray, ...]]:
        self.evaluations += 1
        return 0.0, self.say(len(arrays), arrays.x)

    def predict(self, x: Mapping[str, np.ndarray], batch_size: int) -> tuple[np.ndarray, ...]:
        return self.say(len(next(iter(x.values()))), x)


def looked(model: Any, loss: Any, x: Any, y: np.ndarray, say: Any, vocabularies: dict[str, Vocabulary] | None = None,
           split: str = "validation") -> Inspection:
    """A look at a model on these examples (x: an array, or several by name)."""
    x = x if isinstance(x, dict) else {"x": x}
    part = Arrays(x, {"y": y})
    dataset = Dataset("made", part, part if split == "validation" else None, part, "", None, (), vocabularies or {})
    (phase,) = Recipe.parse({"loss": loss}).resolved_phases()
    plan = compile_phase(model, phase, index=0, examples=len(y), seed=0, dtype="float32")
    execution: Any = SimpleNamespace()
    inspect = inspector(SimpleNamespace(), execution, 0)  # type: ignore[arg-type]
    assert inspect is not None
    found = inspect(say if isinstance(say, Session) else Session(say), plan, phase, dataset)  # type: ignore[arg-type]
    assert found is not None
    json.dumps(found.data)
    return found


def classifier(units: int, activation: str | None = None) -> Any:
    image = Input((2,), name="x")
    return Model(image, layers.Dense(units, activation=activation, name="scores")(image))


def test_logits_probabilities_and_one_hot_labels_say_the_same() -> None:
    random = np.random.default_rng(0)
    x, y, logits = np.zeros((20, 2)), random.integers(0, 4, 20), random.normal(size=(20, 4)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    sparse, hot = "SparseCategoricalCrossentropy", "CategoricalCrossentropy"
    found = [
        looked(classifier(4), {sparse: {"from_logits": True}}, x, y, lambda n, x: (logits,)),
        looked(classifier(4, "softmax"), {sparse: {}}, x, y, lambda n, x: (shares,)),
        looked(classifier(4, "softmax"), {hot: {}}, x, np.eye(4, dtype=np.float32)[y], lambda n, x: (shares,)),
    ]
    for item in found:
        assert item.data["classes"] == [
            {"output": "scores", "count": 4, "names": None, "elements": False, "kept": 20}]
        np.testing.assert_array_equal(item.array("label"), y)
        np.testing.assert_array_equal(item.array("predicted"), logits.argmax(-1))
        np.testing.assert_allclose(item.array("probability"), shares.max(-1), rtol=1e-6)
        assert item.array("confusion").sum() == 20
        assert item.array("confusion")[y[0], logits[0].argmax()] >= 1
        assert item.data["notes"] == []


def test_one_number_is_two_classes() -> None:
    y, out = np.array([0, 1, 1, 0]), np.array([[0.2], [0.9], [0.4], [0.5]], np.float32)
    found = looked(classifier(1, "sigmoid"), "binary_crossentropy", np.zeros((4, 2)), y, lambda n, x: (out,),
                   {"y": Vocabulary(("no", "yes"))})
    assert found.array("predicted").tolist() == [0, 1, 0, 0]  # exactly one half is not above it, as in Keras
    assert found.array("probability").tolist() == pytest.approx([0.8, 0.9, 0.6, 0.5])
    assert found.array("confusion").tolist() == [[2, 0], [1, 1]]
    assert found.data["classes"][0]["names"] == ["no", "yes"]


def test_what_is_kept_is_bounded_and_what_names_no_classes_is_left() -> None:
    size = MOST_KEPT + 5
    session = Session(lambda n, x: (np.tile(np.float32([0.1, 0.9]), (n, 1)),))
    found = looked(classifier(2, "softmax"), "sparse_categorical_crossentropy", np.zeros((size, 2)),
                   np.zeros(size, np.int64), session, split="test")
    assert found.split == "test"
    assert found.data["examples"] == found.array("confusion").sum() == size
    assert len(found.array("predicted")) == MOST_KEPT
    assert session.evaluations == 1
    for units, loss in ((MOST_CLASSES + 1, "sparse_categorical_crossentropy"), (1, "mse")):
        session = Session(lambda n, x: (np.zeros((n, 1)),))
        y = np.zeros(4, np.int64 if units > 1 else np.float32)
        found = looked(classifier(units), loss, np.zeros((4, 2)), y, session)
        assert (found.data.get("classes"), dict(found.arrays), session.evaluations) == (None, {}, 0)


def test_pixels_are_counted_and_masks_kept() -> None:
    image = Input((8, 8, 1), name="x")
    model = Model(image, layers.Conv2D(3, 1, activation="softmax", name="mask")(image))
    x = np.random.default_rng(0).random((9, 8, 8, 1)).astype(np.float32)
    y = np.arange(9 * 64).reshape(9, 8, 8) % 3
    said = (y + (y == 2)) % 3  # class 2 is taken for class 0
    found = looked(model, {"SparseCategoricalCrossentropy": {"ignore_class": 1}}, x, y,
                   lambda n, x: (np.eye(3, dtype=np.float32)[said[:n]],))
    assert found.array("confusion").tolist() == [[192, 0, 0], [0, 0, 0], [192, 0, 0]]
    assert len(found.array("predicted")) == 0
    np.testing.assert_array_equal(found.arrays["images_label"][..., 0], y[:8])
    np.testing.assert_array_equal(found.arrays["images_made"][..., 0], said[:8])
    assert found.arrays["images_given"].dtype == np.uint8


def test_reconstructions_are_small_bytes() -> None:
    image = Input((130, 20), name="x")
    model = Model(image, layers.Dense(20, name="again")(image))
    x = np.linspace(-2, 2, 3 * 130 * 20).reshape(3, 130, 20).astype(np.float32)
    found = looked(model, "mse", x, x, lambda n, given: (given["x"] + 0.5,))
    assert found.arrays["images_given"].shape == (3, 44, 7, 1)  # every third pixel: no side above 64
    assert found.arrays["images_given"].min() == 0
    assert found.arrays["images_made"].max() == 255  # clipped
    assert found.data["images"]["mean_squared_errors"] == pytest.approx([0.25] * 3, rel=1e-4)
    assert "images_sampled" not in found.arrays


def test_a_language_model_goes_on() -> None:
    model = load_model("character_language_model", input_shape=(40,), vocabulary=10, embedding=2, units=2)
    ids = (np.arange(3 * 41) % 6 + 4).reshape(3, 41)

    def after(n: int, x: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        """After each letter the next one of the alphabet, for sure."""
        return (np.eye(10, dtype=np.float32)[(x["characters"] - 4 + 1) % 6 + 4],)

    found = looked(model, "sparse_categorical_crossentropy", ids[:, :40].astype(np.int32), ids[:, 1:].astype(np.int64),
                   after, {"y": LETTERS, "x": LETTERS})
    texts = found.data["texts"]
    assert len(texts) == 2
    assert all(len(item["prompt"]) == PROMPT_TOKENS and len(item["text"]) == NEW_TOKENS for item in texts)
    endless = "abcdef" * 20
    assert all(item["prompt"] + item["text"] in endless for item in texts)
    assert "classes" not in found.data  # words are no classes


def test_a_model_that_looks_ahead_is_said_and_nothing_is_lost() -> None:
    model = load_model("character_language_model", input_shape=(40,), vocabulary=10, embedding=2, units=2)
    ids = np.full((2, 41), 4)
    found = looked(model, "sparse_categorical_crossentropy", ids[:, :40].astype(np.int32), ids[:, 1:].astype(np.int64),
                   lambda n, x: (np.full((n, 40, 10), x["characters"].mean()),), {"y": LETTERS})
    assert any("looks at later tokens" in note for note in found.data["notes"])


def test_nobody_looks_where_nobody_wants_to(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = SimpleNamespace()
    assert inspector(nothing, nothing, 0, wanted=False) is None
    monkeypatch.setenv(INSPECT, "0")
    assert inspector(nothing, nothing, 0) is None


def test_the_model_behind_a_layer() -> None:
    spec = load_model("vae", input_shape=(8, 8), filters=[2], latent=3)
    decoder = behind(spec, "sample")
    assert decoder is not None
    assert decoder.inputs[0].shape == (None, 3)
    assert decoder.tensors[decoder.outputs[0]] == (None, 8, 8)
    names = {weight.name: weight.shape for weight in spec.weights}
    assert {weight.name: weight.shape for weight in decoder.weights}.items() <= names.items()
    assert not any(weight.name.startswith(("mean", "encoder")) for weight in decoder.weights)
    # Another way leads around it, or there is none.
    image = Input((4,), name="x")
    around = layers.Dense(4, name="sample")(image)
    assert behind(Model(image, layers.Add()([around, image])), "sample") is None
    assert behind(spec, "nowhere") is None
    assert behind(spec, spec.inputs[0].name) is None


def test_words_and_ids() -> None:
    assert spelled(LETTERS, [2, 4, 5, 1, 6, 3, 4]) == "abc"
    assert spelled(LETTERS, [4, 99, -1, 5]) == "a\ufffd\ufffdb"
    assert spelled(Vocabulary(("the", "cat", "##s")), [0, 1, 2]) == "the cats"
    assert spelled(Vocabulary(("Ġthe", "Ġcat", "s", "Ċ")), [0, 1, 2, 3]) == " the cats\n"
    assert vocabulary_of(LETTERS.summary()) == LETTERS
    assert vocabulary_of({"size": 999, "sha256": ""}) is None
    speller = Speller(LETTERS, LETTERS)
    assert speller.encode("Abz").ids == [4, 5, 1]
    with pytest.raises(SpecError, match="'z' is not in the vocabulary"):
        Speller(Vocabulary(("a",)), LETTERS).encode("z")


EXPERIMENTS: dict[str, dict[str, Any]] = {
    "classes": {"model": "mlp_64_64", "data": {"source": "digits", "prepare": ["standardise"]},
                "recipe": {"loss": "sparse_categorical_crossentropy", "epochs": 1, "metrics": ["accuracy"]}},
    "images": {"model": {"vae": {"input_shape": [8, 8], "filters": [2], "latent": 3}},
               "data": {"source": "digits", "prepare": ["reconstruct"], "classes": "none"}, "recipe": {"loss": "mse"}},
    "texts": {"model": {"character_language_model": {"embedding": 4, "units": [8]}},
              "data": {"source": {"text_file": "text.txt"},
                       "prepare": [{"to_ids": {"pad": "none"}}, {"language_model": {"block": 20}}]},
              "recipe": {"loss": "sparse_categorical_crossentropy"}},
    "pairs": {"model": {"seq2seq_lstm": {"source_steps": 4, "target_steps": 5, "source_vocabulary": 8,
                                         "target_vocabulary": 8, "embedding": 4, "units": 4}},
              "data": {"source": {"csv": "pairs.csv", "target": "kind", "text": ["word", "sound"]},
                       "prepare": [{"sequence_pairs": {
                           "source": "word", "target": "sound", "target_units": "character"}}]},
              "recipe": {"loss": "sparse_categorical_crossentropy", "optimizer": {"Adam": {"learning_rate": 0.01}}}},
}


@pytest.mark.frameworks
@pytest.mark.sweep
def test_both_frameworks_find_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.cli.main import main
    from harness.runner.certify import both_workers

    random = np.random.default_rng(0)
    (tmp_path / "text.txt").write_text("\n".join(["the quick brown fox jumps over the lazy dog"] * 40))
    words = ["".join(random.choice(list("abcd"), 4)) for _ in range(80)]
    rows = [f"{word},{word[::-1]},{number % 2}\n" for number, word in enumerate(words)]
    (tmp_path / "pairs.csv").write_text("".join(["word,sound,kind\n", *rows]))
    with both_workers() as workers:
        for kind, experiment in EXPERIMENTS.items():
            found = {}
            for cell in cells(Experiment.parse({**experiment, "seed": [0]}, folder=tmp_path)):
                folder = tmp_path / kind / "cells" / cell.id
                workers[cell.backend].run(Job("harness.runner.cell:cell_job", {
                    "cell": cell.to_data(), "folder": str(folder), "checkpoints": {}})).unwrap()
                look = read_record(folder).inspection
                assert look is not None
                found[cell.backend] = look
            compare(kind, found["tensorflow"], found["pytorch"])
            page = write_report(tmp_path / kind, tmp_path / kind / "report").read_text()
            assert "What the models say" in page
    capsys.readouterr()
    assert main(["generate", str(folder), "--prompt", "abca", "--beam", "3", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["texts"]
    assert written["tensorflow"] == written["pytorch"]
    assert set(written["pytorch"]) <= set("abcd\ufffd")


def compare(kind: str, one: Inspection, other: Inspection) -> None:
    assert one.data["notes"] == other.data["notes"] == []
    assert one.data["seconds"] > 0
    assert kind in one.data
    assert set(one.arrays) == set(other.arrays)
    for name, array in one.arrays.items():
        np.testing.assert_allclose(array.astype(float), other.arrays[name].astype(float), rtol=1e-3, atol=1)
    if kind in ("texts", "pairs"):
        written = [[(item.get("text"), item.get("written")) for item in look.data[kind]] for look in (one, other)]
        assert written[0] == written[1]
        assert len(written[0]) == {"texts": 2, "pairs": 8}[kind]
    if kind == "images":
        assert one.arrays["images_sampled"].shape == (8, 8, 8, 1)
