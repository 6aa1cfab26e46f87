"""Keras's initializers as data (keras/src/initializers). plan/initial.py draws the numbers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Configured, Family

Seed = int | None


def _one_number(value: Any) -> Any:
    if getattr(value, "ndim", 0) or isinstance(value, (list, tuple)):
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


class VarianceScaling(Initializer):
    """Scaled by the number of inputs or outputs (keras/src/initializers/random_initializers.py)."""

    scale: float = Field(default=1.0, gt=0)
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "truncated_normal"
    seed: Seed = None


class GlorotUniform(Initializer):
    """VarianceScaling(1, fan_avg, uniform): Glorot and Bengio 2010."""

    seed: Seed = None


class GlorotNormal(Initializer):
    """VarianceScaling(1, fan_avg, truncated_normal): Glorot and Bengio 2010."""

    seed: Seed = None


class HeUniform(Initializer):
    """VarianceScaling(2, fan_in, uniform): He et al. 2015."""

    seed: Seed = None


class HeNormal(Initializer):
    """VarianceScaling(2, fan_in, truncated_normal): He et al. 2015."""

    seed: Seed = None


class LecunUniform(Initializer):
    """VarianceScaling(1, fan_in, uniform): LeCun et al. 1998."""

    seed: Seed = None


class LecunNormal(Initializer):
    """VarianceScaling(1, fan_in, truncated_normal): LeCun et al. 1998."""

    seed: Seed = None


class Orthogonal(Initializer):
    """Orthogonal matrix (QR of a normal one), times `gain`: Saxe et al. 2013."""

    gain: float = 1.0
    seed: Seed = None


class Identity(Initializer):
    """Identity matrix, times `gain`; two-dimensional weights only."""

    gain: float = 1.0


INITIALIZERS: Family[Initializer] = Family(
    "initializer",
    (
        Zeros, Ones, Constant, RandomNormal, TruncatedNormal, RandomUniform, VarianceScaling, GlorotUniform,
        GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal, Identity,
    ),
    aliases={"normal": RandomNormal, "uniform": RandomUniform, "random_normal": RandomNormal,
             "random_uniform": RandomUniform, "truncated_normal": TruncatedNormal, "OrthogonalInitializer": Orthogonal,
             "IdentityInitializer": Identity},
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


def initializer_argument(default: str) -> Any:
    """A layer's initializer argument with its default given by name."""
    return Field(default_factory=lambda: INITIALIZERS.parse(default))
