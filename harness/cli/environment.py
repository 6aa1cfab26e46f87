"""harness doctor: what this machine has, and what on it would spoil a measurement."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import CONDITION_FAILED, OK
from harness.cli.output import Json, byte_size, emit

if TYPE_CHECKING:
    from harness.measure.machine import Trouble
    from harness.measure.noise import Noise
    from harness.measure.system import System

PROBE_SECONDS = 180
WATCH_SECONDS = 2.0
MARGINS = (0.03, 0.05)
SIGNS = {"spoils": "SPOILS", "adds noise": "noise", "note": "note"}

Results = Annotated[Path, typer.Option("--out", help="Where the results would go: is there room?")]
Quick = Annotated[bool, typer.Option("--quick", help="Ask the machine alone, not the frameworks.")]


def doctor(out: Results = Path("results"), quick: Quick = False, as_json: Json = False) -> int:
    """What on this machine would spoil a measurement, and how to mend it. Exit code 1 if something would."""
    from harness.measure.machine import spoils
    from harness.measure.system import System
    from harness.records.environment import environment

    machine = environment()
    # Whatever is timed here now must not be disturbed by who asks whether it would be.
    with alone() as free:
        frameworks = probe_all() if free and not quick else {}
        found, noise = examine(System(), out, frameworks, free)
    data: dict[str, Any] = {
        **{key: machine[key] for key in ("machine", "cpu", "cores", "memory_bytes", "gpu", "python", "platform")},
        "versions": machine["versions"], "frameworks": frameworks,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "noise": noise_data(noise),
        "troubles": [trouble.to_data() for trouble in found], "fit": not spoils(found),
    }
    emit(data, _text(data), as_json)
    return CONDITION_FAILED if spoils(found) else OK


def examine(
    system: System, out: Path, frameworks: dict[str, Any], free: bool = True
) -> tuple[list[Trouble], Noise | None]:
    """(the troubles, the spread of equal work); what others do is watched while the work runs, about four seconds.
    free: whether nothing is timed here now; else no work is done, and there is no spread."""
    from harness.measure.ceiling import held_threads
    from harness.measure.machine import Look, troubles
    from harness.measure.noise import measure_noise, same_work
    from harness.measure.system import moment, stolen_seconds
    from harness.runner.locks import machine_lock_path

    began, before, noise = time.monotonic(), moment(system), None
    if free:
        with held_threads(1):
            noise = measure_noise(same_work(), stolen=lambda: stolen_seconds(system))
    else:
        time.sleep(WATCH_SECONDS)
    look = Look(system, before, moment(system), time.monotonic() - began, out,
                None if free else machine_lock_path(), frameworks)
    return troubles(look), noise


@contextlib.contextmanager
def alone() -> Iterator[bool]:
    """Holds the machine's lock if it is free, so that no run begins to time meanwhile; whether it was."""
    from harness.runner.locks import FileLock, machine_lock_path

    lock = FileLock(machine_lock_path())
    try:
        # Its holder lets go within this context, or with the process.
        with lock.held(on_wait=_not_free):
            yield True
    except _NotFreeError:
        yield False
    finally:
        lock.close()


class _NotFreeError(Exception):
    """The lock is not to be waited for."""


def _not_free() -> None:
    raise _NotFreeError


def noise_data(noise: Noise | None) -> dict[str, Any]:
    """The spread, and how many blocks it asks for at some margins."""
    if noise is None:
        return {"spread": None, "reason": "it was not measured: another run of the harness is at work"}
    return {"spread": noise.spread, "windows": len(noise.rates),
            "blocks": {f"{margin:g}": noise.blocks(margin) for margin in MARGINS},
            "stolen_shares": sorted(noise.stolen), "steal_share": noise.steal_share()}


def probe_all() -> dict[str, dict[str, Any]]:
    """Backend -> what its framework says of itself."""
    from harness.backends import BACKENDS

    return {name: probe([sys.executable, "-m", "harness.backends.seen", name]) for name in BACKENDS}


def probe(command: list[str]) -> dict[str, Any]:
    """What a fresh interpreter says about a framework, or {"error": why it says nothing}."""
    from harness.runner.connection import environment

    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, env=environment())
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {PROBE_SECONDS} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"exit code {done.returncode}"}
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": "the probe printed no answer"}
    return answer


def _text(data: dict[str, Any]) -> str:
    lines = [
        f"machine     {data['machine']}",
        f"cpu         {data['cpu']}, {data['cores']} cores, {byte_size(data['memory_bytes'])} of memory",
        f"gpu         {data['gpu'] or 'none'}",
        f"system      {data['platform']}, Python {data['python']}",
    ]
    for name, answer in data["frameworks"].items():
        if "error" in answer:
            lines.append(f"{name.ljust(11)} not usable: {answer['error']}")
            continue
        keras = f" with Keras {answer['keras']}" if "keras" in answer else ""
        threads = answer["threads"]
        lines.append(f"{name.ljust(11)} {answer['version']}{keras}, {len(answer['gpus'])} GPU(s), imported in "
                     f"{answer['import_seconds']:.1f} s, threads {threads['intra_op']} + {threads['inter_op']}")
    if not data["frameworks"]:
        lines.append("frameworks  not asked")
    others = {name: text for name, text in data["versions"].items() if name not in ("tensorflow", "torch", "keras")}
    lines.append("packages    " + ", ".join(f"{name} {text}" for name, text in others.items()))
    if data["load_average"]:
        lines.append("load        " + " ".join(f"{value:.2f}" for value in data["load_average"]))
    lines.append(f"noise       {noise_sentence(data['noise'])}")
    if data["noise"].get("stolen_shares"):
        lines.append(f"stolen      {stolen_sentence(data['noise'])}")
    for trouble in data["troubles"]:
        lines += ["", f"{SIGNS[trouble['severity']]}: {trouble['what']}", f"  why:  {trouble['why']}",
                  f"  mend: {trouble['mend']}"]
    return "\n".join([*lines, "", _conclusion(data["troubles"])])


def noise_sentence(noise: dict[str, Any]) -> str:
    """"two runs of equal work differ by about 4% here: a margin of 3% needs about 12 blocks, one of 5% about 6"."""
    from harness.measure.noise import MOST_BLOCKS

    if noise["spread"] is None:
        return str(noise["reason"])
    needs = []
    for margin, count in noise["blocks"].items():
        blocks = f"{MOST_BLOCKS} blocks or more" if count >= MOST_BLOCKS else f"about {count} blocks"
        needs.append(f"{float(margin):.0%} needs {blocks}")
    return f"two windows of equal work differ by about {noise['spread']:.1%}: a margin of {', one of '.join(needs)}"


def stolen_sentence(noise: dict[str, Any]) -> str:
    """ "by the host, per second of one busy core: 0.4% mostly, at most 2.0%; timing.steal_share=0.03 would ..."."""
    shares, limit = noise["stolen_shares"], noise["steal_share"]
    middle, most = shares[len(shares) // 2], shares[-1]
    text = f"by the host, per second of one busy core: {middle:.1%} mostly, at most {most:.1%}; "
    if limit is None:
        return text + "so much that no limit makes a comparison worth its time here"
    return text + f"timing.steal_share={limit:g} would keep nine of ten"


def _conclusion(troubles: list[dict[str, Any]]) -> str:
    count = sum(trouble["severity"] == "spoils" for trouble in troubles)
    if count:
        return f"{count} of these would spoil a measurement: mend {'it' if count == 1 else 'them'} first."
    return "Nothing here would spoil a measurement." + (
        " What adds noise costs blocks." if any(trouble["severity"] == "adds noise" for trouble in troubles) else "")
