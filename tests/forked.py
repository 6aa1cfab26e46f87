"""Programs of the tests that need a framework, each in a fork of a process that has imported it already.

    printed = run_module("tensorflow", "tests.conformance.run_tensorflow", cases, out)
    printed = run_source("pytorch", PROGRAM, out)

Importing a framework takes longer than most of these programs; the fork servers are kept between tests (servers.py).
What a program needs of a fresh interpreter (what is imported, variables that are read at import, threads) is not to be
had here: that is for subprocess.
"""

from __future__ import annotations

import gc
import os
import runpy
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.runner.workers import Job, Worker

ROOT = Path(__file__).parents[1]
# As programs of tests run everywhere: one thread of the CPU, also where there is a GPU.
QUIET = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}


def run_module(framework: str, module: str, *arguments: object, **variables: str) -> str:
    """`python -m module arguments`, from the repository's root. variables: of its environment.

    Returns what it printed. Raises AssertionError with the end of that if the program failed.
    """
    return _run(framework, {"module": module}, arguments, variables)


def run_source(framework: str, source: str, *arguments: object, **variables: str) -> str:
    """`python -c source arguments`, else as `run_module`."""
    return _run(framework, {"source": source}, arguments, variables)


def run_script(framework: str, path: Path, *arguments: object, **variables: str) -> str:
    """`python path arguments`, else as `run_module`."""
    return _run(framework, {"script": str(path)}, arguments, variables)


def side_by_side(*programs: Callable[[], str]) -> list[str]:
    """What programs of different frameworks printed, run at the same time. Raises the first one's AssertionError."""
    printed: dict[int, str | BaseException] = {}

    def play(number: int, program: Callable[[], str]) -> None:
        try:
            printed[number] = program()
        except BaseException as error:  # raised again in the test's own thread
            printed[number] = error

    threads = [threading.Thread(target=play, args=item, daemon=True) for item in enumerate(programs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = []
    for number in range(len(programs)):
        found = printed[number]
        if isinstance(found, BaseException):
            raise found
        texts.append(found)
    return texts


def _run(framework: str, program: dict[str, str], arguments: tuple[object, ...], variables: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory() as folder, Worker(framework) as worker:
        log = Path(folder) / "log"
        given = {**program, "arguments": [str(item) for item in arguments], "variables": {**QUIET, **variables}}
        result = worker.run(Job("tests.forked:play", given, log=log, cold=True))
        printed = log.read_text(errors="replace") if log.exists() else ""
    assert result.status == "done", f"{framework}: {result.reason}\n{printed[-4000:]}"
    return printed


def play(given: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> None:
    """The job of a worker's child."""
    gc.freeze()  # what the server imported is no garbage: Keras's clear_session need not look through it
    os.environ.update(given["variables"])
    os.chdir(ROOT)
    torch = sys.modules.get("torch")
    if torch is not None:  # its libraries read OMP_NUM_THREADS when the worker imported it
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sys.argv = [given.get("script", "-c"), *given["arguments"]]
    try:
        if "module" in given:
            runpy.run_module(given["module"], run_name="__main__", alter_sys=True)
        elif "script" in given:
            sys.path.insert(0, str(Path(given["script"]).parent))
            runpy.run_path(given["script"], run_name="__main__")
        else:
            main = types.ModuleType("__main__")
            sys.modules["__main__"] = main
            exec(compile(given["source"], "<string>", "exec"), main.__dict__)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"it ended with {end.code}") from end
