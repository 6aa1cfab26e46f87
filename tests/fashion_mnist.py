"""Sees to it that Fashion-MNIST is at hand before the tests: python -m tests.fashion_mnist.

Where it is not installed and cannot be downloaded, Debian's package of it is fetched (no root needed) and its
files are put where Keras keeps its downloads. Nothing happens on a machine that has it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.data.sources.archive import cache_folder
from harness.data.sources.idx import FASHION_MNIST_SHA256, fashion_mnist_folder
from harness.errors import DataError

PACKAGE = "dataset-fashion-mnist"


def fetch_from_debian(into: Path) -> bool:
    """Downloads and unpacks the package; False where there is no apt or no such package."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        # Package lists are often missing on a fresh machine; updating them takes root and may fail.
        for command in (["apt-get", "download", PACKAGE], ["apt-get", "update"], ["apt-get", "download", PACKAGE]):
            subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300)
            archives = list(Path(folder).glob("*.deb"))
            if archives:
                break
        else:
            return False
        subprocess.run(["dpkg-deb", "-x", str(archives[0]), folder], check=True, timeout=300)
        into.mkdir(parents=True, exist_ok=True)
        found = 0
        for path in Path(folder).rglob("*.gz"):
            if path.name.removesuffix(".gz") in FASHION_MNIST_SHA256:
                shutil.copy(path, into / path.name)
                found += 1
        return found == len(FASHION_MNIST_SHA256)


def main() -> int:
    try:
        print(f"Fashion-MNIST: {fashion_mnist_folder()}")
    except DataError as error:
        if not fetch_from_debian(cache_folder() / "fashion-mnist"):
            print(f"Fashion-MNIST is not at hand, and the tests on real images will fail. {error}", file=sys.stderr)
            return 1
        print(f"Fashion-MNIST: {fashion_mnist_folder()}, from Debian's {PACKAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
