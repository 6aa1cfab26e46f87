"""The idiomatic tier in PyTorch: what its own tutorials do. A DataLoader, one Python step per batch, the
loss read after every step, the optimizer without fused kernels. In mixed precision torch.autocast around the forward
pass, which decides by operation what is computed in the half type, and under float16 a scaled loss by the rule of
torch.amp.GradScaler, which is Keras's."""

from __future__ import annotations

import numpy as np
from torch.utils.data import DataLoader, TensorDataset

from harness.backends.contract import Played
from harness.backends.pytorch.session import Session
from harness.spec.remat import in_words


class IdiomaticSession(Session):
    """The same plan through a DataLoader: the tape's batches, in the tape's order."""

    data_path = "end_to_end"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.read_losses: list[float] = []
        weights = [] if self.w is None else [self.w]
        self.dataset = TensorDataset(*(tensor.cpu() for tensor in (*self.x, *self.y, *weights)))

    def train(self, start: int, stop: int) -> None:
        self.model.train()
        tape = self.plan.tape
        batches = [tape.indices[step, : tape.sizes[step]].tolist() for step in range(start, stop)]
        inputs, targets = len(self.x), len(self.x) + len(self.y)
        for step, batch in enumerate(DataLoader(self.dataset, batch_sampler=batches), start):
            tensors = [tensor.to(self.device) for tensor in batch]
            if self.keys is not None:
                self.keys.copy_(self.tape_keys[step])
            self.optimizer.zero_grad()
            weights = tensors[targets] if self.w is not None else None
            loss, _, outputs = self.loss(tensors[:inputs], tensors[inputs:targets], weights)
            self.optimizer.scaled(loss).backward()
            self.optimizer.step(self.learning_rate(step))
            self.read_losses.append(loss.item())
            if self.plan.collect_outputs:
                self.kept_outputs.append(self.objective.activated(outputs))

    def collect(self) -> Played:
        losses, self.read_losses = np.asarray(self.read_losses), []
        played = super().collect()
        return Played(losses, played.outputs)

    def program(self) -> str:
        return f"DataLoader, eager, loss read every step{in_words(self.plan.spec, self.remat)}"


