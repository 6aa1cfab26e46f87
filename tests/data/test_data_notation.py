"""The notation of `data:`: what can be written, that it survives writing and reading, and what is refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.errors import SpecError
from harness.spec.dataset import DatasetSpec
from harness.spec.explicit import explicit
from harness.spec.preparation import Rescale, Standardise
from harness.spec.sources import Csv, Digits, Imdb

WRITTEN = [
    "digits",
    "{source: fashion-mnist, split: {validation: test, seed: 3}}",
    "{source: digits, prepare: [standardise, {rescale: {scale: 1/255}}, {one_hot: {classes: 10}}]}",
    "{source: digits, augment: [flip, {shift: {height: 2, width: 0.1}}, {noise: {stddev: 0.1}}]}",
    "{source: digits, augment: {steps: [crop], copies: 3, seed: 5}, limit: {train: 100}}",
    "{source: {csv: heart.csv, target: disease, categorical: [chest_pain]}, sample_weight: w, classes: 2}",
    "{csv: a/b.csv, target: [height, mass], split: {test: 10}, classes: none}",
    "{source: {imdb: {num_words: 5000, maxlen: 80}}}",
    "{npz: mine.npz, inputs: [image, age], targets: [label]}",
    "{source: {images: photos, size: [32, 32], color: grayscale}}",
    "mine.npz",
    "{source: {wordnet: {target: part_of_speech, examples: 200}}, prepare: [{tokenize: {tokenizer: t}}]}",
    "{source: cmudict, prepare: [{sequence_pairs: {source: word, target: phonemes}}]}",
    "{text_file: a.txt, unit: paragraph, prepare: [{to_ids: {pad: none}}, {language_model: {block: 8}}]}",
    "{source: {huggingface: folder, features: text, target: label}, prepare: [{to_ids: {mask: true}}, mask_tokens]}",
    "{source: {scenes: {items: [1, 3], size: [32, 32]}}, split: {contiguous: false}}",
    "{source: {spoken_digits: {held_out: f1, speeds: [150]}}, prepare: [{log_mel: {n_mels: 20}}, standardise]}",
    "{source: co2, prepare: [{windows: {length: 4, targets: [co2, 0]}}]}",
    "{audio: words, rate: 16000, prepare: [log_mel]}",
    "{source: king-james-bible, prepare: [reconstruct]}",
    "{source: {images: a, masks: b}}",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_notation_survives_writing_and_reading(text):
    spec = DatasetSpec.parse(yaml.safe_load(text))
    assert DatasetSpec.parse(yaml.safe_load(yaml.safe_dump(spec.to_data()))) == spec
    assert DatasetSpec.parse(explicit(spec)) == spec


def test_what_was_recorded_before_there_were_these_arguments_keeps_its_id():
    written = str(explicit(DatasetSpec.parse({"csv": "a.csv", "target": "y"})))
    written += str(explicit(DatasetSpec.parse({"images": "a"})))
    assert not any(argument in written for argument in ("contiguous", "masks", "text"))


def test_the_examples_of_the_documentation_can_be_read():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 9
    for example in examples:
        DatasetSpec.parse(yaml.safe_load(example)["data"])


def test_defaults_are_left_out():
    assert DatasetSpec.parse("digits").to_data() == {"source": "digits"}


def test_arguments_arrive():
    spec = DatasetSpec.parse(yaml.safe_load(WRITTEN[2]))
    assert spec.source == Digits()
    assert spec.prepare[0] == Standardise()
    assert spec.prepare[1] == Rescale(scale=1 / 255)
    assert DatasetSpec.parse({"source": {"imdb": {"maxlen": 80}}}).source == Imdb(maxlen=80)
    assert DatasetSpec.parse({"csv": "x.csv", "target": "y"}).source == Csv(csv="x.csv", target=("y",))


REFUSED = [
    ("digit", ["unknown source 'digit'", "Did you mean 'digits'?"]),
    ("table.csv", ["target"]),
    ("csv", ["needs a path"]),
    (3, ["cannot read 3"]),
    ({"sorce": "digits"}, ["Did you mean 'source'?"]),
    ({"source": "digits", "splt": {}}, ["'splt'", "Did you mean 'split'?"]),
    ({"source": "digits", "split": {"validaton": 0.1}}, ["split", "Did you mean 'validation'?"]),
    ({"source": "digits", "split": {"validation": 1.5}}, ["below 1", "1.5"]),
    ({"source": "digits", "split": {"test": -1}}, ["at least 0"]),
    ({"source": "digits", "split": 3}, ["expected a mapping"]),
    ({"source": "digits", "prepare": ["standardse"]}, ["Did you mean 'standardise'?"]),
    ({"source": "digits", "prepare": [{"rescale": {"scal": 1}}]}, ["rescale", "Did you mean 'scale'?"]),
    ({"source": "digits", "prepare": [{"rescale": {"scale": "1/0"}}]}, ["1/0"]),
    ({"source": "digits", "prepare": [{"min_max": {"low": 3}}]}, ["above low"]),
    ({"source": "digits", "prepare": [{"clean": {"missing": "skip"}}]}, ["missing", "'skip'"]),
    ({"source": "digits", "augment": ["flipp"]}, ["Did you mean 'flip'?"]),
    ({"source": "digits", "limit": {"train": 0}}, ["limit", "train"]),
    ({"source": "digits", "classes": 1}, ["at least 2"]),
    ({"csv": "x.csv"}, ["'target' is required"]),
    ({"source": {"csv": "x.csv", "target": "y", "feature": ["a"]}}, ["Did you mean 'features'?"]),
    ({"source": {"csv": "x.csv", "npz": "y.npz"}}, ["one source"]),
    ({"source": {"imdb": {"maxlen": 0}}}, ["maxlen"]),
    ({"source": {"imdb": {}, "maxlen": 10}}, ["inside", "maxlen"]),
    ({"source": {"images": "a", "size": [0, 3]}}, ["size"]),
    ("wordnets", ["Did you mean 'wordnet'?"]),
    ({"source": {"wordnet": {"target": "noun"}}}, ["target", "lexical_category"]),
    ({"source": {"scenes": {"items": [3, 2]}}}, ["items", "[least, most]"]),
    ({"source": "sunspots", "prepare": ["windws"]}, ["Did you mean 'windows'?"]),
    ({"source": "sunspots", "prepare": ["windows"]}, ["windows", "'length' is required"]),
    ({"source": {"huggingface": "a"}}, ["'features' is required"]),
    ({}, ["'source' is required"]),
]


@pytest.mark.parametrize(("value", "parts"), REFUSED, ids=[str(value) for value, _ in REFUSED])
def test_refused_with_a_reason(value, parts):
    with pytest.raises(SpecError) as refusal:
        DatasetSpec.parse(value)
    assert all(part in str(refusal.value) for part in parts), str(refusal.value)
    assert refusal.value.exit_code == 4


def test_the_spec_needs_no_numpy_and_loading_no_framework():
    program = (
        "import sys, harness.spec.dataset\n"
        "harness.spec.dataset.DatasetSpec.parse('digits')\n"
        "rare = {f'harness.spec.{name}' for name in ('text_sources', 'signal_sources', 'sequence_steps')}\n"
        "assert not rare & set(sys.modules), 'rarely used classes are made'\n"
        "assert not {'numpy', 'pandas'} & set(sys.modules), 'spec imports numpy or pandas'\n"
        "import harness.data\n"
        "heavy = {'librosa', 'tokenizers', 'pyarrow', 'scipy', 'pandas', 'sklearn', 'PIL'}\n"
        "heavy = (heavy | {'tensorflow', 'torch', 'keras'}) & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
