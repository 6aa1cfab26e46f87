"""What a session plays, told in full for the certificate: Session.readback, trace and forced (backends/contract.py).

A trace plays the session's own step, with a recorder around the places where calls, gradients and the update pass:
there is no second copy of the step that could be right where the first is wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.backends.contract import Weights
from harness.backends.pytorch import randomness
from harness.backends.pytorch.activations import ACTIVATIONS
from harness.backends.pytorch.masks import MaskBook
from harness.backends.pytorch.mixed_precision import whole
from harness.backends.pytorch.model import Network, Step
from harness.backends.pytorch.optimizers import OptimizedVariable
from harness.plan.binding import Arrays

if TYPE_CHECKING:
    from harness.backends.pytorch.session import Session

Values = dict[str, torch.Tensor]


def readback(session: Session) -> dict[str, np.ndarray]:
    """See Session.readback."""
    tape = session.plan.tape
    indices = session.indices.cpu().numpy().copy()
    indices[np.arange(indices.shape[1]) >= tape.sizes[:, None]] = -1
    keys = session.tape_keys if session.keys is not None else session.tape_keys[:, :0]
    found = {"indices": indices, "keys": keys.cpu().numpy(),
             "learning_rates": np.array([session.learning_rate(step) for step in range(len(tape))])}
    for variable in session.optimizer.variables:
        found[f"multiplier {variable.name}"] = np.asarray(variable.multiplier, np.float64)
    for name, value in session.optimizer.settings().items():
        found[f"setting {name}"] = np.asarray(value, np.float64)
    return found


def trace(session: Session, step: int) -> Weights:
    """See Session.trace."""
    recorder = Recorder(session)
    with recorder.inference():
        rows = session.indices[step, : int(session.plan.tape.sizes[step])]
        x, y, weights = session.batch(rows)
        names = [output.name for output in session.plan.outputs]
        session.evaluate(Arrays(
            {item.name: _array(values) for item, values in zip(session.plan.spec.inputs, x, strict=True)},
            {name: _array(values) for name, values in zip(names, y, strict=True)},
            None if weights is None else _array(weights)), len(rows))
    before = session.state()
    with recorder.training():
        session.train(step, step + 1)
    session.collect()
    after = session.state()
    trainable = {variable.name for variable in session.plan.trainable}
    found = recorder.found
    for slot, arrays in after.slots.items():
        found |= {f"slot {slot} {name}": array for name, array in arrays.items()}
    for name, array in after.weights.items():
        found[f"{'weight' if name in trainable else 'state'} {name}"] = array
    for name in trainable:  # which no loss reaches
        found.setdefault(f"weight gradient {name}", np.zeros_like(before.weights[name]))
    found["iterations"] = np.asarray(after.iterations)
    return found


class Recorder:
    """Everything that passes through one step of a session, by the names of Session.trace."""

    def __init__(self, session: Session) -> None:
        self.session, self.network = session, session.model
        self.found: Weights = {}
        self.kind = "forward"
        self.scale = session.plan.optimizer.loss_scale_factor or 1.0

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """Records a pass in inference mode."""
        self.kind = "inference"
        with watched_calls(self.network, self._call):
            yield
        self.kind = "forward"

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Records a step: the batch, every call and its gradients, the loss, what the optimizer is given."""
        session = self.session
        batch, loss, step = session.batch, session.loss, session.optimizer.step
        session.batch = self._batch  # type: ignore[method-assign]
        session.loss = self._loss
        session.optimizer.step = self._update  # type: ignore[method-assign]
        self._own_batch, self._own_step = batch, step
        try:
            with watched_calls(self.network, self._call):
                yield
        finally:
            del session.batch, session.optimizer.step
            session.loss = loss

    def _batch(self, rows: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor | None]:
        x, y, weights = self._own_batch(rows)
        fed = []
        for item, values in zip(self.session.plan.spec.inputs, x, strict=True):
            self.found[f"data x {item.name}"] = _array(values)
            fed.append(values.requires_grad_() if values.is_floating_point() else values)
            self._watch(item.name, fed[-1])
        for output, values in zip(self.session.plan.outputs, y, strict=True):
            self.found[f"data y {output.name}"] = _array(values)
        if weights is not None:
            self.found["data sample_weight"] = _array(weights)
        return fed, y, weights

    def _loss(self, x: Any, y: Any, weights: Any) -> Any:
        # Not session.loss, which may be a compiled program that no recorder sees into.
        loss, parts, outputs = self.session.objective(x, y, weights)
        self.found["loss"] = _array(loss)
        for output, part in zip(self.session.plan.outputs, parts, strict=False):
            self.found[f"loss part {output.name}"] = _array(part)
        return loss, parts, outputs

    def _call(self, step: Step, values: Values, masks: MaskBook, bare: bool) -> None:
        known, fed_by = set(values), {name: values[name] for name in step.inputs}
        if self.network.spec.layers[step.layer].regularizes_activity or step.layer in self.network.overwriting:
            # What is regularized is the call's output, which has a gradient of its own where it is an input handed on;
            # and one that is written over would have the gradient of what it became.
            values.update({name: value.clone() for name, value in fed_by.items()})
        with recorded_bits() as drawn:
            Network._call(self.network, step, values, masks, bare)
        values.update(fed_by)
        if self.kind == "forward":
            for number, array in enumerate(_in_stream_order(drawn)):
                self.found[f"random {step.output} {number}"] = array
        made = outputs_of(step, values)
        for name in made:
            value = values[name]
            if len(made) > 1 or any(value is values.get(fed) for fed in step.inputs):
                # What is handed on unchanged, or made from another output, has a gradient of its own.
                value = values[name] = value.view_as(value)
            if bare:
                recovered = self.session.plan.recovered[step.output]
                self.found[f"{self.kind} {name}"] = _array(ACTIVATIONS[recovered](value.detach()))
                # Keras's loss starts from the logits: nothing flows back through the activation.
                if self.kind == "forward":
                    self.found[f"gradient {name}"] = np.zeros(tuple(value.shape), _array(value[:0]).dtype)
                continue
            self.found[f"{self.kind} {name}"] = _array(value)
            if self.kind == "forward" and name not in known:
                self._watch(name, value)

    def _watch(self, name: str, value: torch.Tensor) -> None:
        if not value.is_floating_point():
            return
        self.found.setdefault(f"gradient {name}", np.zeros(tuple(value.shape), _array(value[:0]).dtype))
        if torch.is_grad_enabled():
            value.requires_grad_()  # also where it was made from whole numbers

            def keep(gradient: torch.Tensor) -> None:
                self.found[f"gradient {name}"] = _array(gradient) / self.scale

            value.register_hook(keep)

    def _update(self, learning_rate: float) -> None:
        self.found["learning rate"] = np.asarray(learning_rate, np.float64)
        for variable in self.session.variables:
            gradients = [parameter.grad for parameter in variable.parameters]
            self.found[f"weight gradient {variable.name}"] = _joined(variable, gradients) / self.scale
        self._own_step(learning_rate)


