"""How a training is executed: device, precision, tier, compilation, threads, determinism."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import Configured

# Backend -> the programs of its tuned tier, in the order in which they are tried; the first compiles least.
PROGRAMS = {
    "tensorflow": ("graph loop", "xla loop", "xla step"),
    "pytorch": ("eager", "captured step", "inductor", "inductor step", "cuda graph"),
}

Precision = Literal["float32", "tf32", "float64", "mixed_float16", "mixed_bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
# Keras's dtype policies of two dtypes -> what layers compute in; their weights are float32.
MIXED: dict[str, Literal["float16", "bfloat16"]] = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
# How else people call the half types.
HALVES = {"fp16": "mixed_float16", "float16": "mixed_float16", "half": "mixed_float16", "f16": "mixed_float16",
          "16": "mixed_float16", "16-mixed": "mixed_float16", "bf16": "mixed_bfloat16", "bfloat16": "mixed_bfloat16",
          "bf16-mixed": "mixed_bfloat16"}


def _precision(value: Any) -> Any:
    if value in PRECISIONS:
        return value
    meant = HALVES.get(str(value).lower())
    raise SpecError(f"unknown precision {value!r}.", hint=f"Did you mean {meant!r}? Weights stay in float32."
                    if meant else did_you_mean(value, PRECISIONS))


def _remat(value: Any) -> Any:
    if value is None:
        return None
    from harness.spec.remat import parse_remat

    return parse_remat(value)


def no_tf32() -> SpecError:
    """What a backend raises that is to compute in tf32 on a CPU."""
    return SpecError("precision is 'tf32', and this trains on a CPU, which has no such arithmetic.",
                     where="execution.precision", hint="Use precision: float32, or a GPU.")


class Execution(Configured):
    """Where and how a cell runs. It changes speed and rounding, never what is computed.

    device: "auto" is the first GPU if the framework sees one, else the CPU.
    tier: "tuned" (the loop inside the framework) or "idiomatic" (model.fit; a DataLoader loop).
    compile: "auto" lets the backend choose by the kind of model; "none", "xla" or "inductor" say it.
    precision: "tf32" is float32 whose products a GPU rounds to 11 significant bits; "float32" is without that.
        "mixed_float16" and "mixed_bfloat16" are Keras's dtype policies: weights, loss and metrics in float32, layers
        in the half type. mixed_float16 scales the loss, as Keras's compile does.
    initial_scale, dynamic_growth_steps: of the loss under mixed_float16, as in Keras's LossScaleOptimizer.
    program: one of PROGRAMS by name, for the backend that has it; "auto" leaves it to `compile`, and in timed blocks
        to a pilot that tries them all.
    threads: of each thread pool; 0 leaves the framework's default.
    remat: what is computed again in the backward pass and not kept: "full", "activations", "blocks",
        "larger_than:N" or names of layers (spec/remat.py); None keeps everything.
    random: "tape" draws dropout and noise from the plan, the same numbers in both frameworks;
        "native" leaves them to each framework's own generator (what the idiomatic tier does).
    """

    device: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Annotated[Precision, BeforeValidator(_precision)] = "float32"
    tier: Literal["tuned", "idiomatic"] = "tuned"
    compile: Literal["auto", "none", "xla", "inductor"] = "auto"
    program: str = "auto"
    threads: int = Field(default=1, ge=0, le=1024)
    deterministic: bool = True
    random: Literal["auto", "tape", "native"] = "auto"
    initial_scale: float = Field(default=2.0**15, gt=0, allow_inf_nan=False)
    dynamic_growth_steps: int = Field(default=2000, ge=1)
    remat: Annotated[str | tuple[str, ...] | None, BeforeValidator(_remat)] = None

    @model_validator(mode="after")
    def _one_program(self) -> "Execution":
        known = [name for names in PROGRAMS.values() for name in names]
        if self.program == "auto":
            return self
        if self.program not in known:
            raise SpecError(f"unknown program {self.program!r}.", hint=did_you_mean(self.program, ["auto", *known]))
        if self.tier != "tuned":
            raise SpecError(f"the idiomatic tier has no program {self.program!r}: it runs what the tutorials write.",
                            hint="Use tier: tuned, or leave program at auto.")
        if self.compile != "auto":
            raise SpecError(f"compile: {self.compile} and program: {self.program} both say what is compiled.",
                            hint="Leave one of them at auto.")
        return self

    @property
    def dtype(self) -> Literal["float32", "float64"]:
        """What weights are kept in, and activations too but in mixed precision."""
        return "float64" if self.precision == "float64" else "float32"

    @property
    def compute_dtype(self) -> Literal["float16", "bfloat16", "float32", "float64"]:
        """What layers compute in and put out."""
        return MIXED.get(self.precision, self.dtype)

    @property
    def policy(self) -> str:
        """Keras's name of the dtype policy of all layers that have none of their own."""
        return self.precision if self.precision in MIXED else self.dtype

    @property
    def scales_loss(self) -> bool:
        """Whether the loss is scaled: float16 has no room for small gradients, bfloat16 has (keras/src/trainers/
        trainer.py: compile)."""
        return self.precision == "mixed_float16"

    @property
    def uses_tape(self) -> bool:
        """True if dropout and noise come from the plan."""
        return self.random == "tape" or (self.random == "auto" and self.tier == "tuned")

    @staticmethod
    def parse(value: Any) -> "Execution":
        if isinstance(value, Execution):
            return value
        if value is None:
            return Execution()
        if not isinstance(value, dict):
            raise SpecError(f"'execution' is a mapping, got {value!r}.")
        return Execution(**value)
