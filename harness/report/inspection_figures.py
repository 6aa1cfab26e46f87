"""Confusion matrices as light SVG, and rows of small images as PNG inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

SIDE = 300  # of a matrix, in units of the figure
MARGIN = 90  # left of it, for names
TOP = 24
# Counts stand in the cells up to so many classes, names beside them up to so many.
MOST_COUNTED, MOST_NAMED = 12, 30
LEVELS = 8
STRONGEST = 0.75  # opacity: text over it can still be read
GAP = 2  # pixels between images


def confusion_svg(matrices: Mapping[str, np.ndarray], names: Sequence[str]) -> str:
    """One panel for each matrix [classes, classes] of counts, rows by label; shaded by the share of the row."""
    size = len(names)
    width, height = len(matrices) * (SIDE + MARGIN), SIDE + 2 * TOP + (20 if size <= MOST_NAMED else 0)
    panels = [_panel(title, np.asarray(matrix), names, MARGIN + place * (SIDE + MARGIN))
              for place, (title, matrix) in enumerate(matrices.items())]
    return (f'<svg viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="10" fill="currentColor">'
            f'{"".join(panels)}</svg>')


def _panel(title: str, matrix: np.ndarray, names: Sequence[str], left: int) -> str:
    size = len(names)
    cell = SIDE / size
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    levels = np.ceil(shares * LEVELS).astype(int)
    parts = [f'<text x="0" y="-8" font-size="12">{escape(title)}</text>',
             f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="currentColor" stroke-opacity=".4"/>']
    for level in range(1, LEVELS + 1):
        cells = "".join(f"M{column} {row}h1v1h-1z" for row, column in np.argwhere(levels == level))
        if cells:
            parts.append(f'<path transform="scale({cell:.4g})" fill="var(--accent)" '
                         f'fill-opacity="{STRONGEST * level / LEVELS:.2g}" d="{cells}"/>')
    if size <= MOST_COUNTED:
        parts += [f'<text x="{(column + 0.5) * cell:.1f}" y="{(row + 0.5) * cell + 3:.1f}" text-anchor="middle">'
                  f"{int(matrix[row, column])}</text>" for row, column in np.argwhere(matrix > 0)]
    if size <= MOST_NAMED:
        for place, name in enumerate(names):
            middle, text = (place + 0.5) * cell, escape(_short(name))
            parts.append(f'<text x="-4" y="{middle + 3:.1f}" text-anchor="end">{text}</text>')
            parts.append(f'<text transform="translate({middle + 3:.1f} {SIDE + 4}) rotate(90)">'
                         f"{escape(_short(name, 6))}</text>")
    return f'<g transform="translate({left} {TOP})">{"".join(parts)}</g>'


def _short(name: str, most: int = 14) -> str:
    return name if len(name) <= most else name[:most - 1] + "\u2026"


def strip(images: np.ndarray, factor: int = 1) -> str:
    """uint8 [images, height, width, channels] side by side, as the address of a PNG inside the page. factor: what the
    values are multiplied by."""
    from PIL import Image

    count, height, _, channels = images.shape
    gap = np.zeros((count, height, GAP, channels), np.uint8)
    spread = images.clip(0, 255 // factor) * np.uint8(factor)
    pixels = np.concatenate(list(np.concatenate([spread, gap], axis=2)), axis=1)[:, :-GAP]
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
