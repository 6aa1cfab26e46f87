"""Where layers write over their input, and that nobody can tell from the numbers.

A program, because a process holds one framework: `test_overwriting.py` starts it. It prints, as JSON, the traceback of
every check that fails.
"""

from __future__ import annotations

import json
import traceback
from typing import Any
from unittest import mock

import numpy as np
import torch

from harness import Input, Model, layers, ops
from harness.backends.pytorch import activations
from harness.backends.pytorch import model as networks
from harness.backends.pytorch.activations import ACTIVATIONS, BY_RESULT, IN_PLACE, activation_function, relu
from harness.backends.pytorch.model import Network, build_network
from harness.backends.pytorch.overwriting import NEW_TENSORS
from harness.spec.model import ModelSpec
from harness.spec.order import execution_order


def network_of(spec: ModelSpec) -> Network:
    rng = np.random.default_rng(0)
    return build_network(spec, {w.name: np.abs(rng.normal(0.5, 0.2, w.shape)) for w in spec.weights}, "float64")


def inputs_written_over(outputs: object, *inputs: object) -> dict[str, dict[str, int]]:
    spec = Model(list(inputs), outputs)
    order = execution_order(spec)
    return networks.overwriting_layers(spec, order, networks._last_reads(order, spec.outputs))


def overwriting(outputs: object, *inputs: object) -> set[str]:
    """The layers of a model that may write over an input."""
    return set(inputs_written_over(outputs, *inputs))


def residual() -> ModelSpec:
    """Convolutions, normalization and sums, as in ResNet and MobileNetV2."""
    x = image = Input((9, 8, 3), name="image")
    x = layers.ZeroPadding2D(name="pad")(x)
    x = layers.Conv2D(4, 3, name="stem", activation="relu")(x)
    for number in range(2):
        y = layers.Conv2D(4, 3, padding="same", name=f"conv_{number}")(x)
        y = layers.BatchNormalization(name=f"norm_{number}")(y)
        y = layers.ReLU(6.0, name=f"relu_{number}")(y)
        y = layers.DepthwiseConv2D(3, padding="same", name=f"depthwise_{number}")(y)
        y = layers.Activation(("silu", "tanh")[number], name=f"activation_{number}")(y)
        x = layers.Add(name=f"add_{number}")([x, layers.Conv2D(4, 1, name=f"last_{number}")(y)])
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return Model(image, layers.Dense(3, activation="sigmoid", name="out")(x))


def sole_readers_write_over() -> None:
    network = network_of(residual())
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 9, 8, 3)))
    seen = {}
    for name in ("relu_0", "activation_0", "relu_1", "activation_1", "add_0", "add_1"):
        network.layer(name).register_forward_hook(
            lambda module, fed, y, name=name: seen.update({name: y.data_ptr() in [x.data_ptr() for x in fed]}))
    network.eval()
    kept = x.clone()
    network(x)
    assert seen == {name: name != "activation_0" for name in seen}, seen  # silu's gradient needs its input
    with torch.no_grad():
        network(x)
    assert seen == dict.fromkeys(seen, True), seen
    assert torch.equal(x, kept)


def gradients_keep_what_they_need() -> None:
    """With a gradient: not the result of an activation, not what another layer read, not what a penalty looks at."""
    x = Input((6, 6, 4), name="x")
    both = {"inplace": 0, "inplace_training": 0}
    y = layers.Conv2D(4, 1)(x)
    assert inputs_written_over(layers.ReLU(name="r")(y), x) == {"r": both}
    y = layers.Conv2D(4, 1, activation="relu")(x)
    assert inputs_written_over(layers.ReLU(name="r")(y), x) == {"r": {"inplace": 0}}
    y = layers.Conv2D(4, 1, activity_regularizer="l2")(x)
    assert inputs_written_over(layers.ReLU(name="r")(y), x) == {"r": {"inplace": 0}}
    y = layers.Conv2D(4, 1)(x)
    assert inputs_written_over(layers.Add(name="a")([y, layers.Conv2D(4, 1)(y)]), x) == {
        "a": {"inplace": 0, "inplace_training": 1}}
    three = [layers.BatchNormalization()(x) for _ in range(3)]
    assert inputs_written_over(layers.Add(name="a")([x, x, *three]), x) == {}  # 0 and 1 only: sums keep their order
    assert inputs_written_over(layers.Add(name="a")([x, *three]), x) == {"a": {"inplace": 1, "inplace_training": 1}}


