"""harness merge-lora and pairs: what a fine-tuning left, made ready for use and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.exits import CONDITION_FAILED, NOT_ENOUGH_EVIDENCE, OK, nothing_matched
from harness.cli.output import Json, byte_size, emit, table
from harness.errors import SpecError


def merge_lora(
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint of a phase with adapters, in the folder of its "
                                                    "record; with --adapters, the weights that were adapted.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where the merged weights go.")] = None,
    adapters: Annotated[Path | None, typer.Option(help="Merge these, a file that --adapters-to wrote.")] = None,
    adapters_to: Annotated[Path | None, typer.Option(help="Write the adapters alone, with the other weights that were "
                                                          "trained beside them.")] = None,
    force: Annotated[bool, typer.Option(help="Write over files that exist.")] = False,
    as_json: Json = False,
) -> int:
    """Add low-rank adapters to the weights that they stand beside, or keep them alone."""
    from harness.exchange.adapters import merge_adapters, save_adapters

    if output is None and adapters_to is None:
        raise SpecError("what should be written?", hint="Give -o FILE for the merged weights, or --adapters-to FILE.")
    if adapters is not None and adapters_to is not None:
        raise SpecError("--adapters reads adapters and --adapters-to writes them.", hint="Leave one of them out.")
    for file in (output, adapters_to):
        if file is not None and file.exists() and not force:
            raise SpecError("the file exists already.", where=str(file), hint="Give another name, or --force.")
    data: dict[str, object] = {}
    lines = []
    if output is not None:
        names = merge_adapters(checkpoint, output, adapters)
        data |= {"merged": names, "output": str(output)}
        lines.append(f"{output}  {byte_size(output.stat().st_size)}, {len(names)} weights with adapters added")
    if adapters_to is not None:
        kept = save_adapters(checkpoint, adapters_to)
        count = sum(array.size for array in kept.values())
        data |= {"adapters": str(adapters_to), "parameters": count}
        lines.append(f"{adapters_to}  {byte_size(adapters_to.stat().st_size)}, {count:,} parameters")
    emit(data, "\n".join(lines), as_json)
    return OK


def pairs(
    folder: Annotated[Path, typer.Argument(metavar="RESULTS", help="The folder that `harness run` wrote.")],
    as_json: Json = False,
) -> int:
    """Pretrained in A, fine-tuned in B: do the four pairs end in the same place?

    Of an experiment with the axis pretrained_in. Exit code 1 where they do not, 6 where it cannot be said yet, 5 where
    no run has pretrained_in.
    """
    from harness.analysis.two_by_two import two_by_two
    from harness.cli.results import open_results

    found = two_by_two(open_results(folder).records())
    if not found:
        raise nothing_matched("no run has pretrained_in; write matrix: {pretrained_in: [tensorflow, pytorch]}.")
    lines = []
    for group in found:
        rows = [[pair.title, len(pair.values), _number(pair.mean.value),
                 None if pair.difference is None else f"{pair.difference.value:+.4g}",
                 None if pair.difference is None or pair.difference.low is None
                 else f"{pair.difference.low:+.4g} to {pair.difference.high:+.4g}",
                 {True: "yes", False: "no", None: None}[pair.within]] for pair in group.pairs]
        header = ["pretrained -> fine-tuned", "seeds", group.measure, "minus the first", "95% interval", "in spread"]
        lines += [group.sentence, "", table(header, rows), ""]
    emit([group.to_data() for group in found], "\n".join(lines).rstrip(), as_json)
    if any(group.agrees is False for group in found):
        return CONDITION_FAILED
    return OK if all(group.agrees for group in found) else NOT_ENOUGH_EVIDENCE


def _number(value: float) -> float:
    """Six digits of it, which a column of a table holds."""
    return float(f"{value:.6g}")
