"""The defaults that are switched one at a time, and what a model and a recipe are with some of them switched."""

from __future__ import annotations

from collections.abc import Collection

from harness.plan.defaults import first_values, forms, padding, training
from harness.plan.defaults.base import Change, Default
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

# Switches are applied in this order. Those that make two others' subject (a GRU's form before its biases, penalties
# before decay becomes one) come first.
DEFAULTS: tuple[Default, ...] = (
    Default("gru_form", "form of the GRU", forms.gru_form),
    Default("kernel_initializer", "first kernels of Dense and convolutions", first_values.kernels),
    Default("bias_initializer", "first biases of Dense and convolutions", first_values.biases),
    Default("embedding_initializer", "first tables of Embedding", first_values.embeddings),
    Default("attention_initializer", "first kernels of MultiHeadAttention", first_values.attention,
            "PyTorch's output projection starts uniform within 1/sqrt(features), 0.82 of what all four have here"),
    Default("recurrent_initializer", "first kernels of recurrent layers", first_values.recurrent_kernels),
    Default("recurrent_bias_initializer", "first biases of recurrent layers", first_values.recurrent_biases,
            "the sum of PyTorch's two biases (LSTM, RNN) has a triangular distribution, here a uniform one of the same "
            "variance"),
    Default("recurrent_biases", "biases of LSTM and SimpleRNN", forms.second_bias,
            "as twice the learning rate of one bias; clipping and weight decay see one"),
    Default("batch_normalization_momentum", "momentum of BatchNormalization", forms.batch_momentum),
    Default("batch_normalization_epsilon", "epsilon of BatchNormalization", forms.batch_epsilon),
    Default("normalization_epsilon", "epsilon of the other normalizations", forms.norm_epsilon),
    Default("same_padding", 'padding="same" with strides', padding.strided),
    Default("average_padding", "padding of AveragePooling", padding.counted),
    Default("leaky_slope", "slope of LeakyReLU", forms.leaky_slope),
    Default("prelu", "slopes of PReLU", forms.prelu),
    Default("penalty_form", "form of the L2 penalty", training.penalty_form,
            "as one writes it in PyTorch: the factor of the penalty as the optimizer's weight_decay"),
    Default("weight_decay_form", "form of weight decay", training.decay_form,
            "as a penalty of half the factor; weights without a regularizer of their own (a scale) have none"),
    Default("weight_decay", "weight decay of AdamW", training.decay),
    Default("learning_rate", "learning rate", training.learning_rate),
    Default("epsilon", "epsilon of the optimizer", training.epsilon),
    Default("epsilon_and_place", "epsilon of the optimizer, and its place", training.epsilon_inside,
            "its square inside of the root: never farther off than a factor of sqrt(2)"),
    Default("rho", "rho of the optimizer", training.rho),
    Default("initial_accumulator", "first sum of squares of Adagrad", training.accumulator),
    Default("clipping", "clipnorm", training.clipping),
)


def applicable(spec: ModelSpec, recipe: Recipe) -> dict[str, Change]:
    """Every default that the model and the recipe contain, by name, switched by itself."""
    found = {default.name: default.switch(spec, recipe) for default in DEFAULTS}
    return {name: change for name, change in found.items() if change is not None}


def switched(spec: ModelSpec, recipe: Recipe, names: Collection[str]) -> tuple[ModelSpec, Recipe]:
    """The model and the recipe with these defaults as PyTorch has them, all others as Keras has them."""
    for default in DEFAULTS:
        if default.name in names:
            change = default.switch(spec, recipe)
            if change is not None:
                spec, recipe = change.spec, change.recipe
    return spec, recipe
