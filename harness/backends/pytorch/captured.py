"""The captured step: a session's forward and backward pass, recorded once for each batch size as a flat list of torch's
own operations (make_fx), and played without autograd and without the modules' Python.

The update stays the optimizer's own: its numbers are different at every step. What a step reads and writes in place
(weights, moving averages, the keys of the tape) are the session's own tensors, never copies, so that `load`, `state`
and the update see what they always do. What cannot be recorded raises CaptureError; nothing falls back.
"""

from __future__ import annotations

import builtins
import contextlib
import operator
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from harness.backends.pytorch.randomness import Keyed
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.backends.pytorch.session import Session

ATEN = torch.ops.aten
# (loss, parts, outputs) of a step, detached, and the gradient of each of the optimizer's parameters or None.
Result = tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...], list[Tensor | None]]
Flat = Callable[..., Sequence[Tensor]]
Compiled = Callable[[fx.GraphModule, list[Tensor]], Flat]
# The same functions behind a faster way in than torch.ops has. A schema that takes other arguments stays as it is.
QUICK: dict[Any, Callable[..., Any]] = {
    ATEN.add.Tensor: torch.add, ATEN.addmm.default: torch.addmm, ATEN.bmm.default: torch.bmm,
    ATEN.convolution.default: torch.convolution, ATEN.div.Tensor: torch.div, ATEN.exp.default: torch.exp,
    ATEN.index_select.default: torch.index_select, ATEN.mm.default: torch.mm, ATEN.mul.Tensor: torch.mul,
    ATEN.neg.default: torch.neg, ATEN.permute.default: torch.permute, ATEN.relu.default: torch.relu,
    ATEN.sigmoid.default: torch.sigmoid, ATEN.sub.Tensor: torch.sub, ATEN.sum.dim_IntList: torch.sum,
    ATEN.t.default: torch.t, ATEN.tanh.default: torch.tanh, ATEN.transpose.int: torch.transpose,
    ATEN.unsqueeze.default: torch.unsqueeze, ATEN.view.default: Tensor.view, ATEN.where.self: torch.where,
    ATEN.native_batch_norm.default: torch.native_batch_norm,
}


class CaptureError(HarnessError):
    """A model whose step cannot be recorded."""


class CapturedStep:
    """Plays a session's steps. compiled: makes of a recorded step a faster one of the same arguments; None runs it as
    it is. static: whether what that gives lies in the same memory at every step."""

    def __init__(self, session: Session, compiled: Compiled | None = None, static: bool = False) -> None:
        self.session, self.compiled, self.static = session, compiled, static
        self.parameters: list[Tensor] = session.optimizer.parameters
        self.resident = resident(session)
        self.steps: dict[int, Callable[[Tensor], Result]] = {}

    def __call__(self, step: int, rows: Tensor, learning_rate: float) -> None:
        session = self.session
        if session.keys is not None:
            session.keys.copy_(session.tape_keys[step])
        session.optimizer.zero_grad()  # whose memory the new ones take
        size = len(rows)
        if size not in self.steps:
            self.steps[size] = self._recorded(rows)
        loss, parts, outputs, gradients = self.steps[size](rows)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        session.optimizer.step(learning_rate)
        session.kept_losses.append(loss)
        if parts:
            session.kept_parts.append(torch.stack(parts))
        if outputs:
            session.kept_outputs.append(outputs)

    def _recorded(self, rows: Tensor) -> Callable[[Tensor], Result]:
        """The step for batches of that size; the session is left as it was."""
        layout: list[int] = []
        with untouched(list(self.session.model.buffers())):
            graph = self._graph(rows, layout)
            run = compact(graph) if self.compiled is None else self.compiled(graph, [rows, *self.resident])
        parts, outputs, *present = layout
        resident, static = self.resident, self.static
        first, last = 1 + parts, 1 + parts + outputs

        # Not under no_grad: oneDNN's LSTM keeps what its backward pass needs by that mode.
        def play(rows: Tensor) -> Result:
            with torch._C._AutoDispatchBelowAutograd():
                made = list(run(rows, *resident))
                if static:
                    made[:last] = [tensor.clone() for tensor in made[:last]]
            gradients = iter(made[last:])
            return (made[0], tuple(made[1:first]), tuple(made[first:last]),
                    [next(gradients) if there else None for there in present])

        return play

    def _graph(self, rows: Tensor, layout: list[int]) -> fx.GraphModule:
        """One step, recorded. layout: gets how many losses of single outputs and how many outputs there are, and of
        each parameter whether the loss reaches it."""
        session = self.session

        def step(rows: Tensor, *given: Tensor) -> list[Tensor]:
            loss, parts, outputs = session.objective(*session.batch(rows))
            found = torch.autograd.grad(session.optimizer.scaled(loss), self.parameters, allow_unused=True)
            shown = session.objective.activated(outputs) if session.plan.collect_outputs else ()
            layout.extend((len(parts), len(shown), *(gradient is not None for gradient in found)))
            pairs: list[tuple[Tensor, Tensor | None]] = [(tensor.detach(), None) for tensor in (loss, *parts, *shown)]
            pairs += [(gradient, parameter) for gradient, parameter in zip(found, self.parameters, strict=True)
                      if gradient is not None]
            return own_memory(pairs, given)

        session.model.train()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graph = make_fx(step)(rows, *self.resident)
        except Exception as error:
            first, *_ = [*str(error).strip().splitlines(), type(error).__name__]
            raise CaptureError(f"the step of {session.plan.spec.name!r} cannot be captured: {first}") from error
        return simplified(graph)


