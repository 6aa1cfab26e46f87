"""Changes to the text of one definition (a class, a function, a table), its comments and line breaks kept.

Every function takes and returns the text of a definition that stands at the margin.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Container, Iterable, Mapping

WIDTH = 120
MARKS = re.compile(r"[ \t]*# (type: ignore(\[[\w, -]*\])?|noqa(: ?[\w, ]+)?|mypy:)[^\n]*")
# Class attributes and statements about the weights' way to Keras, which an exported file does not go.
WEIGHT_MAPS = "keras_weights"


class Replacements:
    """Pieces of a text to be replaced, by the places of syntax nodes."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))
        self.text = text
        self._pieces: list[tuple[int, int, str]] = []

    def offset(self, line: int, column: int) -> int:
        """Of a place as `ast` gives it: lines from 1, columns in UTF-8 bytes."""
        return self._starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def replace(self, node: ast.AST, text: str) -> None:
        start, end = self.span(node)
        self._pieces.append((start, end, text))

    def replace_between(self, start: int, end: int, text: str) -> None:
        self._pieces.append((start, end, text))

    def span(self, node: ast.AST) -> tuple[int, int]:
        found: ast.expr = node  # type: ignore[assignment]
        assert found.end_lineno is not None
        assert found.end_col_offset is not None
        return self.offset(found.lineno, found.col_offset), self.offset(found.end_lineno, found.end_col_offset)

    def source(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def drop_lines(self, node: ast.stmt) -> None:
        """Takes a statement out, with its decorators and with the comment lines directly above it."""
        first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", ()))])
        while first > 1 and self.lines[first - 2].lstrip().startswith("#"):
            first -= 1
        assert node.end_lineno is not None
        self._pieces.append((self._starts[first - 1], self._starts[node.end_lineno], ""))

    def applied(self) -> str:
        """The text with all replacements; of two that overlap, the outer one counts."""
        result, last = [], 0
        for start, end, text in sorted(self._pieces, key=lambda piece: (piece[0], -piece[1])):
            if start < last:
                continue
            result += [self.text[last:start], text]
            last = end
        return "".join((*result, self.text[last:]))


def without_marks(text: str) -> str:
    """Without the remarks to linters and type checkers."""
    return MARKS.sub("", text)


def without_weight_maps(text: str) -> str:
    """Without what is written into `keras_weights`."""
    changes = Replacements(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and any(map(_is_weight_map, targets_of(node))):
            changes.drop_lines(node)
    return filled(changes.applied())


def targets_of(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    """What a statement assigns to."""
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _is_weight_map(target: ast.expr) -> bool:
    while isinstance(target, ast.Subscript):
        target = target.value
    name = target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
    return name == WEIGHT_MAPS


def renamed(text: str, names: Mapping[str, str]) -> str:
    """With other names for global ones; attributes and arguments of the same name stay."""
    if not any(old != new for old, new in names.items()):
        return text
    changes, tree = Replacements(text), ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and names.get(node.id, node.id) != node.id:
            changes.replace(node, names[node.id])
    top = tree.body[0]
    if isinstance(top, (ast.ClassDef, ast.FunctionDef)) and names.get(top.name, top.name) != top.name:
        word = "class" if isinstance(top, ast.ClassDef) else "def"
        start = changes.offset(top.lineno, top.col_offset) + len(word) + 1
        changes.replace_between(start, start + len(top.name), names[top.name])
    return changes.applied()


def with_members(text: str, is_kept: Callable[[str], bool]) -> str:
    """A class with those methods and class attributes only whose name passes; annotations of attributes stay, and
    so do the attributes of a decorated class, which are its constructor's arguments (a dataclass)."""
    (cls,) = ast.parse(text).body
    assert isinstance(cls, ast.ClassDef)
    changes = Replacements(text)
    for node in cls.body:
        assigned = None if cls.decorator_list else _assigned(node)
        name = node.name if isinstance(node, ast.FunctionDef) else assigned
        if name is not None and not is_kept(name):
            changes.drop_lines(node)
    return filled(changes.applied())


def _assigned(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
        return node.target.id
    return None


def with_entries(text: str, is_kept: Container[str]) -> str:
    """A table (an assigned dict literal with texts as keys) with some of its entries."""
    (statement,) = ast.parse(text).body
    table = table_of(statement)
    assert table is not None
    changes = Replacements(text)
    end = changes.offset(table.lineno, table.col_offset) + 1
    for key, value in zip(table.keys, table.values, strict=True):
        assert isinstance(key, ast.Constant)
        start, (_, end_of_value) = end, changes.span(value)
        comma = re.match(r"\s*,?([ \t]*#[^\n]*)?", changes.text[end_of_value:])
        end = end_of_value + (comma.end() if comma else 0)
        if key.value not in is_kept:
            changes.replace_between(start, end, "")
    return changes.applied()


def table_of(statement: ast.stmt) -> ast.Dict | None:
    """The dict of a statement that assigns one with constant texts as keys."""
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    if isinstance(value, ast.Dict) and value.keys and all(
            isinstance(key, ast.Constant) and isinstance(key.value, str) for key in value.keys):
        return value
    return None


def without_lookups(text: str, tables: Container[str]) -> str:
    """A function without the branches (`if` without `else`) that look something up in one of these tables."""
    changes = Replacements(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.If) and not node.orelse and any(
                isinstance(part, ast.Name) and part.id in tables for part in ast.walk(node)):
            changes.drop_lines(node)
    return filled(changes.applied())


def rows(arguments: Iterable[str], width: int) -> list[str]:
    """Arguments in lines that end in commas; one that is too long for a line is broken at its own commas."""
    found: list[str] = []
    for argument in arguments:
        text = f"{argument},"
        if found and len(found[-1]) + 1 + len(text) <= width:
            found[-1] += f" {text}"
        elif len(text) <= width:
            found.append(text)
        else:
            found += textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return found


def filled(text: str) -> str:
    """With `pass` in blocks that have become empty, and no line of blanks too many."""
    text = re.sub(r"\n[ \t]*\n(?:[ \t]*\n)+", "\n\n", text).rstrip() + "\n"
    for _ in range(100):
        try:
            ast.parse(text)
        except IndentationError as error:
            # "expected an indented block after 'if' statement on line 3", which may end some lines further down.
            found = re.search(r"on line (\d+)$", error.msg)
            if found is None:
                raise
            lines = text.split("\n")
            first = int(found.group(1)) - 1
            last = next(place for place in range(first, len(lines)) if lines[place].rstrip().endswith(":"))
            indent = len(lines[first]) - len(lines[first].lstrip()) + 4
            lines.insert(last + 1, " " * indent + "pass")
            text = "\n".join(lines)
        else:
            return text
    raise AssertionError(f"not Python any more:\n{text}")


def names_read(text: str) -> set[str]:
    """The names that a definition takes from outside itself, those in annotations too."""
    found: set[str] = set()
    for statement in ast.parse(text).body:
        found |= _outer_names(statement)
    return found


def _outer_names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ClassDef):
        parts: Iterable[ast.AST] = (*node.decorator_list, *node.bases, *node.keywords, *node.body)
        return set().union(*map(_outer_names, parts))
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    if isinstance(node, ast.FunctionDef):
        bound = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
        bound |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        annotations = [part.annotation for part in ast.walk(node) if isinstance(part, (ast.arg, ast.AnnAssign))]
        outside = {part.id for annotation in (*annotations, node.returns) if annotation is not None
                   for part in ast.walk(annotation) if isinstance(part, ast.Name)}
        return (names - bound) | outside
    return names


def attributes_read(text: str) -> tuple[set[str], set[str]]:
    """The names of the attributes that occur: (those of self and of super(), those of anything else)."""
    own: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            (own if isinstance(owner, ast.Name) and owner.id in ("self", "super") else others).add(node.attr)
    return own, others


def texts_in(text: str) -> set[str]:
    """All constant texts, docstrings among them."""
    return {node.value for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)}
