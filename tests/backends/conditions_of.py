"""The program of test_conditions.py: python conditions_of.py BACKEND FILE writes what a backend reads back of its own
process, configured in several ways one after the other, as JSON."""

from __future__ import annotations

import json
import sys

from harness.backends import load_backend
from harness.errors import SpecError
from harness.spec.execution import Execution


def main(name: str, file: str) -> None:
    backend = load_backend(name)
    found = {}
    for key, execution in (
        ("two threads", Execution(device="cpu", threads=2, deterministic=False)),
        ("one thread, too late", Execution(device="cpu")),
        ("float64", Execution(device="cpu", precision="float64", threads=2, deterministic=False)),
        ("compiled", Execution(device="cpu", threads=2, deterministic=False, compile="xla")),
    ):
        backend.configure(execution)
        found[key] = backend.conditions(execution)
    try:
        backend.configure(Execution(precision="tf32", device="cpu"))
    except SpecError as error:
        found["tf32"] = str(error)
    with open(file, "w") as target:
        json.dump(found, target, allow_nan=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
