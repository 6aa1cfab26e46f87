"""What one process that runs a Keras script remembers: seed, precision, execution, and its folder."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.execution import Execution

OVERRIDES = "HARNESS_OVERRIDES"
RESULTS = "HARNESS_RESULTS"


@dataclass
class State:
    """seed: of the next model, drawn at random unless `set_random_seed` gave it. models: made under that seed."""

    seed: int = field(default_factory=lambda: secrets.randbelow(2**31))
    models: int = 0
    precision: str = "float32"
    interactive: bool = True
    _folder: Path | None = None

    def set_precision(self, value: str) -> None:
        if value not in ("float32", "float64"):
            raise SpecError(f"floatx is float32 or float64, got {value!r}.", where="set_floatx")
        self.precision = value

    def next_seed(self) -> int:
        """The seed of a new model: the script's own for the first, another for each after it, as Keras's
        generator goes on from model to model."""
        seed = self.seed if self.models == 0 else derived(self.seed, "model", self.models)
        self.models += 1
        return seed

    def folder(self) -> Path:
        """This process's temporary folder, removed when the process ends."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="harness-keras-"))
            atexit.register(remove, self._folder, os.getpid())
        return self._folder

    def results_folder(self, *names: str) -> Path:
        """The folder of that name for a fit's store: below HARNESS_RESULTS if that is set, else temporary."""
        kept = os.environ.get(RESULTS)
        folder = (Path(kept).resolve() if kept else self.folder() / "results").joinpath(*names)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SpecError(f"cannot write there: {error.strerror}.", where=f"{RESULTS}={kept}") from None
        return folder


STATE = State()


def derived(seed: int, purpose: str, number: int) -> int:
    """Another seed, the same whenever it is asked for: of the number-th model, of a model's number-th fit."""
    from harness.plan.randomness import generator

    return int(generator(seed, "script", purpose, number).integers(2**31))


def remove(folder: Path, owner: int) -> None:
    """Removes the folder, in the process that made it only (a forked child inherits the exit handlers)."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def set_random_seed(seed: int) -> None:
    """Initial weights, batch order, dropout masks and noise of the models made from now on follow from it."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise SpecError(f"the seed is a whole number from 0 to 2**32 - 1, got {seed!r}.", where="set_random_seed")
    import random

    import numpy as np

    # Keras seeds these two as well (keras/src/utils/rng_utils.py).
    random.seed(seed)
    np.random.seed(seed)
    STATE.seed, STATE.models = seed, 0


def execution(**given: Any) -> Execution:
    """The execution of a fit: floatx and what the script says, overridden by HARNESS_OVERRIDES.

    HARNESS_OVERRIDES: "execution.compile=none execution.threads=1", for scripts that must stay as they are.
    """
    import yaml

    arguments: dict[str, Any] = {"precision": STATE.precision, **given}
    for item in os.environ.get(OVERRIDES, "").split():
        key, equals, value = item.partition("=")
        room, _, name = key.partition(".")
        if not equals or room != "execution" or name not in Execution.model_fields:
            names = [f"execution.{field}" for field in Execution.model_fields]
            raise SpecError(f"cannot read {item!r}; expected execution.key=value.", where=OVERRIDES,
                            hint=did_you_mean(key, names))
        arguments[name] = yaml.safe_load(value)
    return Execution(**arguments)
