"""Cases of the core layers."""

from tests.conformance.engine import Case

ACTIVATIONS = (
    "linear", "relu", "relu6", "elu", "selu", "celu", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softmax",
    "log_softmax", "softplus", "softsign", "silu", "hard_silu", "gelu", "leaky_relu", "mish", "exponential",
    "log_sigmoid", "squareplus", "tanh_shrink",
)

CASES = (
    Case("dense", lambda layers: layers.Dense(5), ((7,),)),
    Case("dense relu", lambda layers: layers.Dense(5, activation="relu"), ((7,),)),
    Case("dense without bias", lambda layers: layers.Dense(5, use_bias=False, activation="tanh"), ((7,),)),
    Case("dense over steps", lambda layers: layers.Dense(3, "softmax"), ((6, 7),)),
    Case("dense over images", lambda layers: layers.Dense(3), ((4, 5, 6),)),
    Case("dense masked", lambda layers: layers.Dense(3), ((6, 4),), masked=(True,)),
    Case("dense frozen", lambda layers: layers.Dense(3, trainable=False), ((6,),)),
    Case("dense regularized",
         lambda layers: layers.Dense(3, kernel_regularizer="l2", bias_regularizer={"L1": {"l1": 0.1}}), ((6,),)),
    Case("dense l1_l2", lambda layers: layers.Dense(3, kernel_regularizer={"L1L2": {"l1": 0.1, "l2": 0.3}}), ((6,),)),
    *(Case(f"activation {name}", lambda layers, name=name: layers.Activation(name), ((6, 7),))
      for name in ACTIVATIONS),
    *(Case(f"activation {name} at ties", lambda layers, name=name: layers.Activation(name), ((6, 7),), kinds=("ties",))
      for name in ACTIVATIONS),
    Case("activation masked", lambda layers: layers.Activation("relu"), ((6, 4),), masked=(True,)),
    Case("embedding", lambda layers: layers.Embedding(5, 3), ((6,),), kinds=("ids",)),
    Case("embedding mask_zero", lambda layers: layers.Embedding(5, 3, mask_zero=True), ((6,),), kinds=("ids",)),
    Case("embedding regularized", lambda layers: layers.Embedding(9, 2, embeddings_regularizer="l2"), ((6,),),
         kinds=("ids",)),
    Case("embedding of a grid", lambda layers: layers.Embedding(7, 2), ((6, 2),), kinds=("ids",)),
    Case("masking", lambda layers: layers.Masking(), ((6, 4),), masked=(True,)),
    Case("masking a value", lambda layers: layers.Masking(1.0), ((6, 1),), kinds=("ties",), batch=6),
    Case("masking nothing", lambda layers: layers.Masking(0.1), ((6, 4),)),
    Case("masking images", lambda layers: layers.Masking(0.0), ((3, 4, 2),), kinds=("ties",)),
)
