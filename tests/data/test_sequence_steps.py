"""Ids, blocks, masked tokens and tokenizers: what they hold, learned of the train split, and what is refused."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel, WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from harness.data import bigram_perplexity, identity, load, save
from harness.data.given import from_arrays
from harness.data.sources.files import find
from harness.errors import DataError, SpecError

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "run", "##s", "sleep", "a"]
TEXTS = ["the cat runs", "a dog sleeps", "the dog", "cat", "a cat sleeps the dog runs", "runs the zebra"] * 4


@pytest.fixture
def tokenizer(tmp_path):
    """A folder with a BERT-like tokenizer.json of 12 tokens."""
    made = Tokenizer(WordPiece({piece: place for place, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.add_special_tokens(PIECES[:5])
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def table(tmp_path):
    """A CSV file of two texts and a label."""
    path = tmp_path / "t.csv"
    path.write_text("text,other,y\n" + "".join(f"{text},a cat,{n % 2}\n" for n, text in enumerate(TEXTS)))
    return {"csv": str(path), "target": "y", "features": [], "text": ["text"]}


def loaded(source, *steps, **more):
    return load({"source": source, "prepare": list(steps), "split": {"validation": 4, "test": 4}, **more})


def test_tokenize_gives_what_the_tokenizer_gives(tokenizer, table):
    data = loaded(table, {"tokenize": {"tokenizer": str(tokenizer)}})
    assert set(data.train.x) == {"input_ids", "token_type_ids", "attention_mask"}
    by_hand = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    rows = {tuple(ids[: int(mask.sum())]) for part in data.splits.values()
            for ids, mask in zip(part.x["input_ids"], part.x["attention_mask"], strict=True)}
    assert rows == {tuple(by_hand.encode(text).ids) for text in TEXTS}
    for part in data.splits.values():
        assert (part.x["input_ids"][part.x["attention_mask"] == 0] == 0).all()
        assert part.x["input_ids"].dtype == np.int32
    vocabulary = data.vocabularies["input_ids"]
    assert [vocabulary.padding, vocabulary.unknown, vocabulary.start, vocabulary.end] == [0, 1, 2, 3]
    assert vocabulary.mask == 4
    assert vocabulary.special == (0, 1, 2, 3, 4)
    assert vocabulary.tokens == tuple(PIECES)


def test_length_truncation_outputs_and_pairs(tokenizer, table):
    step = {"tokenizer": str(tokenizer), "max_length": 5, "pad": "max_length", "outputs": ["input_ids"]}
    right = loaded(table, {"tokenize": step})
    assert set(right.train.x) == {"input_ids"}
    assert right.train.x["input_ids"].shape == (16, 5)
    left = loaded(table, {"tokenize": {**step, "truncation": "left"}})
    longest = {tuple(row) for row in right.train.x["input_ids"]} - {tuple(row) for row in left.train.x["input_ids"]}
    assert (2, 11, 6, 10, 3) in longest  # [CLS] a cat sleep [SEP]: the end is kept, the text cut
    with pytest.raises(DataError, match=r"has \d+ tokens, max_length is 5"):
        loaded(table, {"tokenize": {**step, "truncation": "error"}})
    both = loaded({**table, "text": ["text", "other"]}, {"tokenize": {"tokenizer": str(tokenizer), "arrays": ["text"],
                                                                      "pair": "other"}})
    assert set(both.train.x) == {"input_ids", "token_type_ids", "attention_mask"}
    assert both.train.x["token_type_ids"].sum(1).tolist() == [3] * 16  # a cat [SEP]
    apart = loaded({**table, "text": ["text", "other"]}, {"tokenize": {"tokenizer": str(tokenizer)}})
    assert {"text_input_ids", "other_input_ids"} < set(apart.train.x)


def test_a_tokenizer_of_another_size(tokenizer, table):
    with pytest.raises(DataError, match=r"has 12 tokens, vocabulary_size says 30522") as refusal:
        loaded(table, {"tokenize": {"tokenizer": str(tokenizer), "vocabulary_size": 30522}})
    assert refusal.value.exit_code == 4
    (tokenizer / "config.json").write_text(json.dumps({"vocab_size": 11}))
    with pytest.raises(DataError, match=r"12 tokens, the model beside it \(config\.json\) 11"):
        loaded(table, {"tokenize": {"tokenizer": str(tokenizer)}})


def test_tokenizers_that_are_none(tokenizer, table, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"there is no tokenizer\.json in"):
        loaded(table, {"tokenize": {"tokenizer": str(tmp_path / "empty")}})
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match=r"bad\.json is no tokenizer"):
        loaded(table, {"tokenize": {"tokenizer": str(tmp_path / "bad.json")}})
    with pytest.raises(DataError, match=r"no Python package 'no_such_package'.*pip install no-such-package"):
        loaded(table, {"tokenize": {"tokenizer": "package:no_such_package/model"}})
    assert find("package:harness/errors.py", None, "x").name == "errors.py"
    with pytest.raises(DataError, match="leads outside"):
        find("package:harness/../secret", None, "x")


def test_without_a_padding_token_one_is_named(table, tmp_path):
    made = Tokenizer(WordLevel({"<|endoftext|>": 0, "the": 1, "cat": 2, "?": 3}, unk_token="?"))
    made.pre_tokenizer = Whitespace()
    made.save(str(tmp_path / "gpt.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|endoftext|>"}}))
    step = {"tokenizer": str(tmp_path / "gpt.json"), "special_tokens": False, "outputs": ["input_ids"]}
    with pytest.raises(DataError, match="has no padding token"):
        loaded(table, {"tokenize": step})
    found = loaded(table, {"tokenize": {**step, "padding": "<|endoftext|>"}}).vocabularies["input_ids"]
    assert (found.padding, found.end, found.mask) == (0, 0, None)
    with pytest.raises(DataError, match=r"no token '<pad>' to pad with"):
        loaded(table, {"tokenize": {**step, "padding": "<pad>"}})


@pytest.mark.parametrize("step", [{"to_ids": {}}, "tokenize", {"sequence_pairs": {"source": "text", "target": "text"}}])
def test_empty_and_missing_texts(step, tokenizer, tmp_path):
    step = {"tokenize": {"tokenizer": str(tokenizer)}} if step == "tokenize" else step
    x = np.array([*TEXTS[:9], ""])
    np.savez(tmp_path / "a.npz", text=x, y=np.arange(10) % 2)
    with pytest.raises(DataError, match=r"text of example \d+ is empty"):
        load({"npz": str(tmp_path / "a.npz"), "inputs": ["text"], "prepare": [step]})
    (tmp_path / "b.csv").write_text("text,y\n" + "".join(f"{text},{n % 2}\n" for n, text in enumerate(["", *x[:9]])))
    source = {"csv": str(tmp_path / "b.csv"), "target": "y", "text": ["text"]}
    with pytest.raises(DataError, match=r"text of example \d+ is missing"):
        load({"source": source, "prepare": [step]})
    assert sum(load({"source": source, "prepare": ["clean", step]}).examples.values()) == 9


def test_a_row_of_padding_alone():
    mask = np.ones((4, 3), np.int32)
    mask[2] = 0
    with pytest.raises(DataError, match=r"attention_mask is 0 everywhere in example 2"):
        from_arrays({"input_ids": np.ones((4, 3), np.int32), "attention_mask": mask}, np.arange(4) % 2)


def test_the_vocabulary_is_the_train_splits(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=["b b a", "b c"], y_train=[0, 1], x_test=["d a"], y_test=[0])
    data = load({"npz": str(tmp_path / "a.npz"), "split": {"validation": 0},
                 "prepare": [{"to_ids": {"units": "word", "start": True, "end": True}}]})
    assert data.vocabularies["x"].tokens == ("", "[UNK]", "[START]", "[END]", "b", "a", "c")
    assert data.test.x["x"].tolist() == [[2, 1, 5, 3, 0]]
    small = load({"npz": str(tmp_path / "a.npz"), "split": {"validation": 0},
                  "prepare": [{"to_ids": {"units": "word", "max_tokens": 3, "max_length": 2}}]})
    assert small.vocabularies["x"].tokens == ("", "[UNK]", "b")
    assert small.train.x["x"].tolist() == [[2, 2], [2, 1]]


def test_blocks_of_running_text(tmp_path):
    (tmp_path / "a.txt").write_text("abc\nde\nfghi\njk")
    data = load({"text_file": str(tmp_path / "a.txt"), "split": {"validation": 0, "test": 0},
                 "prepare": [{"to_ids": {"pad": "none", "end": True}}, {"language_model": {"block": 4}}]})
    tokens = data.vocabularies["x"].tokens
    shown = ["".join("|" if t == "[END]" else t for t in (tokens[i] for i in row)) for row in data.train.x["x"]]
    wanted = ["".join("|" if t == "[END]" else t for t in (tokens[i] for i in row)) for row in data.train.y["y"]]
    assert shown == ["abc|", "de|f", "ghi|"]
    assert wanted == ["bc|d", "e|fg", "hi|j"]
    assert any("15 tokens in 3 blocks of 4; 2 at the end dropped" in note for note in data.notes)
    with pytest.raises(DataError, match=r"15 tokens do not fill a block of 40"):
        load({"text_file": str(tmp_path / "a.txt"), "split": {"validation": 0, "test": 0},
              "prepare": [{"to_ids": {"pad": "none", "end": True}}, {"language_model": {"block": 40}}]})


def test_blocks_of_a_tokenizer_with_a_separator(tokenizer, table):
    ids = {"tokenize": {"tokenizer": str(tokenizer), "pad": "none", "special_tokens": False}}
    data = loaded(table, ids, {"language_model": {"block": 3, "separator": "[SEP]"}})
    assert data.classes == 12, "no more the labels of the texts"
    whole = np.append(data.train.x["input_ids"].ravel(), data.train.y["y"][-1, -1])
    assert whole[1:].tolist() == data.train.y["y"].ravel().tolist()
    assert 3 in whole
    with pytest.raises(DataError, match=r"no token '<eos>'"):
        loaded(table, ids, {"language_model": {"block": 3, "separator": "<eos>"}})
    with pytest.raises(DataError, match=r"different lengths.*language_model"):
        loaded(table, ids)
    with pytest.raises(DataError, match=r"one input of ids without padding, found 0"):
        loaded(table, {"to_ids": {}}, {"language_model": {"block": 3}})


def test_masked_tokens(tmp_path):
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in random.integers(0, 50, 30)) for _ in range(300)]
    np.savez(tmp_path / "a.npz", x=texts, y=np.arange(300) % 2)
    spec = {"npz": str(tmp_path / "a.npz"), "prepare": [
        {"to_ids": {"units": "word", "mask": True, "start": True, "end": True, "max_length": 40, "pad": "max_length"}},
        {"mask_tokens": {"probability": 0.2}}]}
    data, plain = load(spec), load({**spec, "prepare": spec["prepare"][:1]})
    vocabulary = data.vocabularies["y"]
    ids, y, before = data.train.x["x"], data.train.y["y"], plain.train.x["x"]
    chosen = y != 0
    assert (y[chosen] == before[chosen]).all()
    assert (ids[~chosen] == before[~chosen]).all()
    assert not np.isin(before[chosen], vocabulary.special).any()
    words = ~np.isin(before, vocabulary.special)
    assert chosen.sum() / words.sum() == pytest.approx(0.2, abs=0.02)
    assert (ids[chosen] == vocabulary.mask).mean() == pytest.approx(0.8, abs=0.04)
    # One in ten is another word (by chance, one in fifty of these is the same), one in ten stays.
    assert (ids[chosen] == before[chosen]).mean() == pytest.approx(0.1, abs=0.03)
    assert load(spec).fingerprint == data.fingerprint
    assert load({**spec, "prepare": [spec["prepare"][0], {"mask_tokens": {"probability": 0.2, "seed": 1}}]
                 }).fingerprint != data.fingerprint
    assert data.classes == len(vocabulary)
    save(data, tmp_path / "saved.npz")
    back = load({"arrays": str(tmp_path / "saved.npz")})
    assert back.fingerprint == data.fingerprint
    assert back.vocabularies == data.vocabularies


def test_masks_need_a_mask_token(table):
    with pytest.raises(DataError, match=r"no mask token.*mask: true"):
        loaded(table, {"to_ids": {}}, "mask_tokens")
    with pytest.raises(SpecError, match=r"mask_tokens.*together at most 1"):
        loaded(table, {"mask_tokens": {"mask": 0.9, "random": 0.2}})


def test_categories_become_ids_of_their_own_inputs(tmp_path):
    rows = "".join(f"{['red', 'blue', 'red', 'green'][n % 4]},{n},{n % 2}\n" for n in range(20))
    (tmp_path / "c.csv").write_text("colour,size,y\n" + rows)
    (tmp_path / "test.csv").write_text("colour,size,y\nblack,1,0\nred,2,1\n")
    data = load({"source": {"csv": str(tmp_path / "c.csv"), "test": str(tmp_path / "test.csv"), "target": "y",
                            "text": "colour"}, "prepare": [{"string_lookup": {"arrays": "colour"}},
                                                           {"standardise": {"arrays": "x"}}]})
    assert data.train.x["x"].shape[1:] == (1,)
    assert data.test.x["colour"].tolist() == [0, 1], "unknown, and the most frequent"
    assert data.vocabularies["colour"].tokens[:2] == ("[UNK]", "red")
    assert data.vocabularies["colour"].unknown == 0
    with pytest.raises(DataError, match=r"no column 'color'.*'colour'"):
        load({"csv": str(tmp_path / "c.csv"), "target": "y", "text": "color"})


def test_text_vectorization_finds_its_length(tmp_path):
    np.savez(tmp_path / "a.npz", x=["a b", "a b c d"] * 5, y=np.arange(10) % 2)
    data = load({"npz": str(tmp_path / "a.npz"), "prepare": ["text_vectorization"]})
    assert {part.x["x"].shape[1] for part in data.splits.values()} == {4}


def test_the_tokenizers_content_is_part_of_the_identity(tokenizer, table):
    spec = {"source": table, "prepare": [{"tokenize": {"tokenizer": str(tokenizer)}}]}
    before = identity(spec)
    (tokenizer / "tokenizer.json").write_text((tokenizer / "tokenizer.json").read_text() + " ")
    assert identity(spec) != before


def test_the_bigram_baseline(tmp_path):
    """A text in which each letter says the next with certainty has a perplexity near 1, one without order near 4."""
    steps = [{"to_ids": {"pad": "none"}}, {"language_model": {"block": 16}}]
    (tmp_path / "a.txt").write_text("\n".join(["abcd" * 20] * 40))
    ordered = load({"text_file": str(tmp_path / "a.txt"), "prepare": steps})
    assert bigram_perplexity(ordered) == pytest.approx(1.0, abs=0.01)
    random = np.random.default_rng(0)
    (tmp_path / "b.txt").write_text("\n".join("".join(random.choice(list("abcd"), 80)) for _ in range(200)))
    without = load({"text_file": str(tmp_path / "b.txt"), "prepare": steps})
    assert bigram_perplexity(without) == pytest.approx(4, abs=0.1)
    with pytest.raises(DataError, match="language_model"):
        bigram_perplexity(load("digits"))
