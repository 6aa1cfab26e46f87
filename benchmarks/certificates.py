"""What a certificate costs, and how near to its limits it comes: the library's models and the quickstart's.

    python benchmarks/certificates.py library [-o reports/certificates]
    python benchmarks/certificates.py quickstart

library: one certificate each of mlp, cnn, resnet, lstm, gru and transformer on digits or generated examples, float32 as
the timed precision; a table in Markdown, and every certificate as JSON. quickstart: the wall time of certifying the
three models of experiments/quickstart.yaml, starting the frameworks included, as `harness run` does it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import harness
from harness.certify.certificate import Certificate
from harness.runner.certify import both_workers, certify

LIBRARY = {
    "mlp": {}, "mlp with dropout and batch norm": {"dropout": 0.3, "batch_normalization": True}, "cnn": {},
    "resnet": {"depth": 8, "filters": 8}, "lstm_classifier": {}, "gru_classifier": {},
    "transformer_encoder": {"depth": 2},
}
HEADER = ("model", "label", "R1 largest", "R2 largest", "R3 D(50) / limit", "float32 D(50)", "largest control",
          "limit", "T*", "seconds", "training steps")


def library(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    with both_workers() as workers:
        for title, parameters in LIBRARY.items():
            name = title.split()[0]
            model = harness.load_model(name, **_fitting(name), **parameters)
            found = certify(model, workers=workers)
            rows.append(_row(title, found))
            print(" | ".join(rows[-1]), flush=True)
            (out / f"{title.replace(' ', '_')}.json").write_text(json.dumps(found.to_data(), indent=1) + "\n")
    lines = ["# Certificates of the library", "",
             "`python benchmarks/certificates.py library`; 50 steps, float32 as the timed precision, a CPU.", "",
             f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER), *(f"| {' | '.join(row)} |" for row in rows)]
    (out / "library.md").write_text("\n".join(lines) + "\n")


def _fitting(name: str) -> dict[str, object]:
    """The shape of digits where the model takes images."""
    return {"input_shape": (8, 8)} if name == "mlp" else {"input_shape": (8, 8, 1)} if name in ("cnn", "resnet") else {}


def _row(title: str, found: Certificate) -> list[str]:
    rungs = {rung.name: rung for rung in found.phases[0].rungs}
    curves = {curve.dtype: curve for curve in reversed(found.phases[0].curves) if curve.quantity == "weights"
              and curve.program.startswith("lock-step")}
    exact, timed = curves["float64"], curves["float32"]
    controls = max(values[-1] for values in timed.controls.values())
    largest = [max(rungs[name].details["largest by kind"].values()) for name in ("R1", "R2")]
    return [title, found.label, *(f"{value:.1e}" for value in largest), f"{exact.between[-1] / exact.limit[-1]:.1e}",
            f"{timed.between[-1]:.1e}", f"{controls:.1e}", f"{timed.limit[-1]:.1e}",
            "beyond 50" if timed.horizon is None else str(timed.horizon), f"{found.cost['seconds']:.0f}",
            f"{found.cost['steps_worth']:.0f}"]


def quickstart() -> None:
    from harness.runner.certificates import Due, real_certifier
    from harness.runner.check import check
    from harness.spec.experiment import read_experiment

    cells = check(read_experiment(Path("experiments/quickstart.yaml")))
    first = {cell.model.digest: cell for cell in reversed(cells)}
    began = time.monotonic()
    with real_certifier() as certifier:
        for cell in first.values():
            found = certifier(cell, lambda event: None)
            print(f"{Due('', cell, 1).title}: {found.sentence}, {found.cost['seconds']:.1f} s", flush=True)
    print(f"{len(first)} models: {time.monotonic() - began:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("library", "quickstart"))
    parser.add_argument("-o", "--out", type=Path, default=Path("reports/certificates"))
    arguments = parser.parse_args()
    library(arguments.out) if arguments.what == "library" else quickstart()


if __name__ == "__main__":
    main()
