"""An LSTM network that forecasts the next steps of a series (Hochreiter and Schmidhuber 1997)."""

from harness import Input, Model, layers


def lstm_forecaster(input_shape=(48, 1), horizon=1, targets=1, units=(64,), dropout=0.0):
    """LSTM layers of these `units`, one Dense on the last state for all steps of the horizon at once.

    input_shape: (steps, features), what the data's step `windows` leaves; steps may be None: open. Output: "forecast"
    (horizon,), or (horizon, targets) of several, for mean_squared_error or mean_absolute_error. dropout: behind each
    LSTM.
    """
    sizes = (units,) if isinstance(units, int) else tuple(units)
    x = series = Input(input_shape, name="series")
    for number, size in enumerate(sizes, 1):
        x = layers.LSTM(size, return_sequences=number < len(sizes), name=f"lstm_{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    x = layers.Dense(horizon * targets, name="forecast" if targets == 1 else "horizon")(x)
    if targets > 1:
        x = layers.Reshape((horizon, targets), name="forecast")(x)
    return Model(series, x, name="lstm_forecaster")
