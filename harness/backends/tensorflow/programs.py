"""The programs of the tuned tier in TensorFlow, by name (spec/execution.py: PROGRAMS).

    graph loop    a tf.while_loop over the steps inside of one tf.function; the update in TensorFlow's own kernels where
                  those are Keras's formula (optimizers.py)
    xla loop      the same loop, compiled by XLA as a whole
    xla step      the graph loop, each of whose steps is one program compiled by XLA

`compile: none` is the graph loop with Keras's update, operation for operation: what certificates begin with.
"""

from __future__ import annotations

import tensorflow as tf

from harness.errors import SpecError
from harness.plan.plan import Plan
from harness.spec.execution import PROGRAMS, Execution

NAMES = PROGRAMS["tensorflow"]
GRAPH_LOOP, XLA_LOOP, XLA_STEP = NAMES
IN_WORDS = {GRAPH_LOOP: "graph", XLA_LOOP: "compiled by XLA", XLA_STEP: "graph, each step compiled by XLA"}
# Around convolutions XLA on a CPU is many times slower than TensorFlow's own kernels.
SLOW_UNDER_XLA = ("Conv", "Pooling", "UpSampling")


def program_of(execution: Execution, plan: Plan) -> str:
    """The program that the execution asks for. Raises SpecError for one that TensorFlow has not."""
    if execution.program == "auto":
        return XLA_LOOP if _wants_xla(plan, execution) else GRAPH_LOOP
    if execution.program not in NAMES:
        raise SpecError(f"TensorFlow has no program {execution.program!r}.",
                        where="execution.program", hint=f"It has {', '.join(NAMES)}.")
    return execution.program


def programs(execution: Execution, plan: Plan) -> list[str]:
    """See Backend.programs."""
    without = refused(execution, plan)
    return [name for name in NAMES if name not in without]


def refused(execution: Execution, plan: Plan) -> dict[str, str]:
    """See Backend.refused_programs. What XLA cannot compile of a model it says itself, at the first step."""
    if execution.tier != "tuned":
        return dict.fromkeys(NAMES[1:], "the idiomatic tier runs what the tutorials write")
    return {}


def has_kernels(execution: Execution, name: str) -> bool:
    """Whether the update is made by TensorFlow's kernels, where it has them. XLA fuses Keras's own update."""
    return name == GRAPH_LOOP and execution.compile == "auto" and execution.tier == "tuned"


def _wants_xla(plan: Plan, execution: Execution) -> bool:
    if execution.compile != "auto":
        return execution.compile == "xla"
    if tf.config.list_logical_devices("GPU"):
        return True
    kinds = [type(layer).__name__ for layer in plan.spec.layers.values()]
    return not any(slow in kind for kind in kinds for slow in SLOW_UNDER_XLA)
