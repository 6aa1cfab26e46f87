"""Cases of activations, normalizations, windows, attention and cross-entropies."""

from harness.keras import activations
from tests.conformance.operations_engine import IMAGE, TWO, unary, varied
from tests.conformance.operations_engine import OperationCase as Case

ACTIVATIONS = ("relu relu6 sigmoid hard_sigmoid hard_silu hard_tanh log_sigmoid selu silu softplus softsign "
               "sparse_plus sparse_sigmoid tanh_shrink celu elu gelu glu leaky_relu squareplus softmax log_softmax "
               "sparsemax hard_shrink soft_shrink")
CASES = (
    *unary(ACTIVATIONS),
        *unary("selu celu elu hard_tanh hard_sigmoid leaky_relu hard_shrink soft_shrink sparse_plus sparse_sigmoid",
        "ties"),
    *varied("celu", {"alpha": 0.5}, {"alpha": 2.0}), *varied("elu", {"alpha": 0.5}, {"alpha": 2.0}),
    *varied("gelu", {"approximate": False}), *varied("glu", {"axis": 1}), *varied("leaky_relu",
        {"negative_slope": 0.35}),
    *varied("squareplus", {"b": 2}, {"b": 0.3}), *varied("hard_shrink", {"threshold": 1.0}, kinds=("ties",)),
        *varied("soft_shrink", {"threshold": 1.0}, kinds=("ties",)),
    *varied("threshold", {"threshold": 0.5, "default_value": -1.0}, {"threshold": 1.0, "default_value": 3.0},
        {"threshold": 0.0, "default_value": 0.0}, kinds=("ties",)),
    *varied("softmax", {"axis": 1}, {"axis": -2}, {"axis": None}), *varied("log_softmax", {"axis": 1},
        {"axis": None}), *varied("sparsemax", {"axis": 1}),
    *(Case(f"activations.relu {options}", lambda ops, x, o=options: activations.relu(x, **o),
        kinds=("ties",)) for options in (
        {}, {"negative_slope": 0.1}, {"max_value": 1.0}, {"max_value": 6.0, "threshold": 1.0},
            {"negative_slope": 0.2, "max_value": 2.0, "threshold": 1.0})),
    *varied("normalize", {}, {"axis": 1}, {"axis": (1, 2)}, {"order": 3}, {"order": 1, "axis": 1}, {"epsilon": 2.0}),
    *varied("rms_normalization", {}, {"axis": 1}, {"epsilon": 0.01, "axis": (1, 2)}),
    Case("rms_normalization with scale", lambda ops, x, s: ops.rms_normalization(x, ops.mean(s, axis=(0, 1))), TWO),
    *varied("layer_normalization", {}, {"axis": 1}, {"axis": (1, 2), "epsilon": 0.01}, {"rms_scaling": True}),
    Case("layer_normalization scaled", lambda ops, x, g, b: ops.layer_normalization(x, ops.mean(g, axis=0),
        ops.mean(b, axis=0)), ((4, 6), (6,), (6,))),
    Case("layer_normalization along steps", lambda ops, x, g: ops.layer_normalization(x, ops.mean(g, axis=0),
        axis=1), ((4, 6), (4,))),
    Case("layer_normalization with beta", lambda ops, x, b: ops.layer_normalization(x, beta=ops.mean(b, axis=0),
        epsilon=0.1), ((4, 6), (6,))),
    Case("layer_normalization of rms", lambda ops, x, g: ops.layer_normalization(x, ops.mean(g, axis=0),
        rms_scaling=True), ((4, 6), (6,))),
    *(Case(f"batch_normalization {options} {names}", lambda ops, x, a, b, o=options, n=names: ops.batch_normalization(
        x, ops.mean(a, axis=0), ops.var(b, axis=0), **o, **{name: ops.mean(a * 2, axis=0) for name in n}), ((4, 6),
            (size,), (size,)))
      for options, size, names in (({"axis": -1}, 6, ()), ({"axis": 1}, 4, ("scale",)), ({"axis": -1,
          "epsilon": 0.1}, 6, ("scale",)),
                                   ({"axis": 2}, 6, ("offset", "scale")))),
    *(case for name in ("max_pool", "average_pool") for case in varied(
        name, {"pool_size": 2}, {"pool_size": (3, 2), "strides": 1}, {"pool_size": 2, "padding": "same"},
            {"pool_size": 3, "strides": (2, 1), "padding": "same"}, inputs=IMAGE)),
    *(case for name in ("max_pool", "average_pool") for case in varied(name, {"pool_size": 2}, {"pool_size": 3,
        "strides": 2, "padding": "same"})),
    *(Case(f"conv {options}", lambda ops, x, k, o=options: ops.conv(x, ops.mean(k, axis=0), **o), ((6, 5, 4), (3, 2,
        4, 6))) for options in (
        {}, {"strides": 2}, {"padding": "same"}, {"strides": (2, 1), "padding": "same"}, {"dilation_rate": 2},
            {"dilation_rate": (1, 2), "padding": "same"})),
    Case("conv steps", lambda ops, x, k: ops.conv(x, ops.mean(k, axis=0), strides=2, padding="same"), ((7, 4), (3, 4,
        5))),
    Case("conv volumes", lambda ops, x, k: ops.conv(x, ops.mean(k, axis=0), padding="same"), ((4, 5, 4, 2), (3, 2, 2,
        2, 3))),
    *(Case(f"depthwise_conv {options}", lambda ops, x, k, o=options: ops.depthwise_conv(x, ops.mean(k, axis=0), **o),
        ((6, 5, 4), (3, 2, 4, 2))) for options in (
        {}, {"strides": 2}, {"padding": "same"}, {"dilation_rate": 2})),
    Case("depthwise_conv steps", lambda ops, x, k: ops.depthwise_conv(x, ops.mean(k, axis=0), strides=2), ((7, 4),
        (3, 4, 2))),
    *(Case(f"separable_conv {options}", lambda ops, x, k, p, o=options: ops.separable_conv(x, ops.mean(k, axis=0),
        ops.mean(p, axis=0), **o),
           ((6, 5, 4), (3, 2, 4, 2), (1, 1, 8, 3))) for options in ({}, {"strides": 2}, {"padding": "same"},
               {"dilation_rate": 2})),
    *(Case(f"dot_product_attention {options}", lambda ops, q, k, v, o=options: ops.dot_product_attention(q, k, v,
        **o), ((4, 2, 3), (5, 2, 3), (5, 2, 3)))
      for options in ({}, {"is_causal": True}, {"scale": 0.3}, {"is_causal": True, "scale": 2.0})),
    Case("dot_product_attention with mask", lambda ops, q, k, v, m: ops.dot_product_attention(q, k, v, mask=m), ((4,
        2, 3), (5, 2, 3), (5, 2, 3), (2, 4, 5)), ("normal",) * 3 + ("flags",)),
    Case("dot_product_attention with bias", lambda ops, q, k, v, b: ops.dot_product_attention(q, k, v, bias=b), ((4,
        2, 3), (5, 2, 3), (5, 2, 3), (2, 4, 5))),
    Case("dot_product_attention with all", lambda ops, q, k, v, b, m: ops.dot_product_attention(q, k, v, bias=b,
        mask=m, is_causal=True), ((4, 2, 3), (5, 2, 3), (5, 2, 3), (2, 4, 5), (1, 4, 5)),
        ("normal",) * 4 + ("flags",)),
    *varied("binary_crossentropy", {}, inputs=TWO, kinds=("shares", "shares")), *varied("binary_crossentropy",
        {"from_logits": True}, inputs=TWO, kinds=("shares", "normal")),
    *varied("categorical_crossentropy", {}, {"axis": 2}, inputs=TWO, kinds=("shares", "shares")),
        *varied("categorical_crossentropy", {"from_logits": True}, inputs=TWO, kinds=("shares", "normal")),
    *varied("sparse_categorical_crossentropy", {}, inputs=((4,), (4, 6)), kinds=("places", "shares")),
    *varied("sparse_categorical_crossentropy", {"from_logits": True}, inputs=((4,), (4, 6)), kinds=("places",
        "normal")),
    *varied("psnr", {"max_val": 1.0}, {"max_val": 255}, inputs=TWO),
    *varied("depth_to_space", {"block_size": 2}, inputs=((3, 2, 8),)), *varied("depth_to_space", {"block_size": 3},
        inputs=((2, 2, 18),)),
    *varied("space_to_depth", {"block_size": 2}, {"block_size": 3}, inputs=((6, 12, 2),)),
)
