"""Lightning's Trainer, as its tutorial has it: a LightningModule that logs its loss, a DataLoader; neither progress
bar, nor logger, nor checkpoints.

`Trainer.fit` is called once and waits at the end of an epoch until more are asked for: what it does before the first
epoch is not counted.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

import numpy as np

from benchmarks.contenders.loops import Loop
from benchmarks.workloads import Workload


def open_loop(workload: Workload, x: np.ndarray, y: np.ndarray) -> Loop:
    import torch
    from lightning import pytorch as lightning
    from torch.utils.data import DataLoader, TensorDataset

    from benchmarks.contenders.pytorch_networks import network

    torch.set_num_threads(1)

    class Classifier(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network(workload)

        def training_step(self, batch: Any, index: int) -> Any:
            inputs, targets = batch
            loss = torch.nn.functional.cross_entropy(self.network(inputs), targets)
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    turns = Turns()

    class Pausing(lightning.Callback):  # type: ignore[misc]
        def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
            turns.begin()

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            turns.end(float(trainer.callback_metrics["train_loss"]))

    module = Classifier()
    trainer = lightning.Trainer(max_epochs=-1, accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
                                enable_checkpointing=False, enable_model_summary=False, callbacks=[Pausing()])
    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), workload.batch, shuffle=True)

    def fit() -> None:
        try:
            torch.set_num_threads(1)
            trainer.fit(module, loader)
            turns.failed(RuntimeError("Trainer.fit ended by itself"))
        except BaseException as error:
            turns.failed(error)

    loop = Loop("Trainer.fit, DataLoader, eager", turns.play,
                lambda: [parameter.detach().numpy() for parameter in module.parameters()])
    threading.Thread(target=fit, daemon=True).start()
    return loop


class Turns:
    """Hands epochs from the thread that asks for them to the one that trains."""

    def __init__(self) -> None:
        self.asked: queue.Queue[int] = queue.Queue()
        self.done: queue.Queue[float | BaseException] = queue.Queue()
        self.left = 0

    def play(self, epochs: int) -> float:
        """Asks for so many epochs, and returns the last one's loss when they are over."""
        self.asked.put(epochs)
        found = self.done.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def begin(self) -> None:
        if not self.left:
            self.left = self.asked.get()

    def end(self, loss: float) -> None:
        self.left -= 1
        if not self.left:
            self.done.put(loss)

    def failed(self, error: BaseException) -> None:
        self.done.put(error)