def hooks_see_gradients() -> None:
    """Whoever watches the gradient of a tensor sees it: that tensor is left alone."""
    seen: dict[str, torch.Tensor] = {}
    for kind in ("tensor hook", "retained", "module hook", "none"):
        network = network_of(residual()).train()
        norm, relu_ = network.layer("norm_0"), network.layer("relu_0")
        if kind == "module hook":
            relu_.register_full_backward_hook(lambda module, given, got: seen.update({"module hook": given[0]}))
        elif kind != "none":
            def watch(module: Any, fed: Any, y: torch.Tensor, kind: str = kind) -> None:
                seen[kind] = y
                if kind == "retained":
                    y.retain_grad()
                else:
                    y.register_hook(lambda gradient: seen.update({kind: gradient}))
            norm.register_forward_hook(watch)
        x = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 9, 8, 3)))
        network(x).square().sum().backward()
        seen[f"weights, {kind}"] = network.layer("stem").weight.grad
    assert torch.equal(seen["tensor hook"], seen["module hook"])
    assert torch.equal(seen["tensor hook"], seen["retained"].grad)  # type: ignore[arg-type]
    assert seen["tensor hook"].abs().sum() > 0
    for kind in ("tensor hook", "retained", "module hook"):
        assert torch.equal(seen[f"weights, {kind}"], seen["weights, none"])


def others_do_not() -> None:
    """A tensor that something else reads, that is an output, an input, or that shares its memory with another."""
    x = Input((4,), name="x")
    d = layers.Dense(4, name="d")(x)
    r = layers.ReLU(name="r")(d)
    assert overwriting(r, x) == {"r"}
    assert overwriting([r, d], x) == set()  # an output
    assert overwriting(layers.ReLU(name="r")(x), x) == set()  # the caller's own
    assert overwriting(layers.Subtract()([r, d]), x) == set()  # read again
    assert overwriting(layers.Subtract()([r, layers.Dense(4)(d)]), x) in (set(), {"r"})  # whoever comes last
    assert overwriting(layers.Add(name="a")([d, d]), x) == set()
    for alias in (layers.Reshape((2, 2)), layers.Dropout(0.5), layers.Identity(), layers.Activation("linear")):
        view = alias(d)
        flat = layers.Flatten()(view)
        assert overwriting([layers.ReLU(name="r")(d), layers.Dense(2)(flat)], x) == set(), alias  # its view is read
        assert overwriting(layers.ReLU(name="r")(view), x) == set(), alias
    assert overwriting([layers.ReLU(name="r")(d), ops.reshape(d, (-1, 2, 2))], x) == set()
    shared = layers.ReLU(name="shared")
    assert overwriting([shared(d), shared(layers.Dense(3)(x))], x) == {"shared"}
    assert overwriting([shared(d), shared(x)], x) == set()  # one call of the two may not


def new_tensors_are_new() -> None:
    """None of those layers hands on its input or a view of it, not even where it has next to nothing to do."""
    shapes = {1: (4, 4), 2: (4, 5, 4), 3: (4, 1, 1, 4), 4: (4, 1, 1, 1, 4)}
    ones: dict[str, tuple[int, dict[str, Any]]] = {
        "ReLU": (1, {}), "Activation": (1, {"activation": "relu"}), "Dense": (1, {"units": 4}),
        "EinsumDense": (1, {"equation": "ab,bc->ac", "output_shape": 4}), "BatchNormalization": (3, {}),
        "LayerNormalization": (1, {"center": False, "scale": False}), "Concatenate": (1, {}),
        "MultiHeadAttention": (2, {"num_heads": 1, "key_dim": 4}),
        **dict.fromkeys(("Add", "Subtract", "Multiply", "Average"), (1, {})),
    }
    for rank in (1, 2, 3):
        space = (1,) * rank
        ones |= {f"Conv{rank}D{more}": (rank + 1, {"filters": 4, "kernel_size": space}) for more in ("", "Transpose")}
        if rank < 3:
            ones[f"DepthwiseConv{rank}D"] = (rank + 1, {"kernel_size": space})
            ones[f"SeparableConv{rank}D"] = (rank + 1, {"filters": 4, "kernel_size": space})
            ones |= {f"{kind}Pooling{rank}D": (rank + 1, {"pool_size": space}) for kind in ("Max", "Average")}
            ones[f"GlobalAveragePooling{rank}D"] = (rank + 1, {"keepdims": True})
    assert set(ones) == {cls.__name__ for cls in NEW_TENSORS}
    for name, (rank, arguments) in ones.items():
        x = Input(shapes[rank][1:], name="x")
        layer = getattr(layers, name)(**arguments, name="layer")
        alone = name == "Concatenate"  # which may be called on one tensor
        joins = name in ("Add", "Subtract", "Multiply", "Average")
        network = network_of(Model(x, layer(*([x, x],) if joins else ([x],) if alone else (x, x)
                                            if name == "MultiHeadAttention" else (x,)))).eval()
        given = torch.rand(shapes[rank], dtype=torch.float64)
        with torch.no_grad():
            made = network(given)
        assert made.untyped_storage().data_ptr() != given.untyped_storage().data_ptr(), name


