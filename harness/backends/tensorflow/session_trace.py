"""What a session plays, told in full for the certificate: Session.readback, trace and forced (backends/contract.py).

A trace plays the session's own step, with a recorder around the places where the batch, calls, the loss and the
update pass: there is no second copy of the step that could be right where the first is wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from harness.backends.contract import Weights
from harness.backends.tensorflow import randomness
from harness.backends.tensorflow.calls import (
    Call,
    Own,
    copied,
    hand_on_taken_masks,
    marked_as,
    own_tensors,
    references,
    watched_calls,
)
from harness.backends.tensorflow.layers.stock import numpy

if TYPE_CHECKING:
    from harness.backends.tensorflow.session import Batch, Session


def readback(session: Session) -> Weights:
    """See Session.readback."""
    tape = session.tape
    indices = tape["indices"].numpy().copy()
    indices[np.arange(indices.shape[1]) >= session.plan.tape.sizes[:, None]] = -1
    keys = tape["keys"].numpy()
    found: Weights = {
        "indices": indices, "keys": keys if session.keys is not None else keys[:, :0],
        "learning_rates": tape["learning_rates"].numpy().astype(np.float64),
    }
    for variable, multiplier in zip(session.plan.trainable, session.multipliers, strict=True):
        found[f"multiplier {variable.name}"] = np.asarray(multiplier, np.float64)
    for name, value in session.optimizer.get_config().items():
        if name not in ("name", "learning_rate") and isinstance(value, (bool, int, float, np.number)):
            found[f"setting {name}"] = np.asarray(value, np.float64)
    return found


def trace(session: Session, step: int) -> Weights:
    """See Session.trace."""
    recorder = Recorder(session)
    with recorder.inference():
        x, *_ = session.batch(tf.constant(step), int(session.plan.tape.sizes[step]))
        session.predictions(x, training=False)
    if session.remat is not None:
        # Nobody sees into what is computed again: calls are recorded without it, and the gradients that count with it.
        with kept_variables(session.model):
            batch = session.batch(tf.constant(step), int(session.plan.tape.sizes[step]))
            *_, recorder.gradients = session._gradients(tf.constant(step), batch)
    with recorder.training():
        session.play(step)
    session.collect()
    found, after = recorder.found, session.state()
    trainable = {variable.name for variable in session.plan.trainable}
    for slot, arrays in after.slots.items():
        found |= {f"slot {slot} {name}": array for name, array in arrays.items()}
    for name, array in after.weights.items():
        found[f"{'weight' if name in trainable else 'state'} {name}"] = array
    found["iterations"] = np.asarray(after.iterations)
    return found


class Recorder:
    """Everything that passes through one step of a session, by the names of Session.trace."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.found: Weights = {}
        self.kind = ""
        # What gradients are asked for: the floating-point tensors of the training pass, by reference.
        self.tensors: dict[str, tf.Tensor] = {}
        self.tape: Any = None
        self.total: Any = None
        # What the update gets in place of the recorded pass's own, None where nothing is computed again.
        self.gradients: Any = None

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """Records a pass in inference mode."""
        self.kind = "inference"
        with watched_calls(self.session.model, self._call):
            yield

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Records a step: the batch, every call and its gradients, the loss, what the optimizer is given."""
        self.kind = "forward"
        own = self.session

        def around(method: Callable[..., Any], recorded: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *args, **kwargs: recorded(method, *args, **kwargs)

        methods = {
            "batch": around(own.batch, self._batch), "gradient_tape": self._gradient_tape,
            "predictions": around(own.predictions, self._predictions),
            "total_loss": around(own.total_loss, self._total_loss), "update": around(own.update, self._update),
        }
        before = {name: vars(own)[name] for name in methods if name in vars(own)}
        vars(own).update(methods)
        try:
            with watched_calls(own.model, self._call):
                yield
        finally:
            for name in methods:
                del vars(own)[name]
            vars(own).update(before)

    def _batch(self, method: Callable[..., Batch], step: tf.Tensor, size: int) -> Batch:
        x, targets, weights = method(step, size)
        for item, values in zip(self.session.plan.spec.inputs, x, strict=True):
            self.found[f"data x {item.name}"] = _array(values)
        for output, values in zip(self.session.plan.outputs, targets, strict=True):
            self.found[f"data y {output.name}"] = _array(values)
        if weights is not None:
            self.found["data sample_weight"] = _array(weights)
        return x, targets, weights

    def _gradient_tape(self) -> tf.GradientTape:
        # The step asks for the weights' gradients, the recorder then for the tensors'.
        self.tape = tf.GradientTape(persistent=True)
        return self.tape

    def _predictions(self, method: Callable[..., Any], x: list[tf.Tensor], training: bool) -> list[tf.Tensor]:
        for item, values in zip(self.session.plan.spec.inputs, x, strict=True):
            self._watch(item.name, values)
        return method(x, training=training)  # type: ignore[no-any-return]

    def _call(self, call: Call, operation: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        args, kwargs, copies = own_tensors(call, args, kwargs)
        with recorded_bits() as drawn:
            made = operation(*args, **kwargs)
        hand_on_taken_masks(copies)
        if len(keras.tree.flatten(made)) > 1:
            # A recurrent layer makes its outputs from one another: what is behind the layer has gradients of its own.
            made = keras.tree.map_structure(copied, made)
        for reference, value in call.outputs_of(made):
            self.found[f"{self.kind} {reference}"] = _array(value)
            if self.kind == "forward":
                self._watch(reference, value)
        if self.kind == "forward":
            for number, (_, array) in enumerate(sorted(drawn, key=lambda item: item[0])):
                self.found[f"random {call.node.name} {number}"] = array
        return made

    def _watch(self, reference: str, value: tf.Tensor) -> None:
        if value.dtype.is_floating:
            self.tape.watch(value)
            self.tensors[reference] = value

    def _total_loss(self, method: Callable[..., Any], *args: Any) -> tuple[tf.Tensor, list[tf.Tensor]]:
        self.total, parts = method(*args)
        self.found["loss"] = _array(self.total)
        for output, part in zip(self.session.plan.outputs, parts, strict=True):
            self.found[f"loss part {output.name}"] = _array(part)
        return self.total, parts

    def _update(self, method: Callable[..., None], step: tf.Tensor, gradients: Any) -> None:
        gradients = gradients if self.gradients is None else self.gradients
        names = [variable.name for variable in self.session.plan.trainable]
        scale = self.session.optimizer.loss_scale_factor or 1.0
        for name, variable, gradient in zip(names, self.session.trainable, gradients, strict=True):
            dense = np.zeros(variable.shape, variable.dtype) if gradient is None else _array(gradient)
            self.found[f"weight gradient {name}"] = dense / dense.dtype.type(scale)
        by_tensor = self.tape.gradient(self.total, self.tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self.found |= {f"gradient {reference}": _array(value) for reference, value in by_tensor.items()}
        method(step, gradients)
        self.found["learning rate"] = np.asarray(numpy(self.session.optimizer.learning_rate), np.float64)


def forced(session: Session, step: int, teacher: Mapping[str, np.ndarray]) -> Weights:
    """See Session.forced."""
    with kept_variables(session.model):
        found = Forced(session, teacher, None).play()
        if session.keys is not None:
            session.keys.start(session.tape["keys"][step])
        with tf.GradientTape() as tape:
            training = Forced(session, teacher, tape)
            found |= training.play()
            total = tf.add_n(training.terms) if training.terms else tf.constant(0.0, tf.float64)
        names = [variable.name for variable in session.plan.trainable]
        by_input, by_weight = tape.gradient(
            total, [training.fed, [variable.value for variable in session.trainable]],
            unconnected_gradients=tf.UnconnectedGradients.ZERO)
        found |= {f"input gradient {place}": _array(value) for place, value in by_input.items()}
        found |= {f"weight gradient {name}": _array(value) for name, value in zip(names, by_weight, strict=True)}
        found |= {f"state {name}": array for name, array in session.state().weights.items() if name not in names}
    return found


class Forced:
    """One pass in which every call gets the teacher's tensors, whatever the calls before it made.

    tape: that of the training pass, None in inference. After `play`: fed, each call's own copies of its floating-point
    `Node.inputs` by "CALL INDEX"; terms, the sums output * teacher's gradient.
    """

    def __init__(self, session: Session, teacher: Mapping[str, np.ndarray], tape: tf.GradientTape | None) -> None:
        self.session, self.teacher, self.tape = session, teacher, tape
        self.found: Weights = {}
        self.fed: dict[str, tf.Tensor] = {}
        self.terms: list[tf.Tensor] = []
        model = session.model
        self.symbols = {item.name: symbol for item, symbol in zip(session.plan.spec.inputs, model.inputs, strict=True)}
        for name, node in model.harness_nodes.items():
            self.symbols |= dict(references(name, node.outputs))

    def play(self) -> Weights:
        """The outputs of every call."""
        names = [item.name for item in self.session.plan.spec.inputs]
        x = [self._teachers("forward", name, self.symbols[name].dtype) for name in names]
        with watched_calls(self.session.model, self._call):
            self.session.predictions(x, training=self.tape is not None)
        return self.found

    def _teachers(self, kind: str, reference: str, dtype: Any) -> tf.Tensor:
        return tf.constant(self.teacher[f"{kind} {reference}"], dtype)

    def _call(self, call: Call, operation: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        args, kwargs, copies = own_tensors(call, args, kwargs)
        if self.tape is not None:
            self._watch_inputs(call, copies)
        made = operation(*args, **kwargs)
        hand_on_taken_masks(copies)
        replaced = []
        for reference, value in call.outputs_of(made):
            self.found[f"{'output' if self.tape else 'inference'} {reference}"] = _array(value)
            if self.tape is not None and value.dtype.is_floating:
                upstream = self._teachers("gradient", reference, value.dtype)
                self.terms.append(tf.cast(tf.reduce_sum(value * upstream), tf.float64))
            replaced.append(marked_as(value, self._teachers("forward", reference, value.dtype)))
        return keras.tree.pack_sequence_as(made, replaced)

    def _watch_inputs(self, call: Call, copies: Own) -> None:
        assert self.tape is not None
        for index, reference in enumerate(call.node.inputs):
            symbol = self.symbols[reference]
            if tf.as_dtype(symbol.dtype).is_floating:
                # What the operation does not read has a gradient as well: zeros.
                _, fed = copies.get(id(symbol)) or (None, self._teachers("forward", reference, symbol.dtype))
                self.tape.watch(fed)
                self.fed[f"{call.node.name} {index}"] = fed


@contextlib.contextmanager
def recorded_bits() -> Iterator[list[tuple[int, np.ndarray]]]:
    """(stream, flat bits) of every draw from the tape."""
    before, drawn = randomness.recorder, list[tuple[int, np.ndarray]]()
    randomness.recorder = lambda stream, x: drawn.append((stream, _array(x).reshape(-1)))
    try:
        yield drawn
    finally:
        randomness.recorder = before


@contextlib.contextmanager
def kept_variables(model: keras.Model) -> Iterator[None]:
    """Weights, moving statistics and seeds are afterwards what they were."""
    kept = [(variable, np.array(numpy(variable))) for variable in model.variables]
    try:
        yield
    finally:
        for variable, array in kept:
            variable.assign(array)


def _array(x: Any) -> np.ndarray:
    """A copy; sparse gradients dense."""
    return np.array(numpy(tf.convert_to_tensor(x)))
