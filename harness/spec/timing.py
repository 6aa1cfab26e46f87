"""How two backends are timed against each other: blocks of two halves, the looks at them, the window of a half."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Configured

# A Student interval needs two blocks; with fewer there is no spread.
LEAST_BLOCKS = 2
CPU_SECONDS, GPU_SECONDS = 5.0, 10.0
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


def _ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise SpecError(f"expected numbers from small to large, each once, got {list(values)}.")
    return values


class Timing(Configured):
    """When and how long the two backends of a setting are timed against each other.

    looks: after how many blocks the evidence is judged; the first that decides is the last. order: of the backends,
    block by block. window_seconds: the least of the timed window; None is 5 on a CPU and 10 on a GPU. window_steps:
    the least on a GPU. warmup_seconds: after so many there is no steady state. steadiness: how far the last
    sub-windows may lie apart when warm-up ends. latency: whether inference is timed too, one example at a time, and
    its throughput at each of batch_sizes. evaluation: whether the evaluation of a split is timed. end_to_end: whether
    the framework's own loader and loop are timed as well, from the host's arrays. drop_disturbed: whether a block that
    other processes or throttling spoiled is left out of the evidence (it is kept and shown), and another is run in its
    place. foreign_share, steal_share: of the processor time that a half's threads could have had, what other processes,
    and the host of a virtual machine, may take before it counts as spoiled; throttled_share: of its seconds, those in
    which a CPU quota may hold it back. most_dropped: after so many dropped blocks in a row a setting's turn is over.
    cold_blocks: in so many first blocks of a setting PyTorch's Inductor compiles anew in every half; later halves take
    over what was compiled, and have no first step and no compile seconds to compare (all blocks are cold where one of
    the two decides). pilot: whether all programs of the tuned tier are tried first and the fastest is timed, where the
    execution leaves it open. largest_batch: whether the largest batch that trains is searched for, once for each
    backend; largest_batch_bytes: the memory that a try may use on a CPU, None for four fifths of what is free;
    largest_batch_seconds: what the search may take. cost_per_hour: the price of an hour on this machine.
    """

    looks: Annotated[tuple[Annotated[int, Field(ge=LEAST_BLOCKS, le=10_000)], ...], Field(min_length=1),
                     AfterValidator(_ascending)] = (6, 12, 24)
    order: Literal["ABBA", "ABAB"] = "ABBA"
    window_seconds: Seconds | None = None
    window_steps: Annotated[int, Field(ge=1)] = 200
    warmup_seconds: Seconds = 120.0
    steadiness: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.01
    latency: bool = True
    batch_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(_ascending)] = (1, 32)
    evaluation: bool = True
    end_to_end: bool = False
    drop_disturbed: bool = True
    foreign_share: Share = 0.10
    steal_share: Share = 0.03
    throttled_share: Share = 0.01
    most_dropped: Annotated[int, Field(ge=1, le=1000)] = 6
    cold_blocks: Annotated[int, Field(ge=0)] = 2
    pilot: bool = True
    largest_batch: bool = False
    largest_batch_bytes: Annotated[int, Field(ge=2**20)] | None = None
    largest_batch_seconds: Seconds = 600.0
    cost_per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @classmethod
    def canonical_name(cls) -> str:
        return "timing"

    @staticmethod
    def parse(value: Any) -> "Timing | None":
        """A Timing, a mapping, true or None (the defaults), or false: no blocks, which is None."""
        if isinstance(value, Timing):
            return value
        if value is None or value is True:
            return Timing()
        if value is False:
            return None
        if not isinstance(value, dict):
            raise SpecError(f"'timing' is a mapping or false, got {value!r}.",
                            hint="Write timing: {looks: [6, 12, 24]}, or timing: false for no blocks.")
        return Timing(**{str(key): item for key, item in value.items()})

    def first(self, number: int) -> int:
        """0 if the first of the two backends begins block `number` (from 0), else 1."""
        return int(number % 4 in (1, 2)) if self.order == "ABBA" else 0

    def seconds(self, on_gpu: bool) -> float:
        """The least length of the window on that kind of device."""
        return self.window_seconds or (GPU_SECONDS if on_gpu else CPU_SECONDS)

    def to_data(self) -> dict[str, Any]:
        """The arguments that are not defaults; `parse` reads them back."""
        return self.config()
