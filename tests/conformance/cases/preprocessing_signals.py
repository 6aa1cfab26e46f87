"""Cases of the spectrograms."""

from tests.conformance.engine import Case

FLOAT32 = "Keras computes in float32"


def stft(name, *arguments, inputs=((40, 2),), **options):
    return Case(f"STFTSpectrogram {name}", lambda layers: layers.STFTSpectrogram(*arguments, **options), inputs)


def mel(name, *arguments, inputs=((90,),), **options):
    return Case(f"MelSpectrogram {name}", lambda layers: layers.MelSpectrogram(*arguments, **options), inputs,
                tolerance=1e-5, reason=FLOAT32)


BANDS = {"fft_length": 32, "sequence_stride": 8, "num_mel_bins": 6}
CASES = (
    *(stft(mode, mode, 8) for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft")),
    *(stft(f"{mode}, channels apart", mode, 10, 3, 16, expand_dims=True) for mode in ("real", "stft", "psd")),
    stft("same", "magnitude", 9, 4, padding="same"),
    stft("same, one channel", "log", 8, 3, padding="same", inputs=((31, 1),)),
    stft("another window", "magnitude", 8, window="hamming", periodic=True, scaling="spectrum"),
    stft("no window", "real", 8, window=None, scaling=None),
    stft("a window of its own", "imag", 4, window=[0.1, 0.9, 0.8, 0.2]),
    stft("a long transform", "psd", 8, fft_length=32),
    stft("defaults", inputs=((600, 1),)),
    mel("power in decibels", **BANDS),
    mel("power", power_to_db=False, **BANDS),
    mel("short frames", 32, 8, 20, "hamming", num_mel_bins=6),
    mel("no window", 32, 8, window=None, num_mel_bins=5),
    mel("a window of its own", 8, 4, 4, [0.1, 0.9, 0.8, 0.2], num_mel_bins=3),
    mel("another rate", sampling_rate=8000, min_freq=100.0, max_freq=3000.0, **BANDS),
    mel("small range", top_db=5.0, ref_power=2.0, **BANDS),
    mel("magnitude", mag_exp=1.0, min_power=0.5, **BANDS),
    mel("defaults", inputs=((4000,),)),
)
