"""What each output learns and is measured by: one loss or metric list for all, or one per output.

Losses: one; a list in the outputs' order; or {output name: loss}. Metrics: one list, or one per output likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from harness.errors import SpecError, did_you_mean
from harness.spec.losses import LOSSES, Loss
from harness.spec.metrics import Metric, parse_metric

LossSpec = Loss | tuple[Loss | None, ...] | dict[str, Loss]
MetricList = tuple[Metric, ...]
MetricSpec = MetricList | tuple[MetricList, ...] | dict[str, MetricList]
LossWeights = float | tuple[float, ...] | dict[str, float]


def parse_loss(value: Any) -> Any:
    """One loss; or one per output, as a list in the outputs' order or {output name: loss}."""
    if isinstance(value, (list, tuple)):
        return tuple(None if item is None else LOSSES.parse(item) for item in value)
    if isinstance(value, Mapping) and "class_name" not in value and not _is_call(value):
        return {str(output): LOSSES.parse(item) for output, item in value.items()}
    return LOSSES.parse(value)


def _is_call(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping reads {Name: {arguments}} and not {output name: loss}."""
    if len(value) != 1:
        return False
    (arguments,) = value.values()
    if not isinstance(arguments, Mapping):
        return arguments is None
    # {output: {"Huber": {...}}} has a loss's name inside, {"Huber": {...}} has its arguments.
    return "class_name" not in arguments and not any(LOSSES.knows(name) for name in arguments)


def parse_metrics(value: Any) -> Any:
    """One list for the only output; one per output as a list of lists or {output name: metrics}."""
    if value is None:
        return ()
    if isinstance(value, Mapping) and "class_name" not in value and not _is_metric_call(value):
        return {str(output): _metric_list(item) for output, item in value.items()}
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(item, (list, tuple)) for item in items):
        return tuple(_metric_list(item) for item in items)
    return _metric_list(items)


def _is_metric_call(value: Mapping[Any, Any]) -> bool:
    return len(value) == 1 and all(isinstance(arguments, Mapping) for arguments in value.values())


def _metric_list(value: Any) -> MetricList:
    items = list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return tuple(parse_metric(item) for item in items)


LossArgument = Annotated[LossSpec, BeforeValidator(parse_loss)]
MetricsArgument = Annotated[MetricSpec, BeforeValidator(parse_metrics)]


def losses_by_output(loss: LossSpec, outputs: Sequence[str]) -> dict[str, Loss]:
    """{output name: its loss}; one loss stands for every output, as in Keras. Outputs without one are absent."""
    if isinstance(loss, Loss):
        return dict.fromkeys(outputs, loss)
    given = _by_output("loss", loss, outputs)
    return {output: item for output, item in given.items() if item is not None}


def loss_weights_by_output(weights: LossWeights | None, outputs: Sequence[str]) -> dict[str, float]:
    """{output name: the factor of its loss}; 1 where none is given."""
    if weights is None or isinstance(weights, float):
        return dict.fromkeys(outputs, 1.0 if weights is None else weights)
    given = _by_output("loss_weights", weights, outputs)
    return {output: float(given.get(output, 1.0)) for output in outputs}


def metrics_by_output(
    metrics: MetricSpec, outputs: Sequence[str], argument: str = "metrics"
) -> dict[str, MetricList]:
    """{output name: its metrics}; a flat list belongs to the only output, or has one metric per output. argument:
    what they are called where something is wrong with them."""
    if not metrics:
        return dict.fromkeys(outputs, ())
    if len(outputs) == 1 and not isinstance(metrics, dict) and isinstance(metrics[0], Metric):
        return {outputs[0]: _metric_list(metrics)}
    given = _by_output(argument, metrics, outputs)
    return {output: _metric_list(given.get(output)) for output in outputs}


def _by_output(what: str, given: Any, outputs: Sequence[str]) -> dict[str, Any]:
    if isinstance(given, Mapping):
        for output in given:
            if output not in outputs:
                raise SpecError(
                    f"{what}: the model has no output {output!r}.", hint=did_you_mean(output, outputs)
                )
        return dict(given)
    if len(given) != len(outputs):
        raise SpecError(
            f"{what}: the model has {len(outputs)} outputs ({', '.join(outputs)}), got {len(given)}.",
            hint=f"Write {{output name: {what}}}.",
        )
    return dict(zip(outputs, given, strict=True))
