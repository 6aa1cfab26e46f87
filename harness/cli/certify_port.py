"""harness certify --keras MODEL --torch MODULE:FUNCTION: a port written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.certify.certificate import Certificate

LAYOUTS = ("auto", "channels_first", "channels_last")


def port(model: str | None, torch: str | None, names: Path | None, *, layout: str, **options: Any) -> Certificate:
    """The certificate of a port. Raises SpecError where an option is missing or wrong."""
    from harness.runner.ports.driver import certify_port

    if model is None:
        raise SpecError("there is no model.", where="harness certify",
                        hint="Write harness certify MODEL, or --keras MODEL --torch MODULE:FUNCTION.")
    if torch is None:
        raise SpecError("--keras goes with --torch.", where="harness certify",
                        hint="Write --torch package.module:build_net, or the model without --keras.")
    if layout not in LAYOUTS:
        raise SpecError(f"--layout is one of {', '.join(LAYOUTS)}, got {layout!r}.", where="harness certify")
    return certify_port(model, torch, names, layout=layout, **options)
