"""What the layers state without a framework: shapes, weights, FLOPs, and what they refuse.

Agreement with Keras over many configurations is checked in tests/conformance.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.spec.layers.spatial import same_padding
from harness.spec.model import ModelSpec


def model(layer, *shape) -> ModelSpec:
    image = Input(shape, name="image")
    return Model(image, layer(image))


@pytest.mark.parametrize(("layer", "shape", "output", "parameters", "flops"), [
    # 28 * 28 positions of 3 * 3 * 1 multiply-adds for each of 32 filters.
    (layers.Conv2D(32, 3, padding="same"), (28, 28, 1), (None, 28, 28, 32), 320, 2 * 28 * 28 * 9 * 32),
    (layers.Conv2D(32, 3), (28, 28, 1), (None, 26, 26, 32), 320, 2 * 26 * 26 * 9 * 32),
    (layers.Conv2D(64, 7, strides=2, padding="same"), (224, 224, 3), (None, 112, 112, 64), 9472,
     2 * 112 * 112 * 49 * 3 * 64),
    (layers.Conv2D(8, 3, groups=4), (8, 8, 16), (None, 6, 6, 8), 8 * 9 * 4 + 8, 2 * 36 * 9 * 4 * 8),
    (layers.Conv1D(5, 3, padding="causal"), (10, 4), (None, 10, 5), 65, 2 * 10 * 3 * 4 * 5),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4), (None, 6, 6, 8), 80, 2 * 36 * 9 * 8),
    (layers.SeparableConv2D(5, 3), (8, 8, 4), (None, 6, 6, 5), 36 + 20 + 5, 2 * 36 * (9 * 4 + 4 * 5)),
    (layers.Conv3D(4, 2, padding="same"), (5, 6, 7, 3), (None, 5, 6, 7, 4), 8 * 3 * 4 + 4, 2 * 210 * 8 * 3 * 4),
    (layers.DepthwiseConv1D(3, depth_multiplier=2), (8, 4), (None, 6, 8), 3 * 8 + 8, 2 * 6 * 3 * 8),
    (layers.SeparableConv1D(5, 3), (8, 4), (None, 6, 5), 12 + 20 + 5, 2 * 6 * (3 * 4 + 4 * 5)),
    # Every one of the 7 * 7 input positions meets the whole kernel.
    (layers.Conv2DTranspose(8, 3, 2, "same"), (7, 7, 4), (None, 14, 14, 8), 9 * 4 * 8 + 8, 2 * 49 * 9 * 4 * 8),
    (layers.Conv2DTranspose(8, 3, 2), (7, 7, 4), (None, 15, 15, 8), 9 * 4 * 8 + 8, 2 * 49 * 9 * 4 * 8),
    (layers.Conv1DTranspose(8, 3, 2, "same", 0), (7, 4), (None, 13, 8), 3 * 4 * 8 + 8, 2 * 7 * 3 * 4 * 8),
    (layers.MaxPooling3D(), (9, 8, 7, 3), (None, 4, 4, 3, 3), 0, 0),
    (layers.AdaptiveAveragePooling2D((3, 2)), (9, 8, 3), (None, 3, 2, 3), 0, 0),
    (layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), (6, 7), (None, None, 2, 3), 48,
     2 * 6 * 7 * 2 * 3),
    (layers.TimeDistributed(layers.Dense(5)), (6, 7), (None, 6, 5), 40, 2 * 6 * 7 * 5),
    (layers.Dense(5), (6, 7), (None, 6, 5), 40, 2 * 6 * 7 * 5),
    (layers.MaxPooling2D(), (9, 8, 3), (None, 4, 4, 3), 0, 0),
    (layers.AveragePooling2D(3, 2, padding="same"), (9, 8, 3), (None, 5, 4, 3), 0, 0),
    (layers.GlobalAveragePooling2D(keepdims=True), (9, 8, 3), (None, 1, 1, 3), 0, 0),
    (layers.BatchNormalization(), (9, 8, 3), (None, 9, 8, 3), 12, 0),
    (layers.BatchNormalization(scale=False), (9, 8, 3), (None, 9, 8, 3), 9, 0),
    (layers.LayerNormalization(axis=[1, 3]), (9, 8, 3), (None, 9, 8, 3), 54, 0),
    (layers.ZeroPadding2D(((1, 2), (0, 3))), (4, 4, 1), (None, 7, 7, 1), 0, 0),
    (layers.Cropping2D(((1, 2), (0, 3))), (4, 4, 1), (None, 1, 1, 1), 0, 0),
    (layers.UpSampling2D((2, 3)), (4, 5, 1), (None, 8, 15, 1), 0, 0),
    (layers.PReLU(shared_axes=[1, 2]), (9, 8, 3), (None, 9, 8, 3), 3, 0),
])
def test_shape_parameters_and_flops(layer, shape, output, parameters, flops) -> None:
    spec = model(layer, *shape)
    assert spec.tensors[spec.outputs[0]] == output
    assert spec.parameters == parameters
    assert spec.flops == flops


def test_only_the_moving_averages_are_not_trained() -> None:
    spec = model(layers.BatchNormalization(name="bn"), 4)
    assert [(w.name, w.trainable) for w in spec.weights] == [
        ("bn/gamma", True), ("bn/beta", True), ("bn/moving_mean", False), ("bn/moving_variance", False)]
    assert model(layers.BatchNormalization(trainable=False), 4).trainable_parameters == 0


@pytest.mark.parametrize(("layer", "shapes", "words"), [
    (layers.Dot(1), ((4, 3), (5, 3)), ("one size", "4", "5")),
    (layers.Dot(0), ((4, 3), (4, 3)), ("batch",)),
    (layers.Dot(1), ((4, 3),), ("exactly 2",)),
    (layers.Attention(), ((4, 3),), ("list", "1 tensor")),
    (layers.Attention(), ((4, 3), (5, 2)), ("3", "2", "features")),
    (layers.AdditiveAttention(), ((4, 3), (5, 3), (6, 3)), ("as many keys as values",)),
])
def test_several_inputs_that_do_not_fit_are_refused(layer, shapes, words) -> None:
    with pytest.raises(SpecError) as caught:
        layer([Input(shape) for shape in shapes])
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_call_has_no_argument_that_the_layer_does_not_know() -> None:
    steps, mask = Input((4, 3), name="steps"), Input((4,), dtype="bool", name="mask")
    with pytest.raises(SpecError, match=r"a call of GlobalAveragePooling1D has no argument 'mask' here.*Masking"):
        Model([steps, mask], layers.GlobalAveragePooling1D()(steps, mask=mask))
    with pytest.raises(SpecError, match="a call of Dense has no argument 'msk' here"):
        Model(steps, layers.Dense(2)(steps, msk=1))


def test_unknown_sizes_give_unknown_flops() -> None:
    spec = model(layers.Conv2D(4, 3, strides=2, padding="same"), None, 9, 3)
    assert spec.tensors[spec.outputs[0]] == (None, None, 5, 4)
    assert spec.flops is None
    assert spec.parameters == 112


@pytest.mark.parametrize(("one", "other"), [
    (layers.Conv2D(4, 3), layers.Conv2D(4, (3, 3), strides=1, data_format=None)),
    (layers.MaxPooling2D(2), layers.MaxPooling2D((2, 2), strides=2)),
    (layers.MaxPooling2D(2), layers.MaxPooling2D(strides=(2, 2))),
    (layers.Conv2D(4, 3, padding="same"), layers.Conv2D(filters=4, kernel_size=[3, 3], padding="SAME")),
    (layers.ZeroPadding2D(1), layers.ZeroPadding2D(((1, 1), (1, 1)))),
    (layers.LayerNormalization(axis=[3]), layers.LayerNormalization(axis=3)),
    (layers.LeakyReLU(0.1), layers.LeakyReLU(alpha=0.1)),
])
def test_two_ways_to_write_a_layer_are_one_model(one, other) -> None:
    assert model(one, 8, 8, 3).digest == model(other, 8, 8, 3).digest


@pytest.mark.parametrize(("make", "words"), [
    (lambda: layers.Conv2D(4, 3, data_format="channels_frist"), ("channels_frist", "channels_first")),
    (lambda: layers.Conv2D(4, 3, padding="causal"), ("padding", "valid")),
    (lambda: layers.Conv2D(4, (3, 3, 3)), ("kernel_size", "tuple of 2")),
    (lambda: layers.Conv2D(4, 0), ("kernel_size", ">= 1")),
    (lambda: layers.Conv2D(4, 3.0), ("kernel_size", "3.0")),
    (lambda: layers.Conv2D(0, 3), ("filters",)),
    (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), ("strides", "dilation_rate")),
    (lambda: layers.Conv2D(5, 3, groups=2), ("filters", "groups")),
    (lambda: layers.Conv2D(4, 3, stride=2), ("stride", "'strides'")),
    (lambda: layers.DepthwiseConv2D(3, strides=(1, 2)), ("equal strides",)),
    (lambda: layers.UpSampling2D(2, interpolation="lanczos4"), ("lanczos4", "bicubic")),
    (lambda: layers.LayerNormalization(axis=[]), ("axis", "empty")),
    (lambda: layers.ReLU(max_value=-1.0), ("max_value",)),
    (lambda: layers.ZeroPadding2D((1, 2, 3)), ("padding", "(top, bottom)")),
    (lambda: layers.RepeatVector(0), ("n:",)),
    (lambda: layers.Conv2DTranspose(4, 3, dilation_rate=2), ("dilation_rate", "CPU")),
    (lambda: layers.Conv2DTranspose(4, 3, 2, output_padding=2), ("output_padding", "smaller than strides")),
    (lambda: layers.Conv2DTranspose(4, 4, 2, "same", 0), ("output_padding=0", "even kernel_size")),
    (lambda: layers.SeparableConv1D(4, 3, padding="causal"), ("padding", "valid")),
    (lambda: layers.ZeroPadding3D((1, 2)), ("padding", "(depth, height, width)")),
    (lambda: layers.AlphaDropout(1.0), ("rate",)),
    (lambda: layers.GaussianDropout(1.0), ("rate",)),
    (lambda: layers.EinsumDense("abc,cd", 4), ("'abc,cd'", "[X],[Y]->[Z]")),
    (lambda: layers.EinsumDense("...ab,bc->ac...", 4), ("same side",)),
    (lambda: layers.EinsumDense("ab,bcx->ac", 4), ("'x'", "kernel")),
    (lambda: layers.GroupQueryAttention(4, 3, 2), ("num_query_heads", "multiple")),
    (lambda: layers.Attention(score_mode="cosine"), ("score_mode", "'dot'")),
    (lambda: layers.TimeDistributed("nothing"), ("layer", "nothing")),
    (lambda: layers.Normalization(), ("mean and variance", "adapt()")),
    (lambda: layers.Normalization(mean=[1.0, 2.0], variance=1.0), ("same shape",)),
    (lambda: layers.CategoryEncoding(3, sparse=True), ("sparse",)),
])
def test_wrong_arguments_are_refused(make, words) -> None:
    with pytest.raises(SpecError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(("layer", "shape", "words"), [
    (layers.Conv2D(4, 3), (28, 28), ("(batch, height, width, channels)", "(None, 28, 28)")),
    (layers.Conv2D(4, 9), (8, 8, 3), ("9", "height of 8", "padding='same'")),
    (layers.Conv2D(4, 3, groups=2), (8, 8, 3), ("multiple of groups", "3 channels")),
    (layers.Conv2D(4, 3), (8, 8, None), ("channels",)),
    (layers.MaxPooling1D(5), (4, 3), ("steps of 4",)),
    (layers.BatchNormalization(axis=3), (8, 3), ("axis 3",)),
    (layers.LayerNormalization(axis=0), (8, 3), ("batch",)),
    (layers.GroupNormalization(), (8, 3), ("groups", "3 channels")),
    (layers.RMSNormalization(axis=1), (8, 3), ("last axes",)),
    (layers.GlobalAveragePooling2D(), (8, 3), ("(batch, height, width, channels)",)),
    (layers.Cropping1D(2), (4, 3), ("nothing is left",)),
    (layers.UpSampling2D(interpolation="bicubic"), (None, 4, 3), ("height",)),
    (layers.PReLU(shared_axes=[3]), (4, 3), ("shared_axes",)),
    (layers.Softmax(axis=2), (3,), ("axis 2",)),
    (layers.Rescaling([1.0, 2.0]), (4, 3), ("2 numbers",)),
    (layers.Conv3D(4, 3), (8, 8, 3), ("(batch, depth, height, width, channels)",)),
    (layers.Conv3D(4, 9), (8, 9, 9, 3), ("9", "depth of 8")),
    (layers.Conv2DTranspose(4, 3), (8, 3), ("(batch, height, width, channels)",)),
    (layers.AdaptiveMaxPooling1D(2), (None, 3), ("steps",)),
    (layers.EinsumDense("ab,bc->ac", 4), (3, 2), ("'ab,bc->ac'", "(None, 3, 2)")),
    (layers.EinsumDense("abc,cd->abd", (5, 4)), (6, 3), ("'b'", "6", "5")),
    (layers.EinsumDense("abc,cd->abd", (None, None)), (6, 3), ("'d'", "output_shape")),
    (layers.TimeDistributed(layers.Dense(4)), (3,), ("(batch, steps, ..., features)",)),
    (layers.TimeDistributed(layers.BatchNormalization()), (None, 3), ("number of steps",)),
    (layers.TimeDistributed(layers.Dropout(0.5)), (None, 3), ("number of steps",)),
    (layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0]), (4, 3), ("2 numbers", "dimension 2")),
    (layers.CategoryEncoding(4), (2, 3), ("(batch, tokens)",)),
])
def test_inputs_that_do_not_fit_are_refused(layer, shape, words) -> None:
    with pytest.raises(SpecError) as caught:
        model(layer, *shape)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(("size", "kernel", "stride", "dilation", "expected"), [
    (28, 3, 1, 1, (1, 1)), (28, 3, 2, 1, (0, 1)), (27, 3, 2, 1, (1, 1)), (28, 4, 1, 1, (1, 2)),
    (28, 3, 1, 2, (2, 2)), (7, 2, 4, 1, (0, 0)), (224, 7, 2, 1, (2, 3)),
])
def test_same_padding_is_tensorflow_s(size, kernel, stride, dilation, expected) -> None:
    assert same_padding(size, kernel, stride, dilation) == expected


def test_the_vocabulary_loads_no_framework_and_no_numpy() -> None:
    program = ("import sys; from harness.spec.layers import LAYERS; "
               "print([name for name in ('numpy', 'torch', 'tensorflow', 'keras', 'pandas') if name in sys.modules])")
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_table_of_late_families_is_that_of_their_files():
    from harness.spec.layers import LATER, families

    own = {family.__name__.rpartition(".")[2]: tuple(cls.__name__ for cls in family.LAYERS) for family in families()}
    assert {name: own[name] for name in LATER} == LATER
