"""keras.callbacks: early stopping. Other callbacks are code that runs inside one framework, and are refused."""

from __future__ import annotations

from harness.keras.history import History
from harness.keras.refusals import namespace
from harness.spec.recipe import EarlyStopping

_HINTS = {
    "CSVLogger": "The curves are in history.history and in history.comparison.report(folder).",
    "History": "`fit` returns it.",
    "LearningRateScheduler": "Use a schedule of keras.optimizers.schedules as learning_rate.",
    "ModelCheckpoint": "Use EarlyStopping(restore_best_weights=True), or model.save_weights('name.safetensors').",
    "ReduceLROnPlateau": "Use a schedule of keras.optimizers.schedules as learning_rate.",
    "TensorBoard": "The curves are in history.comparison.report(folder).",
    "TerminateOnNaN": "Leave it out: a loss that is not finite ends the training anyway.",
}
_KNOWN = (*_HINTS, "BackupAndRestore", "Callback", "CallbackList", "LambdaCallback", "OrbaxCheckpoint", "ProgbarLogger",
          "RemoteMonitor", "SwapEMAWeights")

__getattr__, __dir__ = namespace(
    "keras.callbacks", {"EarlyStopping": EarlyStopping, "History": History}, _KNOWN,
    hint="A callback is code inside one framework's loop; only EarlyStopping is carried by both.", hints=_HINTS,
)
