"""harness rm, gc and merge: taking records out of a store, clearing it up, making one of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import OK, nothing_matched
from harness.cli.output import Json, byte_size, emit
from harness.cli.status import MOST_LINES, Folder, matching, open_store
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.records.store import Store


def rm(
    folder: Folder,
    filters: Annotated[list[str] | None, typer.Argument(help="Cells that fit: backend=pytorch seed=0 id=... ")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Those that ended without a result.")] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="Records that cannot be read.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them; without it they are only named.")] = False,
    as_json: Json = False,
) -> int:
    """Remove cells, with their logs: those that failed, or that match.

    Says what would be removed; removes it with --yes. The next run runs these cells again.
    """
    if not (filters or failed or damaged):
        raise SpecError("nothing is said of what to remove.", where="harness rm",
                        hint="Give --failed, --damaged, or column=value, such as backend=pytorch.")
    if damaged and (filters or failed):
        raise SpecError("a damaged record has no columns to match.", where="--damaged", hint="Give it alone.")
    store = open_store(folder)
    chosen = _damaged(store) if damaged else _chosen(store, [*(filters or []), *(["status=failed"] if failed else [])])
    if not chosen:
        raise nothing_matched(f"no record in {folder} is damaged.")
    if yes:
        from harness.records.leftovers import remove_records

        remove_records(store, chosen)
    data = {"path": str(folder), "removed" if yes else "would_remove": sorted(chosen)}
    lines = [f"{'removed' if yes else 'would remove'}: {id}: {text}" for id, text in list(chosen.items())[:MOST_LINES]]
    lines += [f"and {len(chosen) - MOST_LINES:,} more"] if len(chosen) > MOST_LINES else []
    lines.append(f"{len(chosen):,} cell{'s' if len(chosen) > 1 else ''} removed." if yes else
                 f"{len(chosen):,} cell{'s' if len(chosen) > 1 else ''}; nothing was removed. Add --yes to remove.")
    emit(data, "\n".join(lines), as_json)
    return OK


def _chosen(store: Store, filters: list[str]) -> dict[str, str]:
    """id -> what it is, of the cells that fit."""
    frame = matching(store.cells(), filters)
    parts = frame[["id", "model", "data", "backend", "seed", "status"]].itertuples(index=False, name=None)
    return {id: ", ".join(str(part) for part in others) for id, *others in parts}


def _damaged(store: Store) -> dict[str, str]:
    from harness.records.index import DAMAGED

    return {id: str(entry.message) for id, entry in store.entries(files=True).items() if entry.status == DAMAGED}


def gc(
    folder: Folder,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and leave.")] = False,
    as_json: Json = False,
) -> int:
    """Remove what killed runs left: temporary files, series without a record, logs and leases of nobody.

    No record is touched, whole or damaged, and nothing that a run at work needs.
    """
    from harness.records.leftovers import leftovers, remove

    store = open_store(folder, empty=True)
    # What was replaced by a record that never came is put back, and what killed writers left goes.
    notes = [] if dry_run else store.clean()
    found = leftovers(store)
    for item in found if not dry_run else ():
        remove(item.path)
    total = sum(item.bytes for item in found)
    data: dict[str, Any] = {
        "path": str(folder), "dry_run": dry_run, "bytes": total, "notes": notes,
        "leftovers": [{"path": str(item.path.relative_to(folder)), "why": item.why, "bytes": item.bytes}
                      for item in found],
    }
    verb = "would remove" if dry_run else "removed"
    lines = [*notes, *(f"{verb}: {item.path.relative_to(folder)}: {item.why}" for item in found)]
    lines = [*lines[:MOST_LINES], *([f"and {len(lines) - MOST_LINES:,} more"] if len(lines) > MOST_LINES else [])]
    lines.append(f"{len(found):,} leftovers, {byte_size(total)}." if found or notes else "nothing was left over.")
    emit(data, "\n".join(lines), as_json)
    return OK


def merge(
    stores: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Two folders of results or more.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to make.")],
    as_json: Json = False,
) -> int:
    """Make one store of several: those of machines that shared an experiment.

    A cell that two of them hold is taken once if both have the same bytes; otherwise nothing is merged and the cell is
    named. Blocks of two machines stay apart: each says where it was timed.
    """
    from harness.records.merging import merge as merge_stores

    merged = merge_stores(stores, out)
    data = {"path": str(out), "records": merged.records, "twice": merged.twice, "blocks": merged.blocks,
            "certificates": merged.certificates, "notes": merged.notes}
    twice = f" ({merged.twice:,} of them were in several)" if merged.twice else ""
    emit(data, "\n".join([f"{out}: {merged.records:,} cells{twice}, {merged.blocks:,} blocks, "
                          f"{merged.certificates:,} certificates", *merged.notes]), as_json)
    return OK
