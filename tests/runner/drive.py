"""A driver in a process of its own, with fake cells: python drive.py STORE LOCK SEEDS [blocks]. Prints its events."""

import json
import signal
import sys
from pathlib import Path

from harness.errors import HarnessError
from harness.runner.blocks import BlockSettings
from harness.runner.check import check
from harness.runner.driver import Settings, execute
from harness.spec.experiment import Experiment
from harness.spec.timing import Timing


def main(store: str, lock: str, seeds: str, blocks: str | None = None) -> int:
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    given = {"model": "mlp_64_64", "data": "data.npz", "seed": json.loads(seeds)}
    experiment = Experiment.parse(given, folder=Path.cwd())
    settings = Settings(function="tests.runner.jobs:fake_cell", backend_of=lambda cell: "none", lock=Path(lock),
                        blocks=fake_blocks() if blocks else None)
    try:
        execute(experiment, check(experiment), Path(store), tell, settings)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def fake_blocks() -> BlockSettings:
    from tests.runner.block_jobs import fake_unfair

    return BlockSettings(Timing(looks=(3, 6)), None, "tests.runner.block_jobs:fake_half",
                         "tests.runner.block_jobs:fake_conditions", fake_unfair, None, None)


def tell(event: dict[str, object]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    # A suite that runs in the background of a shell hands down an ignored Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(*sys.argv[1:]))
