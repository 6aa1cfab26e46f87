"""The loop of Hugging Face's examples (run_*_no_trainer.py): everything prepared by an Accelerator, the loss summed
without being read."""

from __future__ import annotations

import numpy as np

from benchmarks.contenders.loops import Loop
from benchmarks.workloads import Workload


def open_loop(workload: Workload, x: np.ndarray, y: np.ndarray) -> Loop:
    import torch
    from accelerate import Accelerator
    from torch.utils.data import DataLoader, TensorDataset

    from benchmarks.contenders.pytorch_networks import network

    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    model = network(workload)
    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), workload.batch, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, torch.optim.Adam(model.parameters()), loader)

    def train(epochs: int) -> float:
        for _ in range(epochs):
            model.train()
            total = torch.zeros(())
            for inputs, targets in loader:
                with accelerator.accumulate(model):
                    loss = torch.nn.functional.cross_entropy(model(inputs), targets)
                    total += loss.detach().float()
                    accelerator.backward(loss)
                    optimizer.step()
                    optimizer.zero_grad()
        return total.item() / len(loader)

    return Loop("accelerate, DataLoader, eager", train,
                lambda: [parameter.detach().numpy() for parameter in accelerator.unwrap_model(model).parameters()])
