"""What `benchmarks.loop` found, as data and as Markdown: one JSON file for each workload, one table of all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, OWN
from benchmarks.ratios import Ratio, ratio
from benchmarks.side_by_side import Entry
from benchmarks.workloads import WORKLOADS

# other / harness: what is aimed at. By letter, and for a workload's network where it is more.
GOALS = {"a": 0.99, "b": 1.0, "c": 1.0, "d": 1.0, "e": 1.0, "f": 1.0}
MLP_GOALS = {"b": 15.0, "d": 2.5}
READ = ("Above 1 the harness is faster: time of the other / time of the harness's loop in the same framework, the "
        "geometric mean over the rounds with its 95% bootstrap interval. How to read it: docs/benchmarks.md.")
HEADER = ("workload", "contender", "what runs", "examples per CPU second", "CPU time / harness [95%]",
          "wall time / harness [95%]", "goal", "loss, first to last")


def goal_of(workload: str, name: str) -> float | None:
    """The least ratio that is aimed at, None for the harness itself."""
    letter = CONTENDERS[name].letter
    if WORKLOADS[workload].network == "mlp" and letter in MLP_GOALS:
        return MLP_GOALS[letter]
    return GOALS.get(letter)


def judged(found: Ratio, goal: float) -> str:
    """Whether the goal is met, and whether the interval says so."""
    if found.value < goal:
        return f"missed by {1 - found.value / goal:.1%} (>= {goal:g})"
    sure = found.low is not None and found.low >= goal
    return f"met (>= {goal:g})" if sure else f"met, but the interval is not beyond it (>= {goal:g})"


def result_of(workload: str, entries: list[Entry], about: dict[str, Any]) -> dict[str, Any]:
    """Plain data: the entries with their raw times, and every ratio to the harness's loop in the same framework."""
    own = {entry.name: entry for entry in entries if entry.label in OWN.values() and entry.status == "measured"}
    items = []
    for entry in entries:
        item = entry.to_data()
        base = own.get(OWN[CONTENDERS[entry.name].framework])
        if entry.status == "measured" and base is not None and entry is not base:
            cpu, wall = ratio(entry.times.cpu, base.times.cpu), ratio(entry.times.wall, base.times.wall)
            goal = goal_of(workload, entry.name)
            item |= {"cpu_ratio": cpu.to_data(), "wall_ratio": wall.to_data(), "goal": goal,
                     "goal_in_words": None if goal is None else judged(cpu, goal)}
        items.append(item)
    return {"workload": workload, "title": WORKLOADS[workload].title, "batch": WORKLOADS[workload].batch,
            "steps_of_an_epoch": WORKLOADS[workload].steps, **about, "contenders": items}


def rows_of(result: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for item in result["contenders"]:
        rows.append((result["workload"], _title(item), *_cells(item)))
    return rows


def _title(item: dict[str, Any]) -> str:
    contender = CONTENDERS[item["name"]]
    letter = f"({contender.letter}) " if contender.letter else ""
    second = ", auto" if item["label"].endswith(", auto") else ""
    return f"{contender.framework}: {letter}{contender.title}{second}"


def _cells(item: dict[str, Any]) -> tuple[str, ...]:
    program = item.get("program", "")
    if item["status"] != "measured":
        return program, "", "", "", "", f"{item['status']}: {item['reason']}" \
            if item["status"] == "failed" else item["reason"]
    times = sorted(item["cpu_seconds_per_example"])
    rate = f"{1 / times[len(times) // 2]:,.0f}"
    ratios = tuple(str(Ratio(**item[name])) if name in item else "1" for name in ("cpu_ratio", "wall_ratio"))
    losses = f"{item['check']['first_loss']:.3g} to {item['check']['last_loss']:.3g}"
    return program, rate, *ratios, item.get("goal_in_words") or "", losses


def in_words(result: dict[str, Any]) -> str:
    """For the terminal: the ratios of one workload, as the README shows them."""
    lines = [f"{result['title']}: {result['rounds']} rounds, one thread"]
    for item in result["contenders"]:
        own = OWN[CONTENDERS[item["name"]].framework]
        if "cpu_ratio" in item:
            cpu, wall = Ratio(**item["cpu_ratio"]), Ratio(**item["wall_ratio"])
            goal = f"  {item['goal_in_words']}" if item["goal_in_words"] else ""
            lines.append(f"  {item['label']:24} / {own:18}  CPU {cpu!s:22} wall {wall!s:22}{goal}")
        elif item["status"] != "measured":
            lines.append(f"  {item['label']:24} {item['status']}: {item['reason']}"
                         if item["status"] == "failed" else f"  {item['label']:24} {item['reason']}")
    return "\n".join(lines)


def write(result: dict[str, Any], folder: Path) -> None:
    """<folder>/<workload>.json, and <folder>/loops.md of all that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result['workload']}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (folder / "loops.md").write_text(markdown(read(folder)), encoding="utf-8")


def read(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder, in the order of the workloads."""
    paths = [folder / f"{name}.json" for name in WORKLOADS]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def markdown(results: list[dict[str, Any]]) -> str:
    lines = ["# The harness's loop against others", ""]
    for result in results:
        machine = result["machine"]
        lines.append(
            f"- `{result['workload']}` ({result['title']}): {result['command']}; {result['rounds']} rounds of at least "
            f"{result['window_seconds']:g} s each, one thread on core {result['core']} of {machine['cpu']}, "
            f"load {result['load'][0]:.1f} before and {result['load'][1]:.1f} after; {result['started_at']}")
    lines += ["", READ, "", f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER)]
    lines += [f"| {' | '.join(row)} |" for result in results for row in rows_of(result)]
    versions = {name: version for result in results for name, version in result["versions"].items()}
    lines += ["", "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".", ""]
    return "\n".join(lines)
