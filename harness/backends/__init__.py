"""The backend table: name -> module. A module is imported when its backend is first used."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from harness.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from harness.backends.contract import Backend

BACKENDS = {"tensorflow": "harness.backends.tensorflow", "pytorch": "harness.backends.pytorch"}
PACKAGES = {"tensorflow": "tensorflow", "pytorch": "torch"}


def load_backend(name: str) -> Backend:
    """The backend of that name. Raises SpecError if there is none, or if its framework is not installed."""
    if name not in BACKENDS:
        raise SpecError(f"unknown backend {name!r}.", hint=did_you_mean(name, BACKENDS))
    if not installed(name):
        raise SpecError(f"the backend {name!r} needs the package {PACKAGES[name]!r}, which is not installed.",
                        hint=f"pip install {PACKAGES[name]}")
    backend: Backend = importlib.import_module(BACKENDS[name]).BACKEND
    return backend


def installed(name: str) -> bool:
    """True if the framework can be imported (it is not imported to find out)."""
    return importlib.util.find_spec(PACKAGES[name]) is not None
