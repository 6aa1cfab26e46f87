"""The program `harness`: the table of verbs, and what becomes of every error.

Exit codes: 0 ok, 1 the asked condition failed, 2 interrupted, 3 internal error, 4 usage or spec error,
5 nothing matched, 6 not enough evidence, 7 the trainings differ.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from harness.cli import (
    adapters,
    bundle,
    certify,
    checking,
    compare,
    environment,
    explain,
    exporting,
    generating,
    importing,
    models,
    planning,
    results,
    running,
    starting,
    status,
    tidying,
    twin,
)
from harness.cli.exits import INTERNAL, INTERRUPTED, OK, USAGE, CommandError
from harness.cli.output import print_error
from harness.errors import HarnessError

app = typer.Typer(
    name="harness",
    help="One model spec, trained identically in TensorFlow/Keras and PyTorch, and compared.",
    epilog="Exit codes: 0 ok, 1 the asked condition failed, 2 interrupted, 3 internal error, 4 usage or spec "
    "error, 5 nothing matched, 6 not enough evidence, 7 the trainings differ.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("init")(starting.init)
app.command("show")(models.show)
app.command("check")(checking.check)
app.command("plan")(planning.plan)
app.command("import")(importing.import_model)
app.command("export")(exporting.export)
app.command("merge-lora")(adapters.merge_lora)
app.command("generate")(generating.generate)
app.command("twin")(twin.twin)
app.command("certify")(certify.certify)
app.command("explain")(explain.explain)
app.command("run")(running.run)
app.command("report")(results.report)
app.command("bundle")(bundle.bundle)
app.command("which")(results.which)
app.command("compare")(compare.compare)
app.command("pairs")(adapters.pairs)
app.command("ls")(status.ls)
app.command("status")(status.status)
app.command("rm")(tidying.rm)
app.command("gc")(tidying.gc)
app.command("merge")(tidying.merge)
app.command("doctor")(environment.doctor)
app.command("schema")(checking.schema)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        from harness import __version__

        print(f"harness {__version__}")
        raise typer.Exit(OK)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code. arguments: without the program's name."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    as_json = "--json" in given
    # A command makes many long-lived objects while it imports; looking for garbage among them is lost time.
    gc.set_threshold(100_000, 20, 20)
    # Looking for plugins of pydantic costs as much as reading a spec, and none may change how one is read.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code = app(args=given, prog_name="harness", standalone_mode=False)
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        return int(code or OK)
    except CommandError as error:
        print_error(str(error), None, error.kind, as_json)
        return error.exit_code
    except HarnessError as error:
        print_error(str(error), None, type(error).__name__, as_json, error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted.", None, "interrupted", as_json)
        return INTERRUPTED
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        print_error(f"{error.filename}: {(error.strerror or str(error)).lower()}.", None, "file", as_json)
        return USAGE
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of typer's, whose class has no public name
            return _usage(error, as_json)
        if os.environ.get("HARNESS_DEBUG") == "1":
            raise
        print_error(_saved(error), None, "internal", as_json)
        return INTERNAL
    finally:
        gc.freeze()  # nor is it worth looking when the interpreter shuts down


def _usage(error: Any, as_json: bool) -> int:
    command = error.ctx.command_path if getattr(error, "ctx", None) else "harness"
    print_error(f"{command}: {error.format_message()}", f"Try '{command} --help'.", "usage", as_json)
    return USAGE


def _saved(error: Exception) -> str:
    """One line about an internal error; the traceback goes into a file."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="harness-error-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    line = " ".join(str(error).split())
    line = line if len(line) <= 200 else line[:197] + "..."
    return f"internal error: {type(error).__name__}: {line} The traceback is in {file.name}."


if __name__ == "__main__":
    sys.exit(main())
