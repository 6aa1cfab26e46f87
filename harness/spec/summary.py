"""The layer table of a model: name, type, output shape, parameters, FLOPs."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from harness.spec.model import ModelSpec

HEADER = ("layer", "type", "output shape", "parameters", "FLOPs", "fed by")


@dataclass(frozen=True)
class Row:
    """One call of a layer. parameters is 0 for a further call of a shared layer."""

    name: str
    type: str
    output_shape: tuple[int | None, ...]
    parameters: int
    flops: int | None
    inputs: tuple[str, ...]


def rows(model: ModelSpec) -> list[Row]:
    """A row per input and per call, in topological order."""
    table = [Row(item.name, "Input", item.shape, 0, 0, ()) for item in model.inputs]
    counted: set[str] = set()
    for node in model.nodes:
        weights = () if node.layer in counted else model.layer_weights(node.layer)
        counted.add(node.layer)
        table.append(Row(
            node.name, type(model.layers[node.layer]).__name__, model.tensors[node.name],
            sum(weight.size for weight in weights), model.node_flops(node), node.references,
        ))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    shape = "(" + ", ".join("-" if size is None else str(size) for size in row.output_shape) + ")"
    flops = "unknown" if row.flops is None else f"{row.flops:,}"
    return row.name, row.type, shape, f"{row.parameters:,}", flops, ", ".join(row.inputs)


def totals(model: ModelSpec) -> str:
    flops = "unknown" if model.flops is None else f"{model.flops:,}"
    return (f"{model.parameters:,} parameters ({model.trainable_parameters:,} trainable), "
            f"{flops} FLOPs for the forward pass of one example, digest {model.digest[:12]}")


def summary_text(model: ModelSpec) -> str:
    """The table as aligned text."""
    table = [HEADER, *(_cells(row) for row in rows(model))]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEADER))]
    def line(cells: tuple[str, ...]) -> str:
        parts = [cell.rjust(width) if column in (3, 4) else cell.ljust(width)
                 for column, (cell, width) in enumerate(zip(cells, widths, strict=True))]
        return "  ".join(parts).rstrip()
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([f"Model: {model.name}", line(table[0]), rule, *map(line, table[1:]), rule, totals(model)])


def summary_html(model: ModelSpec) -> str:
    """The table as HTML, for notebooks."""
    head = "".join(f"<th>{escape(title)}</th>" for title in HEADER)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row)) + "</tr>"
                   for row in rows(model))
    return f"<table><caption>{escape(model.name)}: {escape(totals(model))}</caption><tr>{head}</tr>{body}</table>"
