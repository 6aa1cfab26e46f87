"""Beam search against all texts there are, and against greedy; and that both frameworks find the same texts."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from harness import SpecError, load_model
from harness.plan.initial import initial_weights
from harness.runner.beam import Beam, beam_search, log_probabilities
from harness.runner.generating import generate
from harness.runner.next_token import check_writes, is_encoder_decoder
from harness.runner.sampling import Sampling

VOCABULARY, MOST, STOP = 4, 4, 3
# What comes next depends on the last two tokens.
TABLE = np.random.default_rng(1).normal(scale=2, size=(VOCABULARY, VOCABULARY, VOCABULARY))
SEQ2SEQ = {"source_steps": 5, "target_steps": 6, "source_vocabulary": 9, "target_vocabulary": 8, "embedding": 4,
           "units": 4}
TRANSFORMER = {"source_steps": 5, "target_steps": 6, "vocabulary": 8, "source_vocabulary": 9, "width": 8, "heads": 2,
               "feedforward": 8, "depth": 1}


def logits(known: list[list[int]]) -> np.ndarray:
    return np.array([TABLE[item[-2] if len(item) > 1 else 0, item[-1]] for item in known])


def log_probability(start: list[int], tokens: tuple[int, ...]) -> float:
    known, total = list(start), 0.0
    for token in tokens:
        total += float(log_probabilities(logits([known]))[0, token])
        known.append(token)
    return total


def all_texts() -> list[tuple[int, ...]]:
    """Those that end with the stop, and those of the greatest length."""
    return [text for length in range(1, MOST + 1) for text in itertools.product(range(VOCABULARY), repeat=length)
            if STOP not in text[:-1] and (text[-1] == STOP or length == MOST)]


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("start", [[0], [2, 1]])
def test_a_wide_beam_finds_the_likeliest_of_all_texts(start: list[int], length_penalty: float) -> None:
    beam = Beam(300, length_penalty)
    (found,) = beam_search(logits, [start], beam, MOST, STOP)
    scores = {text: log_probability(start, text) / len(text) ** length_penalty for text in all_texts()}
    assert sorted(item.tokens for item in found) == sorted(scores)
    assert [item.log_probability for item in found] == pytest.approx([log_probability(start, t.tokens) for t in found])
    # The best first; what differs by less than RESOLUTION counts as equal.
    assert [scores[item.tokens] for item in found] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-4)
    assert all(item.ended == (item.tokens[-1] == STOP) for item in found)
    # A narrow one finds none that is likelier, and no fewer than it may.
    (narrow,) = beam_search(logits, [start], Beam(3, length_penalty), MOST, STOP)
    assert len(narrow) == 3
    assert {item.tokens for item in narrow} <= set(scores)


def test_one_text_is_greedy_and_each_is_found_as_alone() -> None:
    starts = [[0], [1, 2], [2]]
    found = beam_search(logits, starts, Beam(1), MOST, STOP)
    for start, (best,) in zip(starts, found, strict=True):
        known = list(start)
        while len(known) - len(start) < MOST and known[-1] != STOP:
            known.append(int(Sampling(temperature=0).choose(logits([known]), 0)[0]))
        assert best.tokens == tuple(known[len(start):])
    together = beam_search(logits, starts, Beam(2), MOST, STOP)
    assert together == [beam_search(logits, [start], Beam(2), MOST, STOP)[0] for start in starts]


def test_a_beam_finds_what_greedy_misses() -> None:
    shares = {(): [0.0, 0.6, 0.4, 0.0], (1,): [0.3, 0.3, 0.2, 0.2], (2,): [0.0, 0.0, 0.05, 0.95]}
    rows = []

    def table(known: list[list[int]]) -> np.ndarray:
        rows.append(len(known))
        with np.errstate(divide="ignore"):
            return np.log([shares.get(tuple(item[1:]), [0.25] * 4) for item in known])

    assert beam_search(table, [[0]], Beam(1), 2, STOP)[0][0].tokens == (1, 0)
    rows.clear()
    (found,) = beam_search(table, [[0]], Beam(2), 2, STOP)
    assert found[0].tokens == (2, 3)
    assert found[0].log_probability == pytest.approx(np.log(0.4 * 0.95))
    assert set(rows) == {2}  # a batch of one size is compiled once
    # Without the token that it wants: the next best.
    assert beam_search(table, [[0]], Beam(2), 2, STOP, forbidden=[2])[0][0].tokens[0] == 1


def test_equal_texts_go_by_their_ids_whatever_the_rounding() -> None:
    random = np.random.default_rng(0)

    def level(known: list[list[int]]) -> np.ndarray:
        return random.normal(scale=1e-7, size=(len(known), 5))

    (found,) = beam_search(level, [[0]], Beam(3), 2)
    assert [item.tokens for item in found] == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize(("given", "message"), [
    ({"width": 0}, "a beam's width"), ({"width": 2.5}, "a beam's width"), ({"length_penalty": -1.0}, "length_penalty"),
])
def test_settings_that_make_no_sense(given: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Beam(**given)
    with pytest.raises(SpecError, match="NaN"):
        beam_search(lambda known: np.full((len(known), 3), np.nan), [[0]], Beam(2), 2)


def test_what_writes_and_what_does_not() -> None:
    pair, alone = load_model("seq2seq_lstm", **SEQ2SEQ), load_model("character_language_model")
    assert (check_writes(pair), check_writes(alone)) == (8, 128)
    assert (is_encoder_decoder(pair), is_encoder_decoder(alone)) == (True, False)
    assert is_encoder_decoder(load_model("transformer", **TRANSFORMER))
    assert not is_encoder_decoder(load_model("bert", configuration="bert-tiny", head="mlm",
                                             inputs=("input_ids", "attention_mask")))
    weights = initial_weights(pair, 0)
    for given, message in (({"prompt": [1]}, "which id begins a target"), ({"prompt": [9], "start": 2}, "the id 9"),
                           ({"prompt": [1], "start": 8}, "start: the id 8"),
                           ({"prompt": [1], "start": 2, "beam": 2, "keep_logits": True}, "kept with sampling only")):
        with pytest.raises(SpecError, match=message):
            generate(pair, weights, **given)  # type: ignore[arg-type]


@pytest.mark.frameworks
@pytest.mark.sweep
def test_both_frameworks_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    from harness.cli.main import main
    from harness.records.checkpoint import save_checkpoint
    from harness.runner.certify import both_workers

    sources = [[1, 2, 3], [8, 4, 5, 6, 7], [3]]
    with both_workers() as workers:
        for name, given in (("seq2seq_lstm", SEQ2SEQ), ("transformer", TRANSFORMER)):
            model = load_model(name, **given)
            weights = {key: array * 6 for key, array in initial_weights(model, 0).items()}
            asked = {"start": 2, "stop": 3, "max_new_tokens": 99}
            one, other = (generate(model, weights, sources, backend=backend, worker=workers[backend], beam=3, **asked)
                          for backend in ("tensorflow", "pytorch"))
            assert one.ids == other.ids
            assert one.beams is not None
            assert other.beams is not None
            for mine, theirs in zip(one.beams, other.beams, strict=True):
                assert [tokens for tokens, _ in mine] == [tokens for tokens, _ in theirs]
                assert [score for _, score in mine] == pytest.approx([score for _, score in theirs], abs=1e-3)
                assert all(len(tokens) <= 6 for tokens, _ in mine)
            narrow, greedy = (generate(model, weights, sources, worker=workers["pytorch"], **asked, **how)
                              for how in ({"beam": 1}, {"temperature": 0.0}))
            assert narrow.ids == greedy.ids
    monkeypatch.chdir(tmp_path)
    model.save(tmp_path / "m.yaml")
    save_checkpoint(tmp_path / "m.safetensors", weights)
    assert main(["generate", "m.yaml", "--weights", "m.safetensors", "--prompt", "1,2,3", "--start", "2", "--stop", "3",
                 "--beam", "3", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["ids"]["tensorflow"] == data["ids"]["pytorch"] == one.ids[0]
    assert len(data["beams"]["pytorch"]) == 3
