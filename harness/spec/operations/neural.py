"""Activations, normalizations, windows, attention, cross-entropies (keras/src/ops/nn.py, keras/src/activations)."""

from __future__ import annotations

from harness.spec.operations import dtypes, shapes
from harness.spec.operations import neural_shapes as rules
from harness.spec.operations.base import declare

POOL = "(inputs: T, pool_size, strides=None, padding='valid', data_format=None)"
CONV = "(inputs: T, kernel: T, strides=1, padding='valid', data_format=None, dilation_rate=1)"
SEPARABLE = ("(inputs: T, depthwise_kernel: T, pointwise_kernel: T, strides=1, padding='valid', data_format=None, "
             "dilation_rate=1)")
ATTENTION = ("(query: T, key: T, value: T, bias: T=None, mask: T=None, scale: T=None, is_causal=False, "
             "flash_attention=None, attn_logits_soft_cap=None)")
BATCH_NORM = "(x: T, mean: T, variance: T, axis, offset: T=None, scale: T=None, epsilon=0.001)"
BLOCKS = "(x: T, block_size, data_format='channels_last')"

OPERATIONS = (
    *declare("nn", "(x: T)", shapes.same, dtypes.first,
             "relu relu6 sigmoid hard_sigmoid hard_silu hard_tanh log_sigmoid selu silu softplus softsign sparse_plus "
             "sparse_sigmoid tanh_shrink"),
    *declare("nn", "(x: T, alpha=1.0)", shapes.same, dtypes.first, "celu elu"),
    *declare("nn", "(x: T, approximate=True)", shapes.same, dtypes.first, "gelu"),
    *declare("nn", "(x: T, axis=-1)", rules.glu, dtypes.first, "glu"),
    *declare("nn", "(x: T, threshold=0.5)", shapes.same, dtypes.first, "hard_shrink soft_shrink"),
    *declare("nn", "(x: T, threshold, default_value)", shapes.same, dtypes.first, "threshold"),
    *declare("nn", "(x: T, negative_slope=0.2)", shapes.same, dtypes.first, "leaky_relu"),
    *declare("nn", "(x: T, b=4)", shapes.same, dtypes.first, "squareplus"),
    *declare("nn", "(x: T, axis=-1)", shapes.with_axis, dtypes.first, "softmax log_softmax sparsemax"),
    *declare("activations", "(x: T, negative_slope=0.0, max_value=None, threshold=0.0)", shapes.same, dtypes.first,
             "relu=ReLU", space="activations"),
    *declare("nn", "(x: T, axis=-1, order=2, epsilon=None)", rules.along_axis, dtypes.first, "normalize"),
    *declare("nn", "(x: T, scale: T=None, axis=-1, epsilon=None)", rules.along_axis, dtypes.first,
             "rms_normalization=RMSNorm"),
    *declare("nn", "(x: T, gamma: T=None, beta: T=None, axis=-1, epsilon=None, rms_scaling=False)", rules.along_axis,
             dtypes.first, "layer_normalization=LayerNorm"),
    *declare("nn", BATCH_NORM, rules.batch_normalization, dtypes.first, "batch_normalization=BatchNorm"),
    *declare("nn", POOL, rules.pool, dtypes.first, "max_pool average_pool"),
    *declare("nn", CONV, rules.conv, dtypes.first, "conv", rules.conv_products),
    *declare("nn", CONV, rules.depthwise_conv, dtypes.first, "depthwise_conv", rules.depthwise_products),
    *declare("nn", SEPARABLE, rules.separable_conv, dtypes.first, "separable_conv", rules.separable_products),
    *declare("nn", ATTENTION, rules.attention, dtypes.promoted, "dot_product_attention", rules.attention_products),
    *declare("nn", "(target: T, output: T, from_logits=False)", rules.crossentropy, dtypes.floating,
             "binary_crossentropy"),
    *declare("nn", "(target: T, output: T, from_logits=False, axis=-1)", rules.categorical_crossentropy,
             dtypes.floating, "categorical_crossentropy"),
    *declare("nn", "(target: T, output: T, from_logits=False, axis=-1)", rules.sparse_crossentropy, dtypes.floating,
             "sparse_categorical_crossentropy"),
    *declare("nn", "(x1: T, x2: T, max_val)", rules.psnr, dtypes.floating, "psnr=PSNR"),
    *declare("nn", BLOCKS, rules.depth_to_space, dtypes.first, "depth_to_space"),
    *declare("nn", BLOCKS, rules.space_to_depth, dtypes.first, "space_to_depth"),
)
ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}
