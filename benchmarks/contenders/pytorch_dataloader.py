"""The tutorial's loop: a DataLoader, Adam, the loss read after every step."""

from __future__ import annotations

import numpy as np

from benchmarks.contenders.loops import Loop
from benchmarks.workloads import Workload


def open_loop(workload: Workload, x: np.ndarray, y: np.ndarray) -> Loop:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from benchmarks.contenders.pytorch_networks import network

    torch.set_num_threads(1)
    model = network(workload)
    optimizer, loss_of = torch.optim.Adam(model.parameters()), torch.nn.CrossEntropyLoss()
    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), workload.batch, shuffle=True)

    def train(epochs: int) -> float:
        for _ in range(epochs):
            running = 0.0
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = loss_of(model(inputs), targets)
                loss.backward()
                optimizer.step()
                running += loss.item()
        return running / len(loader)

    return Loop("DataLoader, eager, loss read every step", train,
                lambda: [parameter.detach().numpy() for parameter in model.parameters()])