def forced(session: Session, step: int, teacher: Mapping[str, np.ndarray]) -> Weights:
    """See Session.forced."""
    network = session.model
    kept = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    if session.keys is not None:
        session.keys.copy_(session.tape_keys[step])
    network.eval()
    with torch.no_grad():
        found = {f"inference {name}": _array(value)
                 for values, made in _forced_calls(session, teacher) for name, value in made.items()}
    network.train()
    with watched_calls(network, network._call):
        found |= _forced_gradients(session, teacher)
    trained = {variable.name for variable in session.plan.trainable}
    found |= {f"state {name}": array for name, array in network.get_weights().items() if name not in trained}
    network.load_state_dict(kept)
    return found


def _forced_calls(
    session: Session, teacher: Mapping[str, np.ndarray],
) -> Iterator[tuple[tuple[Step, Values], Values]]:
    """((call, its own copies of the teacher's tensors), what it makes of them), call by call."""
    network = session.model
    masks = network.mask_book()
    for step in network.steps:
        names = dict.fromkeys((*step.inputs, *_referred(step)))
        given = {name: _leaf(teacher[f"forward {name}"], session) for name in names}
        # A call may overwrite what it is the last to read.
        values = {name: leaf.clone() for name, leaf in given.items()}
        Network._call(network, step, values, masks, False)
        yield (step, given), {name: values[name] for name in outputs_of(step, values)}


