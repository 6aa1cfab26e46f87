"""What must hold of arrays before anything is trained on them."""

from __future__ import annotations

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.errors import DataError

_ROWS = 8192  # examples looked at together, so that no mask as large as the data is made


def check_arrays(part: str, arrays: Arrays, text: bool = False) -> None:
    """Raises DataError if a split is empty, is not made of numbers, or has arrays of different lengths.

    text: inputs may be text, which a preparation step or the model's first layer reads.
    """
    named = arrays.named()
    for name, array in named:
        if array.ndim == 0:
            raise DataError(f"{name} is a single number.", where=f"data: {part}", hint="Expected [n, ...].")
    lengths = {name: len(array) for name, array in named}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DataError(
            f"the arrays differ in their number of examples: {listed}.",
            where=f"data: {part}",
            hint="Every input, target and weight needs one row per example.",
        )
    for name, array in named:
        # Targets may be text: harness/data/labels.py turns it into labels.
        if array.dtype.kind not in ("iufbUO" if text else "iufb") and not name.startswith("y/"):
            raise DataError(
                f"{name} holds {array.dtype}, expected numbers.",
                where=f"data: {part}",
                hint="Make ids of text with a step of `prepare`: tokenize, to_ids, text_vectorization, string_lookup."
                if array.dtype.kind in "OU" else "Encode text as whole numbers.",
            )
    if not arrays.x or arrays.examples == 0:
        raise DataError("there are no examples.", where=f"data: {part}", hint="Expected at least one.")


def check_shapes(raw: Raw) -> None:
    """Raises DataError if the splits have other arrays, or examples of another shape, than train."""
    expected = {name: array.shape[1:] for name, array in raw.train.named()}
    for part, arrays in raw.parts().items():
        for name, array in arrays.named():
            if name != "sample_weight" and expected.get(name) != array.shape[1:]:
                raise DataError(
                    f"{name} of {part} has examples of shape {array.shape[1:]}, "
                    f"train has {expected.get(name)}.",
                    where="data",
                    hint="All splits need the same arrays.",
                )


def check_finite(part: str, arrays: Arrays, features: tuple[str, ...] = ()) -> None:
    """Raises DataError for the first NaN or infinity, and says in which example and feature it is."""
    for name, array in arrays.named():
        if array.dtype.kind != "f":
            continue
        for start in range(0, len(array), _ROWS):
            bad = ~np.isfinite(array[start : start + _ROWS])
            if bad.any():
                raise _not_finite(part, name, array, start, bad, features if name == "x/x" else ())


def _not_finite(
    part: str, name: str, array: np.ndarray, start: int, bad: np.ndarray, features: tuple[str, ...]
) -> DataError:
    place = np.argwhere(bad)[0]
    value = array[start + place[0]][tuple(place[1:])]
    if len(features) == array.shape[-1] and len(place) == 2:
        at = f"column {features[place[1]]!r}"
    else:
        at = f"position {tuple(int(index) for index in place[1:])}" if len(place) > 1 else "its value"
    return DataError(
        f"{name} holds {value} (example {start + int(place[0])}, {at}).",
        where=f"data: {part}",
        hint="Clean it first: `prepare: [{clean: {missing: drop}}]`, or mean, median, constant.",
    )


def check_rows(part: str, arrays: Arrays) -> None:
    """Raises DataError if an attention mask leaves nothing of an example: its softmax would have no answer."""
    for name, array in arrays.x.items():
        if name.endswith("attention_mask") and array.ndim == 2 and array.dtype.kind in "iufb":
            empty = np.flatnonzero(~array.astype(bool).any(axis=1))
            if len(empty):
                raise DataError(
                    f"{name} is 0 everywhere in example {int(empty[0])} ({len(empty)} in all): there is only padding.",
                    where=f"data: {part}", hint="Leave the example out, or give it a token.")


def check_weights(part: str, arrays: Arrays) -> None:
    """Raises DataError if a sample weight is negative or the weights are not one number per example."""
    weight = arrays.sample_weight
    if weight is None:
        return
    if weight.ndim != 1 or weight.dtype.kind not in "iufb" or (weight < 0).any():
        raise DataError(
            f"expected one number >= 0 per example, got {weight.dtype} of shape {weight.shape}"
            + (" with negative values." if weight.dtype.kind in "if" and (weight < 0).any() else "."),
            where=f"data: {part}: sample_weight",
            hint="Weights are at least 0.",
        )
