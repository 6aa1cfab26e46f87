"""Operations on tensors in the spec: shapes, types, notation, plain data, mistakes."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from harness import Input, Model, ModelSpec, layers, ops
from harness.errors import SpecError
from harness.spec import operations
from harness.spec.layers import LAYERS
from harness.spec.operations.dtypes import result_type
from harness.spec.operations.keras_classes import operation_from_keras


def steps(**options: object) -> object:
    return Input((4, 6), **options)


@pytest.mark.parametrize(("call", "shape"), [
    (lambda x: x + x, (None, 4, 6)),
    (lambda x: ops.mean(x, axis=1), (None, 6)),
    (lambda x: ops.mean(x, axis=(1, -1), keepdims=True), (None, 1, 1)),
    (lambda x: ops.max(x), ()),
    (lambda x: ops.reshape(x, (-1, 3, 8)), (None, 3, 8)),
    (lambda x: ops.reshape(x, (ops.shape(x)[0], 24)), (None, 24)),
    (lambda x: ops.transpose(x), (6, 4, None)),
    (lambda x: ops.expand_dims(x, (1, -1)), (None, 1, 4, 6, 1)),
    (lambda x: ops.squeeze(x[:, :1]), (None, 6)),
    (lambda x: ops.concatenate([x, x, x], -1), (None, 4, 18)),
    (lambda x: ops.stack([x, x], 1), (None, 2, 4, 6)),
    (lambda x: ops.split(x, 3, axis=2)[2], (None, 4, 2)),
    (lambda x: ops.split(x, [1, 3], axis=1)[1], (None, 2, 6)),
    (lambda x: ops.unstack(x, axis=1)[3], (None, 6)),
    (lambda x: x[:, 0], (None, 6)),
    (lambda x: x[:, None, ::-2, 1:-1], (None, 1, 2, 4)),
    (lambda x: x[..., -1], (None, 4)),
    (lambda x: ops.take(x, [[0, 1], [2, 3]], axis=2), (None, 4, 2, 2)),
    (lambda x: ops.repeat(x, 3, axis=1), (None, 12, 6)),
    (lambda x: ops.tile(x, (2, 1, 1, 2)), (2, None, 4, 12)),
    (lambda x: ops.pad(x, ((0, 0), (1, 2), (3, 0))), (None, 7, 9)),
    (lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))), (None, 4, 4)),
    (lambda x: ops.einsum("bte,bse->bts", x, x), (None, 4, 4)),
    (lambda x: ops.einsum("...e->...", x), (None, 4)),
    (lambda x: ops.tensordot(x, np.ones((6, 2)), axes=1), (None, 4, 2)),
    (lambda x: ops.where(x > 0, x, 0.0), (None, 4, 6)),
    (lambda x: ops.top_k(x, 2)[1], (None, 4, 2)),
    (lambda x: ops.one_hot(ops.argmax(x, -1), 6), (None, 4, 6)),
    (lambda x: ops.quantile(x, [0.1, 0.9], axis=1), (2, None, 6)),
    (lambda x: ops.rfft(x)[0], (None, 4, 4)),
    (lambda x: ops.cumsum(x), (None,)),
])
def test_shapes_are_known_without_a_framework(call, shape) -> None:
    assert call(steps()).shape == shape


def test_open_dimensions_stay_open() -> None:
    x = Input((None, 3))
    assert x[:, 1:].shape == (None, None, 3)
    assert ops.concatenate([x, x], 1).shape == (None, None, 3)
    assert ops.reshape(x, (-1, 3)).shape == (None, 3)
    assert (x + x[:, :1]).shape == (None, None, 3)


def test_types_follow_keras() -> None:
    x, n, flag = steps(), steps(dtype="int32"), steps(dtype="bool")
    found = [n + n, n + x, n * 2, n * 0.5, n / n, flag + flag, x > 0, ops.argmax(x, 1), ops.mean(n, 1),
             ops.sum(flag, 1), ops.cast(x, "int64"), ops.zeros_like(x, dtype="int8"), ops.where(flag, n, x),
             ops.exp(n), ops.take(n, [0], 1)]
    assert [tensor.dtype for tensor in found] == [
        "int32", "float32", "int32", "float32", "float32", "bool", "bool", "int32", "float32", "int32",
        "int64", "int8", "float32", "float32", "int32"]
    assert result_type("uint8", "int8") == "int16"
    assert result_type("bfloat16", "float16") == "float32"
    assert result_type("int64", "float16") == "float16"


def whole_model() -> ModelSpec:
    x, mask = steps(name="x"), Input((4,), dtype="bool", name="mask")
    scaled = layers.Dense(6, name="dense")(x) * np.float32(0.5) + np.arange(6, dtype="float32")
    normed = ops.layer_normalization(scaled, beta=np.ones(6, "float32"))
    parts = ops.split(ops.where(mask[:, :, None], normed, 0.0), 2, axis=-1)
    joined = ops.concatenate([parts[1], parts[0], ops.stop_gradient(x)], axis=-1, name="joined")
    chosen = ops.select([x > 0, x < -1], [x, x * 2], -1)
    return Model([x, mask], [joined[:, -1, None, ::2], ops.cast(chosen, "float16"), ops.clip(x, -1, 1.0)], name="m")


def test_plain_data_come_back() -> None:
    model = whole_model()
    for text in (yaml.safe_dump(model.to_data()), json.dumps(model.to_data())):
        again = ModelSpec.from_data(yaml.safe_load(text))
        assert again.digest == model.digest
        assert again.to_data() == model.to_data()
    assert [node.name for node in model.nodes if model.layers[node.layer].canonical_name() == "ops.get_item"] == [
        "get_item", "get_item_1"]


def test_a_specification_in_yaml() -> None:
    model = ModelSpec.from_data(yaml.safe_load("""
        name: pooled
        inputs: [{name: x, shape: [4, 6]}]
        layers:
          - ops.mean: {axis: 1, keepdims: true, name: pooled, inputs: [x]}
          - ops.multiply: {arguments: {x1: 0.5}}
          - ops.get_item: {arguments: {key: ["...", {slice: [null, null, -1]}]}}
          - ops.nn.relu: {}
        outputs: [relu]
    """))
    assert model.tensors["relu"] == (None, 1, 6)
    assert model.to_data()["layers"][0] == {"ops.mean": {"axis": 1, "keepdims": True, "name": "pooled"}}


def test_constants_stand_under_their_names() -> None:
    x = steps()
    node = Model(x, ops.subtract(1, x)).nodes[0]
    assert (node.inputs, dict(node.arguments)) == (("input",), {"x1": 1})
    beta = Model([x, y := Input(batch_shape=(6,))], ops.layer_normalization(x, beta=y)).nodes[0]
    assert dict(beta.arguments) == {"beta": {"input": 1}}
    mixed = Model(x, ops.concatenate([x, np.zeros((2, 4, 6), "float32"), x], axis=0)).nodes[0]
    assert [item if "input" in item else item["dtype"] for item in mixed.arguments["xs"]] == [
        {"input": 0}, "float32", {"input": 1}]


def test_products_are_counted() -> None:
    x, y = Input((4, 6)), Input((6, 3))
    assert Model([x, y], x @ y).flops == Model([x, y], ops.einsum("bij,bjk->bik", x, y)).flops == 2 * 4 * 6 * 3
    assert Model(x, x + 1).flops == 0


@pytest.mark.parametrize(("call", "words"), [
    (lambda x: ops.mean(x, axs=1), ("axs", "Did you mean 'axis'")),
    (lambda x: ops.mean(x, axis=3), ("ops.mean", "axis 3")),
    (lambda x: ops.reshape(x[0], (5, 5)), ("do not fill", "ops.reshape")),
    (lambda x: x + Input((3, 5)), ("do not fit together",)),
    (lambda x: x[:, 4], ("index 4", "axis of 4")),
    (lambda x: x[:, :, :, 0], ("too many indices",)),
    (lambda x: x[x > 0], ("ops.take",)),
    (lambda x: ops.cast(x, "float33"), ("float33", "Did you mean")),
    (lambda x: ops.concatenate([x, Input((5, 5))], 1), ("agree except along axis 1",)),
    (lambda x: ops.where(x > 0), ("depends on the data",)),
    (lambda x: ops.nonzero(x), ("keras.ops.nonzero", "depends on the data")),
    (lambda x: ops.scan(x), ("Python function of your own",)),
    (lambda x: ops.matmul(x, x), ("summed over differ",)),
    (lambda x: ops.einsum("ab,bc->ac", x, x), ("does not fit",)),
    (lambda x: ops.add(1, 2), ("none of the operands", "NumPy")),
    (lambda x: ops.add(x, "one"), ("x2", "'one'")),
    (lambda x: ops.split(x, 5, axis=1), ("5 equal parts",)),
    (lambda x: ops.one_hot(x, 3, sparse=True), ("sparse",)),
    (lambda x: ops.add(Input((4, 4)), Input(batch_shape=(1, 4, 1))), ("instead of",)),
    (lambda x: ops.quantile(x, 0.5, method="lower"), ("method='lower'",)),
    (lambda x: LAYERS.find("ops.meen"), ("ops.meen", "Did you mean 'ops.mean'")),
    (lambda x: LAYERS.find("ops.mean")(x=1), ("operand", "arguments")),
    (lambda x: ModelSpec.from_data({"name": "m", "inputs": [{"name": "x", "shape": [4]}], "layers": [
        {"ops.add": {"arguments": {"x3": 1}}}], "outputs": ["add"]}), ("no operand 'x3'",)),
    (lambda x: ModelSpec.from_data({"name": "m", "inputs": [{"name": "x", "shape": [4]}], "layers": [
        {"ops.add": {}}], "outputs": ["add"]}), ("needs the operand 'x2'",)),
])
def test_mistakes_are_explained(call, words) -> None:
    with pytest.raises(SpecError) as caught:
        call(steps())
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_function_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Did you mean 'mean'"):
        ops.meen  # noqa: B018
    assert not hasattr(ops, "layers")
    assert {"mean", "add", "nn", "image"} <= set(dir(ops))
    assert list(inspect.signature(ops.clip).parameters) == ["x", "x_min", "x_max"]


def test_every_operation_has_a_class_of_its_own() -> None:
    classes = [item.operation for item in operations.OPERATIONS.values()]
    assert len({cls.canonical_name() for cls in classes}) == len(classes) == len({cls.__name__ for cls in classes})
    assert all(cls.mask_rule == "drop" for cls in classes)
    assert not set(operations.REFUSED) & {name.partition(".")[2] for name in operations.OPERATIONS}
    assert LAYERS.find("ops.abs") is LAYERS.find("ops.absolute") is LAYERS.find("ops.numpy.absolute")
    assert "ops.mean" not in LAYERS.classes


def test_operations_are_read_from_keras() -> None:
    x = steps()
    operation, operands = operation_from_keras(
        "keras.src.ops.numpy", "Mean", {"name": "mean_3", "axis": [1, 2], "keepdims": True}, [x], {})
    assert (operation.canonical_name(), operation.name, operation.config()) == (
        "ops.mean", "mean_3", {"axis": [1, 2], "keepdims": True})
    assert operands == {"x": x}
    relu, _ = operation_from_keras("keras.src.activations.activations", "ReLU", {"name": "re_lu"}, [x], {})
    assert relu.canonical_name() == "activations.relu"
    for class_name, word in (("Unique", "depends on the data"), ("Meen", "Did you mean 'Mean'")):
        with pytest.raises(SpecError, match=word):
            operation_from_keras("keras.src.ops.numpy", class_name, {}, [x], {})


def test_the_notation_loads_no_framework() -> None:
    code = ("import sys; from harness import Input, Model, ops; x = Input((4,)); Model(x, ops.mean(x * 2, -1));"
            "print({'numpy', 'torch', 'tensorflow', 'keras', 'pandas'} & set(sys.modules))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
