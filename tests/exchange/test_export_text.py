"""The pieces of text that an exported file is made of. No framework."""

from __future__ import annotations

import math
import textwrap

import pytest

from harness.exchange import pytorch_source_edits as edits
from harness.exchange.pytorch_source_masks import without_masks
from harness.exchange.pytorch_source_text import call, class_name, identifier, literal


@pytest.mark.parametrize("value", [
    None, True, -3, 1e-07, 0.1, "text", 'with "quotes"', "it's", "back\\slash", "ä\n", (1,), (1, 2), [1, [2.5, None]],
    (), {"a": (1,)}, slice(None, 3, 2), Ellipsis, math.inf, -math.inf, tuple(map(float, range(50))),
    tuple(range(3, 40)), (0.5,) * 20, [1] * 9, tuple(map(float, range(2, 30))), (1.5, 2.5) * 9,
])
def test_literals_read_back(value):
    assert eval(literal(value)) == value
    assert len(literal(value)) < 100


def test_a_literal_that_is_no_number():
    assert math.isnan(eval(literal(math.nan)))


def test_other_values_have_no_literal():
    with pytest.raises(TypeError, match="object"):
        literal((1, object()))


def test_long_calls_are_broken_at_commas():
    text = call("self.layer = Layer", [f"argument_{number}=({number}, {number})" for number in range(12)])
    lines = text.split("\n")
    assert len(lines) > 2
    assert max(map(len, lines)) <= edits.WIDTH
    assert all(line.endswith("),") for line in lines[1:-1])
    assert lines[-1] == "        )"


def test_names():
    assert [identifier(name, ()) for name in ("block 1/conv.2", "2d", "class", "", "__private")] == [
        "block_1_conv_2", "layer_2d", "class_", "layer_", "_private"]
    assert identifier("x", {"x", "x_"}) == "x__"
    assert [class_name(name, {"Dense"}) for name in ("resnet_20", "dense", "my-net", "3d", "")] == [
        "Resnet20", "DenseModel", "MyNet", "Model3d", "Model"]


MASKED = textwrap.dedent('''\
    class Layer(nn.Module):
        """Text."""

        def forward(
            self, x: torch.Tensor, *, masks: Masks | None = None, scale: float = 1.0
        ) -> torch.Tensor:
            # A remark that stays.
            mask = None if masks is None else masks[0]
            if masks is not None and self.training:
                x = self.masked(x, masks)
            if masks is None:
                y = x * scale  # with a remark
                return y
            total = x.sum()
            return total / 2

        def other(self, masks: Masks) -> Masks:
            return masks
    ''')


def test_masks_are_folded_away():
    assert without_masks(MASKED) == textwrap.dedent('''\
        class Layer(nn.Module):
            """Text."""

            def forward(self, x: torch.Tensor, *, scale: float = 1.0) -> torch.Tensor:
                # A remark that stays.
                mask = None
                y = x * scale  # with a remark
                return y

            def other(self, masks: Masks) -> Masks:
                return masks
        ''')


CLASS = textwrap.dedent('''\
    class Layer(nn.Linear):
        """Text."""

        keras_weights = {"kernel": permuted("weight", 1, 0)}
        factor = 2

        def __init__(self, units: int) -> None:
            super().__init__(units, units)
            # Remarks about what goes, go.
            self.keras_weights["bias"] = same("bias")
            if units > 3:
                self.keras_weights = {}

        def used(self, x: torch.Tensor) -> Shape:  # type: ignore[override]
            return helper(x, self.factor)

        def unused(self) -> None:
            pass
    ''')


def test_members_that_nothing_needs():
    text = edits.without_weight_maps(edits.without_marks(CLASS))
    kept = edits.with_members(text, lambda name: name in ("__init__", "used"))
    assert kept == textwrap.dedent('''\
        class Layer(nn.Linear):
            """Text."""

            def __init__(self, units: int) -> None:
                super().__init__(units, units)
                if units > 3:
                    pass

            def used(self, x: torch.Tensor) -> Shape:
                return helper(x, self.factor)
        ''')
    assert edits.names_read(kept) >= {"nn", "helper", "torch", "Shape"}
    assert "x" not in edits.names_read(kept)
    assert edits.attributes_read(kept) == ({"__init__", "factor"}, {"Linear", "Tensor"})


def test_entries_of_a_table():
    table = 'TABLE: dict[str, int] = {\n    "a": 1,\n    # About b.\n    "b": f(2),\n    "c": 3,  # last\n}\n'
    assert edits.with_entries(table, {"b"}) == 'TABLE: dict[str, int] = {\n    # About b.\n    "b": f(2),\n}\n'


def test_other_names_for_what_clashes():
    text = "def make(layer: Layer) -> Layer:\n    return Layer(layer.Layer)\n"
    assert edits.renamed(text, {"Layer": "Layer2", "make": "make"}) == (
        "def make(layer: Layer2) -> Layer2:\n    return Layer2(layer.Layer)\n")
