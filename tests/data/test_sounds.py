"""Sounds: WAV files of any kind, log-mel spectra, and a stand-in for espeak-ng."""

import os
import sys

import numpy as np
import pytest
from scipy.io import wavfile

from harness.data import identity, load
from harness.data.sources.audio import read_wav
from harness.errors import DataError

RATE = 8000


def tone(frequency: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


@pytest.fixture
def folder(tmp_path):
    """Two classes of ten tones each, 500 and 2000 Hz."""
    for name, frequency in (("low", 500), ("top", 2000)):
        (tmp_path / "sounds" / name).mkdir(parents=True)
        for n in range(10):
            sound = tone(frequency + n, 0.5 + n / 20)
            wavfile.write(tmp_path / "sounds" / name / f"{n}.wav", RATE, np.int16(sound * 32767))
    return tmp_path / "sounds"


def test_log_mel_spectra_of_tones(folder):
    step = {"log_mel": {"n_mels": 32, "n_fft": 256, "hop_length": 80}}
    data = load({"source": {"audio": str(folder), "seconds": 0.8}, "prepare": [step]})
    assert data.train.x["x"].shape[1:] == (81, 32)
    assert data.vocabularies["y"].tokens == ("low", "top")
    assert any("6 sounds are longer than 0.8 s" in note for note in data.notes)
    # Slaney's scale: linear up to 1000 Hz, 15 mels of 66.67 Hz; then 27 of them for each factor of 6.4.
    def mel(frequency):
        return frequency / (200 / 3) if frequency < 1000 else 15 + 27 * np.log(frequency / 1000) / np.log(6.4)

    centres = np.linspace(0, mel(RATE / 2), 34)[1:-1]
    for sound, label in zip(data.train.x["x"], data.train.y["y"], strict=True):
        wanted = np.abs(centres - mel([500, 2000][label])).argmin()
        assert abs(int(sound[20].argmax()) - int(wanted)) <= 1
    assert data.train.x["x"][0][-1].max() == pytest.approx(-100), "silence behind the shorter sounds"


def test_every_kind_of_wav_file_is_the_same_sound(tmp_path):
    sound = tone(440)
    stereo = np.stack([sound * 0.5, sound * 1.5], 1)
    kinds = {"i2": np.int16(sound * 32767), "i4": np.int32(sound * (2**31 - 1)), "f4": sound.astype(np.float32),
             "u1": np.uint8(np.round(sound * 127 + 128)), "stereo": stereo.astype(np.float32)}
    for name, values in kinds.items():
        wavfile.write(tmp_path / f"{name}.wav", RATE, values)
        assert np.abs(read_wav(tmp_path / f"{name}.wav", RATE) - sound).max() < (0.01 if name == "u1" else 1e-4), name
    wavfile.write(tmp_path / "fast.wav", 22050, tone(440, rate=22050).astype(np.float32))
    resampled = read_wav(tmp_path / "fast.wav", RATE)
    assert len(resampled) == len(sound)
    assert np.abs(resampled - sound)[50:-50].max() < 0.01


def test_sounds_that_are_none(folder):
    (folder / "low" / "a.wav").write_bytes(b"RIFF no sound")
    with pytest.raises(DataError, match=r"a\.wav cannot be read as a WAV file"):
        load({"audio": str(folder)})
    wavfile.write(folder / "low" / "a.wav", RATE, np.zeros(0, np.int16))
    with pytest.raises(DataError, match=r"a\.wav holds no sound"):
        load({"audio": str(folder)})
    with pytest.raises(DataError, match="half the rate"):
        load({"source": "digits", "prepare": ["flatten", {"log_mel": {"rate": 8000, "fmax": 5000}}]})
    with pytest.raises(DataError, match="samples per second are not known"):
        load({"source": "digits", "prepare": ["flatten", "log_mel"]})


SPEAKER = f"""#!{sys.executable}
import struct, sys, wave
if "--version" in sys.argv:
    print("eSpeak NG text-to-speech: 9.9  Data at: nowhere")
    sys.exit()
with open(sys.argv[0] + ".log", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if "bad" in sys.argv[2]:
    sys.exit("no such voice")
samples = [len(sys.argv[-1]) * 1000] * 11025
with wave.open(sys.argv[sys.argv.index("-w") + 1], "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(22050)
    file.writeframes(struct.pack(f"<{{len(samples)}}h", *samples))
"""


@pytest.fixture
def speaker(tmp_path, monkeypatch):
    """A command espeak-ng that says every word as its length, and keeps a log of how it was called."""
    program = tmp_path / "espeak-ng"
    program.write_text(SPEAKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return program


SPOKEN = {"voices": "en-us", "variants": ["m1", "f1"], "speeds": [150], "pitches": [50], "rate": RATE}


def test_digits_are_spoken_once(speaker):
    data = load({"source": {"spoken_digits": {**SPOKEN, "held_out": "f1"}}, "split": {"validation": 0}})
    assert data.examples == {"train": 10, "test": 10}
    assert sorted(data.test.y["y"].tolist()) == list(range(10))
    lengths = np.array([len(word) for word in data.vocabularies["y"].tokens])
    assert data.test.x["x"][:, 2000] == pytest.approx(lengths[data.test.y["y"]] * 1000 / 32768, rel=0.01)
    assert not data.test.x["x"][:, 4200:].any()
    log = (speaker.parent / "espeak-ng.log").read_text().splitlines()
    assert len(log) == 20
    assert any(line.startswith("-v en-us+m1 -s 150 -p 50") and line.endswith("seven") for line in log)
    load({"source": {"spoken_digits": SPOKEN}, "split": {"validation": 0, "test": 0}})
    assert len((speaker.parent / "espeak-ng.log").read_text().splitlines()) == 20, "the second time they are read"
    assert identity({"spoken_digits": SPOKEN})["espeak-ng"] == "espeak-ng 9.9"


def test_digits_in_a_row_for_ctc(speaker):
    # The stand-in says a word as its length, 1000 in its 16 bits for each letter, for half a second.
    source = {"spoken_digits": {**SPOKEN, "words": 3, "seconds": 1.5, "held_out": "f1", "seed": 4}}
    data = load({"source": source, "split": {"validation": 0}})
    assert data.examples == {"train": 10, "test": 10}
    assert data.classes == 11
    assert data.train.y["y"].shape == (10, 3)
    words = data.vocabularies["y"]
    assert (words.padding, words.tokens[0], words.tokens[8]) == (0, "", "seven")
    for sound, labels in zip(data.test.x["x"], data.test.y["y"], strict=True):
        lengths = [len(words.tokens[label]) for label in labels]
        assert sound[[2000, 6000, 10000]] == pytest.approx(np.array(lengths) * 1000 / 32768, rel=0.01)
    assert load({"source": source, "split": {"validation": 0}}).fingerprint == data.fingerprint


def test_voices_that_are_none(speaker, monkeypatch):
    with pytest.raises(DataError, match=r"cannot speak as bad\+m1: no such voice"):
        load({"source": {"spoken_digits": {**SPOKEN, "voices": "bad"}}})
    with pytest.raises(DataError, match="some but not all of the variants"):
        load({"source": {"spoken_digits": {**SPOKEN, "held_out": "f9"}}})
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DataError, match=r"not installed.*apt-get install espeak-ng.*audio: FOLDER"):
        load("spoken_digits")
