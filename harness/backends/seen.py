"""What a framework says of itself before anything is trained: python -m harness.backends.seen BACKEND prints JSON.

In a process of its own: two frameworks do not share one, and a broken one only breaks its own answer. Each backend has
a module `seen` with a function `seen()`: "version", "gpus" (names), "cuda" (the version it is built for, or None),
"threads" {"intra_op", "inter_op"}, and what else there is to tell.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

from harness.backends import BACKENDS


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    began = time.perf_counter()
    module = importlib.import_module(f"{BACKENDS[sys.argv[1]]}.seen")
    seconds = time.perf_counter() - began
    print(json.dumps({**module.seen(), "import_seconds": seconds}))


if __name__ == "__main__":
    main()
