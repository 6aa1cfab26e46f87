"""A deep Q-network: the state of a game to the value of every action (Mnih et al. 2015,
https://doi.org/10.1038/nature14236)."""

from harness import Input, Model, SpecError, layers, ops

CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


def dqn(
    input_shape=(4,), num_actions=2, units=None, convolutions=CONVOLUTIONS, activation="relu", dueling=False,
    with_action=False,
):
    """Pictures (height, width, channels) through the paper's three convolutions and a Dense of 512, other states
    (features,) through two of 64; one linear Dense: "action_values" (num_actions,).

    The paper's network is input_shape=(84, 84, 4), four grey pictures in a row, 0 to 1 (it divides bytes by 255
    outside): 1.69 million parameters with 4 actions. units: of the Dense layers. convolutions: (filters, size, strides)
    each, without padding. dueling: a value of the state and an advantage of each action, whose mean is taken off (Wang
    et al. 2015, https://arxiv.org/abs/1511.06581). with_action: a second input "action" (num_actions,), one-hot, and a
    first output "action_value" (1,), of that action, which the loss is of (loss: {action_value: mse}): what
    deep_q_learning trains.
    """
    x = state = Input(input_shape, name="state")
    if len(state.shape) == 4:
        for number, (filters, size, strides) in enumerate(convolutions, 1):
            x = layers.Conv2D(filters, size, strides, activation=activation, name=f"conv_{number}")(x)
        x = layers.Flatten(name="flat")(x)
    elif len(state.shape) != 2:
        raise SpecError(f"a state is (features,) or (height, width, channels), got {state.shape[1:]}.")
    sizes = units or ((512,) if len(state.shape) == 4 else (64, 64))
    for number, size in enumerate((sizes,) if isinstance(sizes, int) else sizes, 1):
        x = layers.Dense(size, activation=activation, name=f"hidden_{number}")(x)
    if dueling:
        value, advantage = layers.Dense(1, name="value")(x), layers.Dense(num_actions, name="advantage")(x)
        advantage = advantage - ops.mean(advantage, axis=-1, keepdims=True)
        values = layers.Identity(name="action_values")(value + advantage)
    else:
        values = layers.Dense(num_actions, name="action_values")(x)
    if not with_action:
        return Model(state, values, name="dqn")
    action = Input((num_actions,), name="action")
    # Of a one-hot action the product is exactly that action's value, and the others' gradient exactly 0.
    return Model([state, action], [layers.Dot(1, name="action_value")([values, action]), values], name="dqn")
