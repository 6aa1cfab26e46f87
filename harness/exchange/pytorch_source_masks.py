"""What is left of a definition in a model without masks: `masks`, an argument that is None there, is folded away."""

from __future__ import annotations

import ast

from harness.exchange.pytorch_source_edits import WIDTH, Replacements, filled, rows


def without_masks(text: str) -> str:
    """With `masks` taken for None wherever it is an argument: its branches go, and then that of forward itself."""
    text = _folded(text)
    changes, tree = Replacements(text), ast.parse(text)
    for function in ast.walk(tree):
        if (isinstance(function, ast.FunctionDef) and function.name == "forward" and _takes_masks(function)
                and not _reads(function, "masks")):
            _drop_argument(function, "masks")
            start = changes.offset(function.lineno, function.col_offset)
            changes.replace_between(start, _signature_end(changes, function), signature(function))
    return changes.applied()


def _signature_end(changes: Replacements, function: ast.FunctionDef) -> int:
    """Behind the colon of a function's head."""
    assert function.returns is not None, f"{function.name} has no return annotation"
    return changes.text.index(":", changes.span(function.returns)[1]) + 1


def signature(function: ast.FunctionDef) -> str:
    """`def name(arguments) -> type:`, on several lines where one is too short for it."""
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    arguments = _arguments(function.args)
    line = f"def {function.name}({', '.join(arguments)}){returns}:"
    indent = " " * function.col_offset
    if len(indent) + len(line) <= WIDTH:
        return line
    body = "\n".join(f"{indent}    {row}" for row in rows(arguments, WIDTH - len(indent) - 4))
    return f"def {function.name}(\n{body}\n{indent}){returns}:"


def _arguments(arguments: ast.arguments) -> list[str]:
    first: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults))
    found = [_argument(*pair) for pair in zip(arguments.args, [*first, *arguments.defaults], strict=True)]
    if arguments.vararg:
        found.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        found.append("*")
    found += [_argument(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return found + ([f"**{ast.unparse(arguments.kwarg)}"] if arguments.kwarg else [])


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    equals = " = " if argument.annotation else "="
    return ast.unparse(argument) + (f"{equals}{ast.unparse(default)}" if default is not None else "")


def _folded(text: str) -> str:
    """Takes out what `masks is None` decides, until there is nothing left to decide."""
    while True:
        changes = Replacements(text)
        for function in ast.walk(ast.parse(text)):
            if isinstance(function, ast.FunctionDef) and _takes_masks(function):
                _fold(function.body, changes)
        folded = changes.applied()
        if folded == text:
            return text
        text = filled(folded)


def _fold(body: list[ast.stmt], changes: Replacements) -> None:
    for statement in body:
        if isinstance(statement, ast.If) and _decides(statement.test, present=True) and not statement.orelse:
            changes.drop_lines(statement)
        elif (isinstance(statement, ast.If) and _decides(statement.test, present=False)
              and isinstance(statement.body[-1], ast.Return)):
            start = changes.offset(statement.lineno, 0)
            first, last = statement.body[0], body[-1]
            text = changes.text[changes.offset(first.lineno, 0):changes.span(statement.body[-1])[1]]
            dedented = "\n".join(line.removeprefix("    ") for line in text.split("\n"))
            changes.replace_between(start, changes.span(last)[1], dedented)
            return
        else:
            for node in ast.walk(statement):
                if isinstance(node, ast.IfExp) and _decides(node.test, present=False):
                    changes.replace(node, changes.source(node.body))
                elif isinstance(node, ast.IfExp) and _decides(node.test, present=True):
                    changes.replace(node, changes.source(node.orelse))


def _decides(test: ast.expr, present: bool) -> bool:
    """Whether a test is `masks is not None` (and more), or `masks is None`."""
    if present and isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return _decides(test.values[0], present)
    operator = ast.IsNot if present else ast.Is
    return (isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "masks"
            and isinstance(test.ops[0], operator))


def _takes_masks(function: ast.FunctionDef) -> bool:
    arguments = function.args
    defaults = [*zip(reversed(arguments.args), reversed(arguments.defaults), strict=False),
                *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return any(argument.arg == "masks" and isinstance(default, ast.Constant) and default.value is None
               for argument, default in defaults)


def _reads(function: ast.FunctionDef, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(function))


def _drop_argument(function: ast.FunctionDef, name: str) -> None:
    arguments = function.args
    for place, argument in enumerate(arguments.kwonlyargs):
        if argument.arg == name:
            del arguments.kwonlyargs[place], arguments.kw_defaults[place]
            return
    place = next(place for place, argument in enumerate(arguments.args) if argument.arg == name)
    del arguments.defaults[place - len(arguments.args)], arguments.args[place]
