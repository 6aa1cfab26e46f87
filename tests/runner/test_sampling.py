"""Which token comes next, against the definitions; and that both frameworks choose the same ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness import SpecError, load_model
from harness.errors import DataError
from harness.plan.initial import initial_weights
from harness.runner.generating import check_language_model, generate
from harness.runner.sampling import Sampling

LOGITS = np.log(np.array([[0.1, 0.4, 0.05, 0.25, 0.2]]))
GPT2 = {"input_shape": (6,), "vocabulary": 11, "width": 8, "depth": 1, "heads": 2, "max_positions": 6}


def shares(sampling: Sampling, draws: int = 20000) -> np.ndarray:
    chosen = np.concatenate([sampling.choose(np.repeat(LOGITS, 500, 0), step) for step in range(draws // 500)])
    return np.bincount(chosen, minlength=5) / draws


@pytest.mark.parametrize(("given", "expected"), [
    ({}, [0.1, 0.4, 0.05, 0.25, 0.2]), ({"temperature": 0.0}, [0, 1, 0, 0, 0]),
    ({"temperature": 0.5}, np.array([0.01, 0.16, 0.0025, 0.0625, 0.04]) / 0.275),
    ({"top_k": 2}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]), ({"top_k": 1}, [0, 1, 0, 0, 0]),
    ({"top_k": 99}, [0.1, 0.4, 0.05, 0.25, 0.2]),
    # 0.4 + 0.25 reach 0.6; 0.65 is not enough for 0.7, the next one crosses it.
    ({"top_p": 0.6}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]), ({"top_p": 0.7}, [0, 0.4 / 0.85, 0, 0.25 / 0.85, 0.2 / 0.85]),
    ({"top_p": 0.01}, [0, 1, 0, 0, 0]), ({"top_p": 1.0}, [0.1, 0.4, 0.05, 0.25, 0.2]),
    # Of the three likeliest, 0.4 is 0.47 and 0.25 is 0.29.
    ({"top_k": 3, "top_p": 0.5}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),
])
def test_shares(given: dict, expected: list) -> None:
    assert shares(Sampling(**given)) == pytest.approx(np.array(expected), abs=0.012)


def test_the_numbers_are_the_seeds() -> None:
    one, same, other = Sampling(seed=3), Sampling(seed=3, top_k=2), Sampling(seed=4)
    assert np.array_equal(one.numbers(5, 9), same.numbers(5, 9))
    assert not np.array_equal(one.numbers(5, 9), one.numbers(6, 9))
    assert not np.array_equal(one.numbers(5, 9), other.numbers(5, 9))
    # A text's number does not depend on how many texts there are.
    assert np.array_equal(one.numbers(5, 9)[:4], one.numbers(5, 4))


def test_equal_logits_go_by_their_ids() -> None:
    assert Sampling(temperature=0).choose(np.zeros((2, 4)), 0).tolist() == [0, 0]
    assert set(Sampling(top_k=2).choose(np.zeros((200, 4)), 0)) == {0, 1}


def test_logits_that_differ_by_rounding_choose_the_same() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, 50))
    near = logits + rng.normal(scale=1e-9, size=logits.shape)
    for given in ({}, {"top_k": 7}, {"top_p": 0.9}):
        assert np.array_equal(Sampling(**given).choose(logits, 0), Sampling(**given).choose(near, 0))


@pytest.mark.parametrize(("given", "message"), [
    ({"temperature": -1.0}, "temperature is 0 or more"), ({"temperature": float("nan")}, "temperature"),
    ({"top_k": 0}, "top_k is 1 or more"), ({"top_p": 0.0}, "top_p is a share"), ({"top_p": 1.1}, "top_p is a share"),
])
def test_settings_that_make_no_sense(given: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Sampling(**given)
    with pytest.raises(SpecError, match="NaN"):
        Sampling().choose(np.array([[0.0, np.nan]]), 0)


@pytest.mark.parametrize(("prompt", "message"), [
    ([], "the prompt is empty"), ([[1], []], "prompt 1: the prompt is empty"), ("words", "needs a tokenizer"),
    ([3, 11], "the id 11 is not in the vocabulary of 11"), ([-1], "the id -1"), ([True], "whole numbers"),
])
def test_prompts_that_cannot_be(prompt: object, message: str) -> None:
    model = load_model("gpt2", **GPT2)
    with pytest.raises((DataError, SpecError), match=message):
        generate(model, initial_weights(model, 0), prompt)  # type: ignore[arg-type]


def test_models_that_say_no_next_token() -> None:
    for name, given in (("mlp", {}), ("bert", {"configuration": "bert-tiny", "head": "mlm"}),
                        ("gpt2", {**GPT2, "head": "classification"})):
        with pytest.raises(SpecError, match="is no language model"):
            check_language_model(load_model(name, **given))
    with pytest.raises(SpecError, match=r"takes 11 ids and gives 8 numbers.*head=language_model"):
        check_language_model(load_model("gpt2", **GPT2, head="hidden"))
    assert check_language_model(load_model("gpt2", **GPT2)) == 11


@pytest.mark.frameworks
@pytest.mark.sweep
def test_both_frameworks_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    from harness.cli.main import main
    from harness.records.checkpoint import save_checkpoint
    from harness.runner.certify import both_workers

    model = load_model("gpt2", **GPT2)
    weights = {name: array * 20 for name, array in initial_weights(model, 0).items()}
    prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 1]]
    with both_workers() as workers:
        for given in ({"temperature": 0.0}, {"top_k": 4}, {"top_p": 0.9, "temperature": 1.3}):
            one, other = (generate(model, weights, prompts, backend=name, worker=workers[name], max_new_tokens=9,
                                   keep_logits=True, **given) for name in ("tensorflow", "pytorch"))
            assert one.ids == other.ids
            assert [len(item) for item in one.ids] == [12, 10, 16]
            assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(one.logits, other.logits, strict=True))
        # Each text goes on as it would alone: neither its neighbours nor the padding behind it matter.
        alone = generate(model, weights, [4], backend="pytorch", worker=workers["pytorch"], max_new_tokens=9,
                         temperature=0.0)
        together = generate(model, weights, prompts, backend="pytorch", worker=workers["pytorch"], max_new_tokens=9,
                            temperature=0.0)
        assert alone.ids == [together.ids[1]]
        stopped = generate(model, weights, [4], backend="pytorch", worker=workers["pytorch"], max_new_tokens=9,
                           temperature=0.0, stop=alone.ids[0][3])
        assert stopped.ids[0] == alone.ids[0][:1 + alone.ids[0][1:].index(alone.ids[0][3]) + 1]
        backwards = load_model("bert", input_shape=(6,), vocabulary=11, width=8, depth=1, heads=2, feedforward=8,
                               max_positions=6, head="mlm", inputs=("input_ids",), padding_id=None)
        with pytest.raises(SpecError, match="looks at later tokens"):
            generate(backwards, {name: array * 20 for name, array in initial_weights(backwards, 0).items()}, [1, 2],
                     worker=workers["pytorch"])
    monkeypatch.chdir(tmp_path)
    model.save(tmp_path / "m.yaml")
    save_checkpoint(tmp_path / "m.safetensors", weights)
    assert main(["generate", "m.yaml", "--weights", "m.safetensors", "--prompt", "1,2,3", "--tokens", "5",
                 "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["first_difference"] is None
    assert data["ids"]["tensorflow"] == data["ids"]["pytorch"]
