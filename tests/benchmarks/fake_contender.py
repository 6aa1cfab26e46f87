"""A contender without a framework: a process that answers as benchmarks.contenders does, its times made up.

    python -m tests.benchmarks.fake_contender <cpu seconds of an epoch> [dies | still]
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    epoch, *faults = sys.argv[1:]
    print(json.dumps({"program": "made up", "tried": [], "epoch_seconds": float(epoch), "steady": True,
                      "parameters": 100}), flush=True)
    for number, line in enumerate(sys.stdin):
        if not line.strip():
            break
        if "dies" in faults and number:
            sys.exit("it ran out of luck")
        epochs = int(line)
        print(json.dumps({"cpu": epochs * float(epoch), "wall": 2 * epochs * float(epoch), "examples": epochs * 10}),
              flush=True)
    problem = "2 of 3 trainable weights never changed" if "still" in faults else None
    print(json.dumps({"parameters": 100, "first_loss": 2.0, "last_loss": 1.0, "moved": 0.1, "problem": problem}),
          flush=True)


if __name__ == "__main__":
    main()
