"""Known causes in plain language: signature -> cause -> mend (docs/certificate.md lists them).

A signature is arithmetic on the arrays of both sides: it names a cause only where the numbers of the deviant side
follow from those of the sound one by that mistake. Where none fits, the finding has its place and no cause.
"""

from __future__ import annotations

from harness.certify.causes import layers, normalization, objective, optimizers, plan, recurrent
from harness.certify.causes.evidence import Cause, Evidence, Signature

# Part of a Finding -> the signatures that are tried, in this order.
SIGNATURES: dict[str, tuple[Signature, ...]] = {
    "plan": plan.SIGNATURES, "data": plan.DATA, "schedule": plan.SCHEDULE, "random": plan.RANDOM,
    "forward": (*recurrent.SIGNATURES, *normalization.FORWARD, *layers.FORWARD),
    "inference": (*layers.INFERENCE, *normalization.INFERENCE),
    "backward": (*layers.BACKWARD, *objective.BACKWARD), "buffer": normalization.BUFFER,
    "loss": objective.SIGNATURES, "update": optimizers.SIGNATURES,
}


def cause_of(evidence: Evidence) -> Cause | None:
    """The first known cause whose signature fits, None where none does."""
    for signature in SIGNATURES.get(evidence.finding.part, ()):
        try:
            found = signature(evidence)
        except (KeyError, IndexError, ValueError, AttributeError):
            continue  # the arrays or arguments that it is about are not there: it does not fit
        if found is not None:
            return found
    return None


__all__ = ["SIGNATURES", "Cause", "Evidence", "cause_of"]
