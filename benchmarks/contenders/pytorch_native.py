"""The best loop by hand in PyTorch: resident data gathered by index, fused Adam, no synchronisation in an epoch; run
eagerly, with the forward and backward pass compiled, and with the whole step compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contenders.loops import Loop, Variant, fastest
from benchmarks.workloads import Workload

BETAS, EPSILON, RATE = (0.9, 0.999), 1e-7, 0.001
# Plays a step on the examples at `rows` and gives its loss.
Step = Callable[[Any], Any]


def open_loop(workload: Workload, x: np.ndarray, y: np.ndarray) -> Loop:
    import torch

    torch.set_num_threads(1)
    makers: dict[str, Callable[..., tuple[Any, Step]]] = {
        "eager, fused Adam": _eager, "torch.compile, fused Adam": _compiled, "whole step compiled": _whole,
    }
    data, labels = torch.from_numpy(x), torch.from_numpy(y)
    return fastest({words: _variant(words, maker, workload, data, labels) for words, maker in makers.items()})


def _variant(words: str, maker: Callable[..., tuple[Any, Step]], workload: Workload, x: Any, y: Any) -> Variant:
    def opened() -> tuple[Loop, Callable[[int], None]]:
        import torch

        from benchmarks.contenders.pytorch_networks import network

        made = network(workload).to(memory_format=torch.channels_last).train()
        parameters, step = maker(made, x, y)

        def play(steps: int) -> float:
            losses = [step(rows) for rows in torch.randperm(len(x)).split(workload.batch)[:steps]]
            return float(torch.stack(losses).mean())

        def train(epochs: int) -> float:
            for _ in range(epochs):
                loss = play(workload.steps)
            return loss

        def weights() -> list[np.ndarray]:
            return [parameter.detach().numpy() for parameter in parameters]

        return Loop(words, train, weights), lambda steps: (play(steps), None)[1]

    return opened


def _eager(network: Any, x: Any, y: Any, loss_of: Step | None = None) -> tuple[Any, Step]:
    import torch

    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=RATE, eps=EPSILON, fused=True)

    def loss_of_rows(rows: Any) -> Any:
        outputs = network(x.index_select(0, rows))
        return torch.nn.functional.cross_entropy(outputs, y.index_select(0, rows))

    found = loss_of or loss_of_rows

    def step(rows: Any) -> Any:
        optimizer.zero_grad()
        loss = found(rows)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return parameters, step


def _compiled(network: Any, x: Any, y: Any) -> tuple[Any, Step]:
    import torch

    _compiling_here()

    @torch.compile(fullgraph=True, dynamic=False)
    def loss_of(rows: Any) -> Any:
        outputs = network(x.index_select(0, rows))
        return torch.nn.functional.cross_entropy(outputs, y.index_select(0, rows))

    return _eager(network, x, y, loss_of)


def _whole(network: Any, x: Any, y: Any) -> tuple[Any, Step]:
    """Forward, backward and update as one function of tensors, compiled: no autograd and no optimizer object is left.
    Not for moving averages, which torch.func will not write."""
    import torch

    _compiling_here()
    names = [name for name, _ in network.named_parameters()]
    values = [parameter.detach() for parameter in network.parameters()]
    if next(network.buffers(), None) is not None:
        raise RuntimeError("torch.func takes no gradient through a module that writes moving averages")
    first, second = ([torch.zeros_like(value) for value in values] for _ in range(2))
    played = 0

    def loss_of(given: list[Any], rows: Any) -> Any:
        weights = dict(zip(names, given, strict=True))
        outputs = torch.func.functional_call(network, weights, (x.index_select(0, rows),))
        return torch.nn.functional.cross_entropy(outputs, y.index_select(0, rows))

    @torch.compile(fullgraph=True, dynamic=False)
    def whole(rows: Any, rate: Any, root: Any) -> Any:
        gradients, loss = torch.func.grad_and_value(loss_of)(values, rows)
        for value, m, v, gradient in zip(values, first, second, gradients, strict=True):
            m.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
            v.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            value.sub_(rate * m / (v.sqrt() / root + EPSILON))
        return loss

    def step(rows: Any) -> Any:
        nonlocal played
        played += 1
        # As tensors: a number would be compiled in.
        rate, root = RATE / (1 - BETAS[0] ** played), (1 - BETAS[1] ** played) ** 0.5
        with torch.no_grad():
            return whole(rows, torch.tensor(rate), torch.tensor(root))

    return values, step


def _compiling_here() -> None:
    """A pool of compiling processes would go on beside the clock."""
    import torch._inductor.config

    torch._inductor.config.compile_threads = 1
