"""harness certify --keras MODEL --torch MODULE:FUNCTION: a port written by hand, and the options that go with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.certify.certificate import Certificate

LAYOUTS = ("auto", "channels_first", "channels_last")
PRECISIONS = ("float32", "float64", "mixed_float16", "mixed_bfloat16")

Keras = Annotated[str | None, typer.Option(help="With --torch: the model, as MODEL.")]
Torch = Annotated[str | None, typer.Option(
    help="A module written by hand, compared with the Keras model: package.module:function or FILE.py:function.")]
Names = Annotated[Path | None, typer.Option(
    "--map", help="With --torch: names.yaml, which Keras weight is which tensor; proposed otherwise.")]
Layout = Annotated[str, typer.Option(help="With --torch: channels_first, channels_last or auto.")]
Accept = Annotated[list[str] | None, typer.Option(
    help="With --torch: a cause not held against the port (\"unbiased variance\"); several times.")]
OwnWeights = Annotated[bool, typer.Option(help="With --torch: compare the weights that it comes with.")]
TorchLoss = Annotated[str | None, typer.Option(help="(output, target) -> scalar, compared too.")]
TorchOptimizer = Annotated[str | None, typer.Option(help="(parameters) -> optimizer, compared too.")]
TorchStep = Annotated[str | None, typer.Option(help="(net, optimizer, x, y), compared too.")]
TorchCompile = Annotated[bool, typer.Option(
    "--torch-compile", help="With --torch: R4 (and R5) train the module through torch.compile.")]


def port(
    model: str | None, torch: str | None, names: Path | None, output: Path | None, *, layout: str, precision: str,
    **options: Any,
) -> Certificate:
    """The certificate of a port; the records of whole runs go to output/runs. Raises SpecError where an option is
    missing or wrong."""
    from harness.runner.ports.driver import certify_port

    if model is None:
        raise SpecError("there is no model.", where="harness certify",
                        hint="Write harness certify MODEL, or --keras MODEL --torch MODULE:FUNCTION.")
    if torch is None:
        raise SpecError("--keras goes with --torch.", where="harness certify",
                        hint="Write --torch package.module:build_net, or the model without --keras.")
    for option, value, known in (("layout", layout, LAYOUTS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise SpecError(f"--{option} is one of {', '.join(known)}, got {value!r}.", where="harness certify")
    return certify_port(model, torch, names, layout=layout, precision=precision,
                        runs=None if output is None else output / "runs", **options)