@contextlib.contextmanager
def untouched(buffers: Sequence[Tensor]) -> Iterator[None]:
    """Takes the buffers and torch's generators back to what they were."""
    kept = [buffer.clone() for buffer in buffers]
    devices = [buffer.device for buffer in buffers if buffer.device.type == "cuda"][:1]
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in zip(buffers, kept, strict=True):
                buffer.copy_(before)


def resident(session: Session) -> list[Tensor]:
    """Every tensor that a step finds in the session, each once."""
    network = session.model
    drawing = [module for module in network.modules() if isinstance(module, Keyed)]
    found = [*session.x, *session.y, *([] if session.w is None else [session.w]), *network.parameters(),
             *network.buffers(), *([] if session.keys is None else [session.keys]),
             *(module.key for module in drawing if module.key is not None),
             *(module.normal_table for module in drawing if module.normal_table is not None),
             *(key for _, key in network.keys_of_call.values()),
             *([] if session.optimizer.loss_scale is None else [session.optimizer.loss_scale.scale])]
    return list({id(tensor): tensor for tensor in found}.values())


def own_memory(tensors: Sequence[tuple[Tensor, Tensor | None]], given: Sequence[Tensor]) -> list[Tensor]:
    """Each tensor, copied where it lies in another's memory or is laid out otherwise than the one it is given with:
    the optimizer writes over gradients, as over what autograd puts into `.grad`."""
    taken = {tensor.untyped_storage().data_ptr() for tensor in given}
    found = []
    for tensor, like in tensors:
        fits = like is None or tensor.stride() == like.stride()
        if not fits or tensor.untyped_storage().data_ptr() in taken:
            tensor = torch.empty_like(tensor if like is None else like).copy_(tensor)
        taken.add(tensor.untyped_storage().data_ptr())
        found.append(tensor)
    return found


# -- the graph

def simplified(graph: fx.GraphModule) -> fx.GraphModule:
    """Without what autograd needed: detached views, and matrices transposed twice; nothing that computes."""
    for node in list(graph.graph.nodes):
        if node.target is ATEN.detach.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
        elif node.target is ATEN.t.default and node.args[0].target is ATEN.t.default:
            node.replace_all_uses_with(node.args[0].args[0])
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def compact(graph: fx.GraphModule) -> Flat:
    """The graph as one Python function: a call for each operation, each tensor let go after its last use."""
    writer = _Writer(graph)
    namespace: dict[str, Any] = {**writer.names, "__builtins__": {}}
    exec(builtins.compile(writer.source, "<captured step>", "exec"), namespace)
    function: Flat = namespace["step"]
    return function


class _Writer:
    """Writes a graph's source. names: what it refers to."""

    def __init__(self, graph: fx.GraphModule) -> None:
        self.graph, self.names, self.lines = graph, dict[str, Any](), list[str]()
        nodes = list(graph.graph.nodes)
        last: dict[fx.Node, fx.Node] = {}
        for node in nodes:
            for used in node.all_input_nodes:
                last[used] = node
        arguments = []
        for node in nodes:
            if node.op == "placeholder":
                arguments.append(node.name)
            elif node.op == "get_attr":
                self.names[node.name] = operator.attrgetter(str(node.target))(graph)
            elif node.op == "output":
                self.lines.append(f"return {self._text(list(node.args[0]))}")
            else:
                self._call(node, [used for used in node.all_input_nodes
                                  if last[used] is node and used.op == "call_function"])
        self.source = f"def step({', '.join(arguments)}):\n    " + "\n    ".join(self.lines) + "\n"

    def _call(self, node: fx.Node, done: Sequence[fx.Node]) -> None:
        if node.op != "call_function":
            raise CaptureError(f"a captured step holds {node.op} {node.target}.")
        if node.target is operator.getitem:
            text = f"{self._text(node.args[0])}[{self._text(node.args[1])}]"
        else:
            operation: Any = node.target
            target = QUICK.get(operation) or getattr(operation, "_op", operation)
            arguments = [self._text(item) for item in node.args]
            arguments += [f"{name}={self._text(item)}" for name, item in node.kwargs.items()]
            text = f"{self._named(target)}({', '.join(arguments)})"
        self.lines.append(f"{node.name} = {text}" + "".join(f"; {used.name} = None" for used in done))

    def _text(self, value: Any) -> str:
        if isinstance(value, fx.Node):
            return value.name
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(self._text(item) for item in value)}]"
        if value is None or isinstance(value, (bool, int)):
            return repr(value)
        return self._named(value)

    def _named(self, value: Any) -> str:
        name = f"_{len(self.names)}"
        self.names[name] = value
        return name