def _forced_gradients(session: Session, teacher: Mapping[str, np.ndarray]) -> Weights:
    found: Weights = {}
    leaves: dict[str, torch.Tensor] = {}
    parts: list[torch.Tensor] = []
    for (step, given), made in _forced_calls(session, teacher):
        for index, name in enumerate(step.inputs):
            if given[name].requires_grad:
                leaves[f"input gradient {step.output} {index}"] = given[name]
        for name, value in made.items():
            found[f"output {name}"] = _array(value)
            if value.requires_grad:
                upstream = torch.from_numpy(np.ascontiguousarray(teacher[f"gradient {name}"])).to(value)
                parts.append((value * upstream).sum())
    pieces = [parameter for variable in session.variables for parameter in variable.parameters]
    total = torch.stack([part.double() for part in parts]).sum()
    sources = [*leaves.values(), *pieces]
    wanted = [tensor for tensor in sources if tensor.requires_grad]
    by_tensor = dict(zip(map(id, wanted), torch.autograd.grad(total, wanted, allow_unused=True), strict=True))
    gradients = [by_tensor.get(id(tensor)) for tensor in sources]
    for (name, leaf), gradient in zip(leaves.items(), gradients, strict=False):
        found[name] = _array(torch.zeros_like(leaf) if gradient is None else gradient)
    of_pieces = iter(gradients[len(leaves):])
    for variable in session.variables:
        found[f"weight gradient {variable.name}"] = _joined(variable, [next(of_pieces) for _ in variable.parameters])
    return found


@contextlib.contextmanager
def watched_calls(network: Network, call: Any) -> Iterator[None]:
    """Lets every call of the network pass through `call`."""
    chain, network.chain = network.chain, None
    object.__setattr__(network, "_call", call)
    try:
        yield
    finally:
        object.__delattr__(network, "_call")
        network.chain = chain


@contextlib.contextmanager
def recorded_bits() -> Iterator[list[tuple[int, np.ndarray]]]:
    """(stream, flat bits) of every draw from the tape."""
    before, drawn = randomness.recorder, list[tuple[int, np.ndarray]]()
    randomness.recorder = lambda stream, x: drawn.append((stream, _array(x).reshape(-1)))
    try:
        yield drawn
    finally:
        randomness.recorder = before


def _in_stream_order(drawn: list[tuple[int, np.ndarray]]) -> list[np.ndarray]:
    return [array for _, array in sorted(drawn, key=lambda item: item[0])]


def outputs_of(step: Step, values: Mapping[str, torch.Tensor]) -> list[str]:
    """The references of a call's outputs, which are in `values`."""
    names = [step.output]
    while f"{step.output}:{len(names)}" in values:
        names.append(f"{step.output}:{len(names)}")
    return names


def _referred(step: Step) -> tuple[str, ...]:
    from harness.spec.model import references_in

    return tuple(name for value in step.arguments.values() for name in references_in(value))


def _leaf(array: np.ndarray, session: Session) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(array)).to(session.device)
    if not tensor.is_floating_point():
        return tensor
    return tensor.to(session.dtype).requires_grad_(torch.is_grad_enabled())


def _joined(variable: OptimizedVariable, gradients: list[torch.Tensor | None]) -> np.ndarray:
    """The gradients of a weight's parameters in Keras's layout."""
    filled = [torch.zeros_like(parameter) if gradient is None else gradient
              for parameter, gradient in zip(variable.parameters, gradients, strict=True)]
    return np.array(variable.to_keras(tuple(_array(gradient) for gradient in filled)))


def _array(tensor: torch.Tensor) -> np.ndarray:
    """A copy: what is recorded may be overwritten in place later on."""
    return np.array(whole(tensor.detach()).cpu().numpy())
