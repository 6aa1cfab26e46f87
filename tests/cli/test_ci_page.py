"""The workflow in docs/ci.md says only what the command line takes."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import typer
import yaml

from harness.analysis.regression_gates import WORDS, parse_condition
from harness.cli.main import app

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")
VERBS = typer.main.get_command(app).commands


def test_the_workflow_is_yaml_and_its_commands_are_ours():
    block, = re.findall(r"```yaml\n(.*?)\n```\n", PAGE, re.DOTALL)
    job = yaml.safe_load(block)["jobs"]["compare"]
    lines = [line.strip() for step in job["steps"] for line in step.get("run", "").splitlines() if "/harness " in line]
    assert [line.split()[1] for line in lines] == ["run", "run", "compare"]
    for line in lines:
        _, verb, *rest = shlex.split(line.partition("|")[0])
        known = {option for parameter in VERBS[verb].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known
        for option, word in itertools.pairwise(rest):
            if option == "--fail-on":
                parse_condition(word)


def test_every_condition_is_told_and_every_one_told_is_read():
    rows = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert tuple(row for row in rows if not row.startswith("--")) == WORDS
    for text in re.findall(r"`(\w+[<>][-\d.]+)`", PAGE):
        parse_condition(text)