def attention_reads_before_the_sum() -> None:
    x = Input((5, 4), name="x")
    h = layers.Dense(4)(x)
    attended = layers.MultiHeadAttention(2, 2)(h, h)
    assert overwriting(layers.Add(name="a")([h, attended]), x) == {"a"}
    assert overwriting(layers.Add(name="a")([attended, h]), x) == {"a"}
    dropped = layers.Dropout(0.1)(attended)
    assert inputs_written_over(layers.Add(name="a")([dropped, h]), x) == {"a": {"inplace": 1}}


def sums_of_other_shapes_are_new() -> None:
    a, b = Input((None, 3), name="a"), Input((None, 3), name="b")
    spec = Model([a, b], layers.Add(name="sum")([layers.Dense(2)(a), layers.Dense(2)(b)]))
    network = network_of(spec).eval()
    assert network.layer("sum").inplace == 0
    with torch.no_grad():
        assert network(torch.ones(2, 1, 3).double(), torch.ones(2, 5, 3).double()).shape == (2, 5, 2)


def numbers_are_the_same() -> None:
    """Bit for bit: outputs without gradients, with them, the gradients, and what is left behind."""
    with mock.patch.object(networks, "overwriting_layers", return_value={}), \
            mock.patch.dict(IN_PLACE, clear=True), mock.patch.object(activations, "BY_RESULT", frozenset()):
        plain = network_of(residual())
    written = network_of(residual())
    assert not any(getattr(module, "inplace", None) for module in plain.modules())
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 9, 8, 3)))
    found = []
    for network in (plain, written):
        with torch.no_grad():
            values = [network.eval()(x), network.train()(x)]
        fed = x.clone().requires_grad_()
        y = network(fed)
        y.square().sum().backward()
        values += [y.detach(), fed.grad, *(p.grad for p in network.parameters()), *network.buffers()]
        found.append(values)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def functions_are_the_same() -> None:
    x = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    for name in IN_PLACE:
        function = activation_function(name, inplace=True)
        given = x.clone()
        with torch.no_grad():
            result = function(given)
        assert result.data_ptr() == given.data_ptr(), name
        assert torch.equal(result, ACTIVATIONS[name](x)), name
        assert function(given.copy_(x)).data_ptr() != given.data_ptr(), name  # a gradient may be asked for
        gradients = []
        for training in (True, False):
            leaf = x.clone().requires_grad_()
            given = leaf * 1.0
            result = activation_function(name, True, training)(given)  # type: ignore[misc]
            assert (result.data_ptr() == given.data_ptr()) is (training and name in BY_RESULT), name
            result.square().sum().backward()
            gradients.append(leaf.grad)
        assert torch.equal(*gradients), name
    for ceiling in (None, 6.0, 3.0):
        for slope in (0.0, 0.1):
            for threshold in (0.0, 0.5):
                arguments = (ceiling, slope, threshold)
                assert torch.equal(relu(x.clone(), *arguments, inplace=True), relu(x, *arguments)), arguments


CHECKS = {
    "sole readers write over": sole_readers_write_over,
    "gradients keep what they need": gradients_keep_what_they_need,
    "hooks see gradients": hooks_see_gradients,
    "others do not": others_do_not,
    "new tensors are new": new_tensors_are_new,
    "attention reads before the sum": attention_reads_before_the_sum,
    "sums of other shapes are new": sums_of_other_shapes_are_new,
    "numbers are the same": numbers_are_the_same,
    "functions are the same": functions_are_the_same,
}


def outcome(check: object) -> str | None:
    try:
        check()  # type: ignore[operator]
    except Exception:  # handed to the test of this check
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    torch.manual_seed(0)
    print(json.dumps({name: outcome(check) for name, check in CHECKS.items()}))
