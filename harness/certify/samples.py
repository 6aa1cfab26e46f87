"""What is kept of a training that is played step by step, and the file in which it goes from a child to the judge.

Of the weights a sample is kept after every step, the same elements in both backends; of the same backend's controls
only how far they are from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.plan.randomness import generator
from harness.records.array_file import read_arrays, write_arrays

# Elements kept of one weight, and of all of them together.
OF_ONE, OF_ALL = 4096, 250_000
Shapes = Mapping[str, tuple[int, ...]]


class Sampler:
    """Which elements of each weight are kept. shapes: of all weights that are looked at, in their order."""

    def __init__(self, shapes: Shapes) -> None:
        sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
        wanted = sum(min(size, OF_ONE) for size in sizes.values())
        most = OF_ONE if wanted <= OF_ALL else max(1, OF_ONE * OF_ALL // wanted)
        self.names = tuple(shapes)
        self.chosen = {
            name: np.sort(generator(0, "trajectory", name).choice(size, most, replace=False, shuffle=False))
            for name, size in sizes.items() if size > most
        }

    def __call__(self, weights: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One vector per weight, in the order of `names`; a copy."""
        return [self._of(name, np.asarray(weights[name])) for name in self.names]

    def _of(self, name: str, array: np.ndarray) -> np.ndarray:
        flat = array.reshape(-1)
        return flat[self.chosen[name]] if name in self.chosen else flat.copy()


@dataclass
class Distance:
    """How far a training is from its backend's base. squares: float64 [moments, weights], the sum over the sample of
    squared differences; losses: float64, one per step."""

    squares: np.ndarray
    losses: np.ndarray


@dataclass
class Program:
    """The program that is timed, at some moments. steps: how many had been played at each; weights: a float array
    [moments, elements] per weight; losses: float64, one per step."""

    name: str
    steps: tuple[int, ...]
    weights: list[np.ndarray]
    losses: np.ndarray


@dataclass
class Trajectory:
    """One backend's training of one plan, in lock-step.

    names: the weights; updated: those that the optimizer moves. weights: per weight [steps + 1, elements], before the
    first step and after each. losses: float64 [steps], each before its step's update. controls: the same training,
    moved by rounding; seeds: the same recipe from another seed; timed: as another program. again: how far the weights
    after the first steps were from these when the same session, brought back to its first state, played them at the
    end of everything (relative L2 distance).
    """

    backend: str
    dtype: str
    program: str
    names: tuple[str, ...]
    updated: frozenset[str]
    weights: list[np.ndarray]
    losses: np.ndarray
    controls: dict[str, Distance] = field(default_factory=dict)
    seeds: Distance | None = None
    timed: Program | None = None
    again: float = 0.0

    @property
    def steps(self) -> int:
        """How many steps were played."""
        return len(self.losses)


def write_trajectory(path: Path | str, trajectory: Trajectory) -> None:
    """As .npz."""
    distances = list(trajectory.controls.items())
    if trajectory.seeds is not None:
        distances.append(("", trajectory.seeds))
    arrays = {
        "about": np.array([trajectory.backend, trajectory.dtype, trajectory.program]),
        "weights": np.array(trajectory.names), "losses": trajectory.losses,
        "again": np.array(trajectory.again),
        "updated": np.array([name in trajectory.updated for name in trajectory.names]),
        "controls": np.array([name for name, _ in distances], dtype=str),
    }
    arrays |= {f"weight {index}": array for index, array in enumerate(trajectory.weights)}
    for index, (_, distance) in enumerate(distances):
        arrays |= {f"squares {index}": distance.squares, f"losses {index}": distance.losses}
    timed = trajectory.timed
    if timed is not None:
        arrays |= {"timed": np.array(timed.name), "timed steps": np.array(timed.steps), "timed losses": timed.losses}
        arrays |= {f"timed weight {index}": array for index, array in enumerate(timed.weights)}
    write_arrays(path, arrays)


def read_trajectory(path: Path | str) -> Trajectory:
    """What `write_trajectory` wrote."""
    arrays = read_arrays(path)
    backend, dtype, program = (str(item) for item in arrays["about"])
    names = tuple(str(name) for name in arrays["weights"])
    controls = {str(name): Distance(arrays[f"squares {index}"], arrays[f"losses {index}"])
                for index, name in enumerate(arrays["controls"])}
    seeds, timed = controls.pop("", None), None
    if "timed" in arrays:
        timed = Program(str(arrays["timed"]), tuple(int(step) for step in arrays["timed steps"]),
                        [arrays[f"timed weight {index}"] for index in range(len(names))], arrays["timed losses"])
    return Trajectory(
        backend, dtype, program, names,
        frozenset(name for name, moved in zip(names, arrays["updated"], strict=True) if moved),
        [arrays[f"weight {index}"] for index in range(len(names))], arrays["losses"], controls, seeds, timed,
        float(arrays["again"]))
