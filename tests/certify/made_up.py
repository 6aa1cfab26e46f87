"""Certificates of every label, made up: what certifying would have found, without training anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.certify.certificate import (
    DIFFERENT,
    FAILED,
    NOT_CERTIFIED,
    PASSED,
    SAME_TO_ROUNDING,
    SKIPPED,
    Certificate,
    Curve,
    Difference,
    Finding,
    Phase,
    Rung,
)

STEPS = (1, 2, 5, 10, 20, 50)


def curve(quantity: str = "weights", dtype: str = "float64", unit: float = 1e-15, **changes: Any) -> Curve:
    """D(t) inside its band; unit: the distance after one step."""
    line = tuple(unit * step for step in STEPS)
    controls = {f"{name}, one ulp {index}": tuple(value * index for value in line)
                for name in ("tensorflow", "pytorch") for index in (1, 2)}
    made = Curve(quantity, dtype, "eager", STEPS, line, controls, tuple(20 * value for value in line),
                 tuple(0.01 * step for step in STEPS), 40 if dtype == "float32" else None)
    return replace(made, **changes)


def rungs() -> tuple[Rung, ...]:
    """All five, passed."""
    layers = {"hidden": {"type": "Dense", "output": 1e-16, "input gradient": 2e-16, "weight gradient": 0.0,
                         "beyond": []},
              "logits": {"type": "Dense", "output": 3e-16, "weight gradient": 4e-16, "beyond": []}}
    return (
        Rung("R0", PASSED, 24, Difference("pytorch: learning_rates", 0.0, 2e-16), seconds=0.4),
        Rung("R1", PASSED, 12, Difference("output logits", 3e-16, 1e-10, 2e-16), seconds=1.2,
             details={"layers": layers}),
        Rung("R2", PASSED, 40, Difference("weight gradient logits/kernel", 4e-16, 1e-9, 1e-16), seconds=0.1),
        Rung("R3", PASSED, 300, Difference("weights after 50 steps", 5e-14, 1e-12), seconds=4.0,
             details={"horizon": None}),
        Rung("R4", PASSED, 300, Difference("weights after 50 steps", 2e-6, 1e-4), seconds=123.4),
    )


def certificate(label: str = SAME_TO_ROUNDING, model: str = "mlp", **changes: Any) -> Certificate:
    """One of that label, "same in distribution" apart (R5 makes it of "not certified")."""
    made = Certificate(
        SAME_TO_ROUNDING, ("tensorflow", "pytorch"),
        {"model": model, "digest": "d" * 64, "parameters": 1234, "data": "digits", "examples": [656], "seed": 0,
         "steps": 50, "recipe": {"Recipe": {"loss": "mse"}}, "programs": {"tensorflow": "XLA", "pytorch": "Inductor"},
         "execution": {"precision": "float32", "tier": "tuned", "compile": "auto", "device": "cpu"}},
        (Phase("pretrain", rungs(), (curve(), curve("loss"), curve(dtype="float32", unit=1e-7)),
               ("error in float32 over error in float64: 4e8, as rounding has it",
                "nothing differs at the first step", "no jump")),),
        versions={"tensorflow": "2.21.0", "torch": "2.13.0"},
        cost={"seconds": 12.5, "training_step_seconds": 0.004, "steps_worth": 3125.0}, notes=("A note.",))
    if label == DIFFERENT:
        failed = Difference("change bn/moving_variance", 3e-3, 2e-7, 1e-12)
        ladder = (*rungs()[:1], Rung("R1", FAILED, 12, failed, (failed,)),
                  *(Rung(name, SKIPPED, reason="a rung below it failed") for name in ("R2", "R3", "R4")))
        made = replace(made, label=label, phases=(Phase("pretrain", ladder),), finding=Finding(
            "R1", "pretrain", 0, "buffer", "bn", "moving_variance", "change bn/moving_variance", 3e-3, 2e-7,
            "the running variance is the unbiased one here", "use the biased variance",
            ("momentum: 0.99 | 0.9", "epsilon: 0.001 | 1e-05")))
    elif label == NOT_CERTIFIED:
        ladder = (*rungs()[:3], Rung("R3", SKIPPED, reason="both become NaN at step 7"), Rung("R4", SKIPPED))
        made = replace(made, label=label, phases=(Phase("pretrain", ladder),), reason="R3, R4 were not run")
    return replace(made, **changes)
