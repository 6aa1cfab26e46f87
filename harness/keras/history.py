"""What `fit` returns: Keras's History, and the comparison of the two halves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.records.record import Record, is_metric

if TYPE_CHECKING:
    from harness.keras.comparison import Comparison
    from harness.keras.model import Model


class History:
    """history: {"loss": [...], "val_loss": [...], ...}, Keras's keys and TensorFlow's values (those of the only
    framework, where there is one). epoch: [0, 1, ...]. params: what Keras's has. comparison: both halves.
    """

    def __init__(self, model: Model, record: Record, params: dict[str, Any], comparison: Comparison) -> None:
        rows = record.phases[-1]["epochs"]
        names = [name for name in rows[0] if is_metric(name)]
        # Keras sorts an epoch's log and puts the validation's, sorted, behind it.
        order = sorted(names, key=lambda name: (name.startswith("val_"), name))
        self.model = model
        self.history: dict[str, list[float]] = {name: [row[name] for row in rows] for name in order}
        self.epoch = [row["epoch"] - 1 for row in rows]
        self.params = params
        self.comparison = comparison

    def __repr__(self) -> str:
        return f"<History: {len(self.epoch)} epochs, {', '.join(self.history)}; .comparison has both frameworks>"

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()
