"""What the library's models must do by their own definitions, computed by the PyTorch networks in float64.

`python -m tests.models.properties_pytorch OUT` writes OUT: {property: largest difference, or what a test reads}.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from harness import load_model
from harness.backends.pytorch.model import Network, build_network
from harness.backends.pytorch.penalties import activity_penalties
from harness.spec.model import ModelSpec
from tests.conformance import engine
from tests.models.small import SMALL, Small

Found = dict[str, float]


def network_of(case: Small, outputs: tuple[str, ...] = ()) -> tuple[ModelSpec, dict[str, np.ndarray], Network]:
    spec = load_model(case.model, **case.parameters)
    if outputs:
        spec = replace(spec, outputs=outputs)
    weights = engine.weights_of(f"models/{case.model}", spec)
    return spec, weights, build_network(spec, weights, "float64").eval()


def inputs_of(case: Small, spec: ModelSpec) -> list[torch.Tensor]:
    x, _ = case.data(np.random.default_rng(1))
    by_name = x if isinstance(x, dict) else {spec.inputs[0].name: x}
    return [torch.from_numpy(by_name[item.name]) for item in spec.inputs]


def farthest(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


@torch.no_grad()
def vae() -> Found:
    """The penalty is beta / pixels times the divergence of torch.distributions; in inference the mean is decoded, in
    training mean + deviation * noise."""
    case = SMALL["vae"]
    spec, _, network = network_of(case, ("mean", "log_variance", "sample", "noise", "reconstruction"))
    penalties = activity_penalties(network)
    assert penalties is not None
    x = inputs_of(case, spec)
    penalties.start()
    mean, log_variance, sample, *_ = network(*x)
    normal = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    divergence = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(-1).mean()
    found = {"divergence": abs(float(penalties.total()) - float(divergence) / (7 * 6)), "decodes mean":
             farthest(sample, mean), "divergence is not 0": float(divergence)}
    stochastic = engine.stochastic_nodes(spec)
    network.train().use_tape(stochastic, torch.device("cpu"), torch.float64).copy_(
        torch.from_numpy(engine.keys_of("vae", len(stochastic))))
    mean, log_variance, sample, noise, _ = network(*x)
    found["sample"] = farthest(sample, mean + torch.exp(log_variance / 2) * noise)
    found["noise has variance 1"] = float(noise.var())
    return found


@torch.no_grad()
def padding(name: str, tables: tuple[str, ...]) -> Found:
    """What the rows of padding in these tables hold does not reach the predictions, but for those at padded steps."""
    case = SMALL[name]
    spec, weights, network = network_of(case)
    x = inputs_of(case, spec)
    before = network(*x)
    for table in tables:
        weights[f"{table}/embeddings"] = weights[f"{table}/embeddings"].copy()
        weights[f"{table}/embeddings"][0] += 3.0
    network.set_weights(weights)
    after = network(*x)
    kept = x[-1] != 0 if before.ndim == 3 else torch.ones(len(before), dtype=torch.bool)
    assert all((ids == 0).any() for ids in x)
    return {f"{name} ignores padding": farthest(before[kept], after[kept])}


@torch.no_grad()
def causal(name: str) -> Found:
    """Another last symbol of the target changes the last prediction alone."""
    case = SMALL[name]
    spec, _, network = network_of(case)
    x = inputs_of(case, spec)
    other = [*x[:-1], x[-1].clone()]
    other[-1][:, -1] = other[-1][:, -1] % 3 + 5
    before, after = network(*x), network(*other)
    return {f"{name} sees nothing later": farthest(before[:, :-1], after[:, :-1]),
            f"{name} sees the last": farthest(before[:, -1], after[:, -1])}


@torch.no_grad()
def positions() -> Found:
    case = SMALL["transformer"]
    spec, _, network = network_of(case, ("source_positions",))
    found = network(*inputs_of(case, spec))
    place, rate = np.arange(6)[:, None], 10000.0 ** (-np.arange(0, 8, 2) / 8)
    expected = np.stack([np.sin(place * rate), np.cos(place * rate)], axis=-1).reshape(6, 8)
    return {"positions": farthest(found, torch.from_numpy(expected).expand_as(found))}


def main() -> None:
    torch.set_num_threads(1)
    found = {**vae(), **positions(), **padding("transformer_encoder", ("word_embedding",)),
             **padding("lstm_classifier both ways", ("embedding",)),
             **padding("seq2seq_lstm", ("source_embedding", "target_embedding")),
             **padding("transformer, nothing tied", ("source_embedding", "embedding"))}
    for name in ("transformer", "seq2seq_lstm", "character_language_model", "gpt2"):
        found |= causal(name)
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
