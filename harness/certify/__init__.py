"""The room of the certificate, and the function of that name.

    certificate = harness.certify("cnn", recipe={"optimizer": "adam"}, data="digits")
    print(certificate.sentence)

`harness.certify` is this package whoever imported what before, so the package itself can be called: the call goes to
`harness.runner.certify.certify`, whose docstring states the arguments (docs/decisions/0008).
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.certify.certificate import Certificate


class CallableRoom(types.ModuleType):
    """A package that can be called."""

    def __call__(self, *arguments: Any, **options: Any) -> Certificate:
        """Certifies; see `harness.runner.certify.certify`, which is loaded at the first call."""
        # By name: this room is below runner, and knows nothing of it until someone calls.
        found: Certificate = importlib.import_module("harness.runner.certify").certify(*arguments, **options)
        return found


sys.modules[__name__].__class__ = CallableRoom
