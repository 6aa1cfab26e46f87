"""Keras's initializers as data (keras/src/initializers). plan/initial.py draws the numbers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Configured, Family


def _seed(value: Any) -> Any:
    """Keras's SeedGenerator, as its configuration, stands for the seed it was given."""
    return value.get("config", {}).get("seed") if isinstance(value, Mapping) else value


Seed = Annotated[int | None, BeforeValidator(_seed)]
# Which axes of the weight are inputs (or outputs); None: Keras's rule for kernels.
Axes = tuple[int, ...] | None


def _one_number(value: Any) -> Any:
    if getattr(value, "ndim", 0) or isinstance(value, (list, tuple, Mapping)):
        raise SpecError("a whole array is not supported; a spec holds no weights.",
                        hint="Give the array with layer.set_weights([array]), or model.set_weights.")
    return value


class Initializer(Configured):
    """Base of all initializers."""


class Zeros(Initializer):
    """All zeros."""


class Ones(Initializer):
    """All ones."""


class Constant(Initializer):
    """Every element is `value`."""

    value: Annotated[float, BeforeValidator(_one_number)] = 0.0


class RandomNormal(Initializer):
    """Normal with `mean` and `stddev`."""

    mean: float = 0.0
    stddev: float = Field(default=0.05, ge=0)
    seed: Seed = None


class TruncatedNormal(Initializer):
    """Normal, redrawn beyond two standard deviations; `stddev` is that of the normal before truncation."""

    mean: float = 0.0
    stddev: float = Field(default=0.05, ge=0)
    seed: Seed = None


class RandomUniform(Initializer):
    """Uniform in [minval, maxval)."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: Seed = None


def _distribution(value: Any) -> Any:
    """Keras takes any case, and "normal" for the truncated one."""
    value = value.lower() if isinstance(value, str) else value
    return "truncated_normal" if value == "normal" else value


class VarianceScaling(Initializer):
    """Scaled by the number of inputs or outputs (keras/src/initializers/random_initializers.py)."""

    scale: float = Field(default=1.0, gt=0)
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Annotated[Literal["truncated_normal", "untruncated_normal", "uniform"],
                            BeforeValidator(_distribution)] = "truncated_normal"
    seed: Seed = None
    input_axes: Axes = None
    output_axes: Axes = None


class Scaled(Initializer):
    """Base of the variance scalings that have names of their own."""

    seed: Seed = None
    input_axes: Axes = None
    output_axes: Axes = None


class GlorotUniform(Scaled):
    """VarianceScaling(1, fan_avg, uniform): Glorot and Bengio 2010."""


class GlorotNormal(Scaled):
    """VarianceScaling(1, fan_avg, truncated_normal): Glorot and Bengio 2010."""


class HeUniform(Scaled):
    """VarianceScaling(2, fan_in, uniform): He et al. 2015."""


class HeNormal(Scaled):
    """VarianceScaling(2, fan_in, truncated_normal): He et al. 2015."""


class LecunUniform(Scaled):
    """VarianceScaling(1, fan_in, uniform): LeCun et al. 1998."""


class LecunNormal(Scaled):
    """VarianceScaling(1, fan_in, truncated_normal): LeCun et al. 1998."""


class Orthogonal(Initializer):
    """Orthogonal matrix (QR of a normal one), times `gain`: Saxe et al. 2013."""

    gain: float = 1.0
    seed: Seed = None


class Identity(Initializer):
    """Identity matrix, times `gain`; two-dimensional weights only."""

    gain: float = 1.0


class STFT(Initializer):
    """The real ("real") or imaginary ("imag") part of a short-time Fourier transform as a kernel of shape
    (frame length, 1, frequencies); keras/src/initializers/constant_initializers.py.

    window: a name that scipy.signal.get_window knows, the values themselves, or None. scaling: by the window's L2 norm
    ("density"), by its sum ("spectrum"), or None. periodic: the window is periodic, else symmetric.
    """

    side: Literal["real", "imag"] = "real"
    window: str | tuple[float, ...] | None = "hann"
    scaling: Literal["density", "spectrum"] | None = "density"
    periodic: bool = False


INITIALIZERS: Family[Initializer] = Family(
    "initializer",
    (
        Zeros, Ones, Constant, RandomNormal, TruncatedNormal, RandomUniform, VarianceScaling, GlorotUniform,
        GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal, Identity, STFT,
    ),
    # keras/src/initializers/__init__.py: ALL_OBJECTS_DICT.
    aliases={"normal": RandomNormal, "uniform": RandomUniform, "one": Ones, "zero": Zeros,
             "OrthogonalInitializer": Orthogonal, "IdentityInitializer": Identity, "STFTInitializer": STFT},
)


def _parse(value: Any) -> Initializer:
    return INITIALIZERS.parse(value)


InitializerArgument = Annotated[Initializer, BeforeValidator(_parse)]


class ForgetGateBias(Initializer):
    """The bias of an LSTM with unit_forget_bias: [others (units), ones (units), others (2 * units)].

    What keras/src/layers/rnn/lstm.py makes of bias_initializer; it has no name of its own in Keras.
    """

    units: int = Field(gt=0)
    others: InitializerArgument


class SquareRoot(Initializer):
    """The square roots of another initializer's values.

    What keras/src/layers/normalization/batch_normalization.py makes of moving_variance_initializer for the moving
    standard deviations of renorm=True; it has no name of its own in Keras.
    """

    of: InitializerArgument


def initializer_argument(default: str) -> Any:
    """A layer's initializer argument with its default given by name."""
    return Field(default_factory=lambda: INITIALIZERS.parse(default))
