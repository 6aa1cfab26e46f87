"""Cases of the core layers."""

from dataclasses import dataclass
from typing import Any

from harness import Input, Model
from harness.spec.model import ModelSpec
from tests.conformance.engine import Case

FLOAT32 = "a layer whose own dtype is float32"
ACTIVATIONS = (
    "linear", "relu", "relu6", "elu", "selu", "celu", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softmax",
    "log_softmax", "softplus", "softsign", "silu", "hard_silu", "gelu", "leaky_relu", "mish", "exponential",
    "log_sigmoid", "squareplus", "tanh_shrink",
)


def einsum(name, *arguments, inputs=((6, 4),), **options):
    return Case(f"einsum {name}", lambda layers: layers.EinsumDense(*arguments, **options), inputs)


@dataclass(frozen=True)
class ThereAndBack(Case):
    """Ids to vectors and back by the same layer."""

    def spec(self) -> ModelSpec:
        from harness import layers

        ids = Input(self.inputs[0], name="input_0", dtype="int32")
        layer: Any = self.layer(layers)
        vectors = layer(ids)
        return Model(ids, [vectors, layer(layers.Activation("tanh", name="between")(vectors), reverse=True)],
                     name="case")


def reversible(name, *arguments, back=None, **options):
    """back: the features of the input of a reverse call; None: there and back."""
    if back is None:
        return ThereAndBack(f"reversible {name}", lambda layers: layers.ReversibleEmbedding(*arguments, **options),
                            ((6,),), kinds=("ids",))
    return Case(f"reversible {name}", lambda layers: layers.ReversibleEmbedding(*arguments, **options), (back,),
                arguments={"reverse": True})


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
    Case("embedding of unknown length", lambda layers: layers.Embedding(5, 3, mask_zero=True), ((None,),),
         kinds=("ids",)),
    Case("embedding frozen", lambda layers: layers.Embedding(5, 3, trainable=False), ((6,),), kinds=("ids",)),
    Case("embedding of numbers", lambda layers: layers.Embedding(9, 2), ((6,),), kinds=("ties",)),
    Case("embedding l1", lambda layers: layers.Embedding(5, 1, embeddings_regularizer="l1"), ((6,),), kinds=("ids",)),
    reversible("tied", 5, 3),
    reversible("untied", 5, 3, tie_weights=False),
    reversible("capped", 5, 3, logit_soft_cap=0.7),
    reversible("capped, untied", 5, 3, False, logit_soft_cap=2.0),
    reversible("masked", 5, 3, mask_zero=True),
    reversible("regularized", 5, 3, tie_weights=False, embeddings_regularizer="l2"),
    reversible("frozen", 5, 3, trainable=False),
    reversible("back", 5, 4, back=(6, 4)),
    reversible("back of images", 5, 4, tie_weights=False, back=(2, 3, 4)),
    Case("reversible there", lambda layers: layers.ReversibleEmbedding(7, 2, mask_zero=True), ((6,),), kinds=("ids",)),
    Case("masking", lambda layers: layers.Masking(), ((6, 4),), masked=(True,)),
    Case("masking a value", lambda layers: layers.Masking(1.0), ((6, 1),), kinds=("ties",), batch=6),
    Case("masking nothing", lambda layers: layers.Masking(0.1), ((6, 4),)),
    Case("masking images", lambda layers: layers.Masking(0.0), ((3, 4, 2),), kinds=("ties",)),
    Case("masking a negative value", lambda layers: layers.Masking(-1), ((6, 1),), kinds=("ties",), batch=6),
    Case("masking any length", lambda layers: layers.Masking(mask_value=0.0), ((None, 4),), masked=(True,)),
    Case("masking frozen", lambda layers: layers.Masking(2, trainable=False), ((6, 1),), kinds=("ties",), batch=6),
    Case("masking unrounded", lambda layers: layers.Masking(0.3), ((6, 4),), kinds=("ties",)),
    einsum("vectors", "ab,bc->ac", 5, inputs=((7,),)),
    einsum("steps", "abc,cd->abd", (None, 5), bias_axes="d", activation="relu"),
    einsum("steps, size given", "abc,cd->abd", (6, 5), bias_axes="bd"),
    einsum("any before", "...x,xy->...y", 5, bias_axes="y", activation="softmax"),
    # Square: Keras's symbolic shape has the dimensions behind "..." in the wrong order, its values have not.
    einsum("any before, images", "...x,xy->...y", (5,), inputs=((4, 4, 2),)),
    einsum("any behind", "abc...,bd->adc...", (5, 4), bias_axes="d", inputs=((6, 4, 3),)),
    einsum("heads", "abc,cde->abde", (None, 2, 3), bias_axes="de"),
    einsum("heads back", "abde,dec->abc", (None, 5), bias_axes="c", inputs=((3, 2, 4),)),
    einsum("transposed output", "abc,cd->adb", (5, 6), bias_axes="d"),
    einsum("a kernel per step", "abc,bcd->abd", (6, 5), bias_axes="d"),
    einsum("elementwise", "abc,bc->abc", (6, 4), bias_axes="c"),
    einsum("regularized", "ab,bc->ac", 5, bias_axes="c", kernel_regularizer="l2", bias_regularizer="l1",
           inputs=((7,),)),
    einsum("frozen", "ab,bc->ac", 5, bias_axes="c", trainable=False, inputs=((7,),)),
    Case("einsum masked", lambda layers: layers.EinsumDense("abc,cd->abd", (None, 5)), ((6, 4),), masked=(True,)),
    Case("identity", lambda layers: layers.Identity(), ((6, 4),)),
    Case("dense of any length", lambda layers: layers.Dense(3, "gelu"), ((None, 4),)),
    Case("identity masked", lambda layers: layers.Identity(), ((6, 4),), masked=(True,)),
    Case("dense in float32", lambda layers: layers.Dense(3, "tanh", dtype="float32"), ((6, 4),), masked=(True,),
         tolerance=1e-5, reason=FLOAT32),
    Case("einsum in float32", lambda layers: layers.EinsumDense("abc,cd->abd", (None, 5), dtype="float32"), ((6, 4),),
         tolerance=1e-5, reason=FLOAT32),
    Case("embedding in float32", lambda layers: layers.Embedding(5, 3, mask_zero=True, dtype="float32"), ((6,),),
         kinds=("ids",), tolerance=1e-5, reason=FLOAT32),
)
