"""Which executor a run takes, as the user says it; checked before anything is read or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from harness.errors import SpecError, did_you_mean

LOCAL, RAY, SLURM = "local", "ray", "slurm"
# Executor -> the package that it needs, which is also the extra that installs it.
PACKAGES = {RAY: ("ray", "ray"), SLURM: ("submitit", "slurm")}
EXECUTORS = (LOCAL, RAY, SLURM)
# What `--executor slurm --address ...` may say: Slurm itself, processes here, this process.
SLURM_ADDRESSES = ("slurm", "local", "debug")


@dataclass(frozen=True)
class Choice:
    """address: of a Ray cluster ("host:port"), or in place of Slurm "local" or "debug". placement: labels that a Ray
    node must have, or parameters of the Slurm job."""

    name: str = LOCAL
    address: str | None = None
    placement: Mapping[str, str] = field(default_factory=dict)


def choice(name: str = LOCAL, address: str | None = None, placement: Sequence[str] | Mapping[str, str] = ()) -> Choice:
    """The choice that these options make. placement: "key=value" each, or a mapping. Raises SpecError."""
    if name not in EXECUTORS:
        raise SpecError(f"there is no executor {name!r}.", where="--executor", hint=did_you_mean(name, EXECUTORS))
    if name == LOCAL and (address is not None or placement):
        raise SpecError("the local executor has no address and no placement: everything runs on this machine.",
                        where="--address" if address is not None else "--placement",
                        hint="Add --executor ray or --executor slurm.")
    if name == SLURM and address is not None and address not in SLURM_ADDRESSES:
        raise SpecError(f"the Slurm executor takes no address {address!r}.", where="--address",
                        hint=f"Leave it out, or say one of {', '.join(SLURM_ADDRESSES)}.")
    package, extra = PACKAGES.get(name, (None, None))
    if package is not None and find_spec(package) is None:
        raise SpecError(f"--executor {name} needs the package {package}, which is not installed.", where="--executor",
                        hint=f"pip install 'harness[{extra}]'")
    return Choice(name, address, dict(placement) if isinstance(placement, Mapping) else _pairs(placement))


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise SpecError(f"expected KEY=VALUE, got {text!r}.", where="--placement",
                            hint="For example --placement accelerator-type=H200, or --placement partition=gpu.")
        found[key.strip()] = value.strip()
    return found
