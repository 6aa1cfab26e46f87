"""Where pretrained tensors come from: a local folder, a .safetensors file, a package's folder, a hub's name.

Only safetensors are read: a pickle (pytorch_model.bin, .pt) runs code when it is opened, and is refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from harness.errors import SpecError, did_you_mean

PREFIX = "hf:"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
LARGEST_CONFIG = 64 * 2**20
# What a model's repository is read for: nothing that runs code.
WANTED = ["*.safetensors", INDEX, "config.json", "tokenizer.json", "tokenizer_config.json"]
HUB_NAME = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")
SAFE_WAY = ("Where you trust the file, load it there with its own library and save it as safetensors: "
            "model.save_pretrained(folder).")


def locate(source: str, base: Path | None = None) -> Path:
    """The folder, or the .safetensors file, behind "hf:<local folder, file, package:NAME/folder or hub name>".

    base: where relative paths start, before the current folder. Raises SpecError.
    """
    text = source.removeprefix(PREFIX)
    if not text:
        raise SpecError("hf: needs a folder or a name behind it.", hint="Write hf:./folder or hf:organisation/model.")
    if text.startswith("package:"):
        return _in_package(text.removeprefix("package:"), source)
    path = Path(text).expanduser()
    for candidate in (path,) if path.is_absolute() else ((base or Path()) / path, path):
        if candidate.exists():
            return candidate
    if not HUB_NAME.fullmatch(text) or text.startswith((".", "~")) or path.suffix == ".safetensors":
        near = did_you_mean(path.name, _names(path.parent))
        raise SpecError("there is no such folder or file.", where=source, hint=near or None)
    return _from_hub(text, source)


def _names(folder: Path) -> list[str]:
    try:
        return [item.name for item in folder.iterdir()]
    except OSError:
        return []


def _in_package(text: str, source: str) -> Path:
    """A folder inside an installed package, which is not imported."""
    package, _, inside = text.partition("/")
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    for place in (found.submodule_search_locations if found is not None else None) or ():
        path = Path(place) / inside
        if path.exists():
            return path
    problem = f"it has no {inside!r}" if found is not None else "it is not installed"
    raise SpecError(f"nothing was found in the package {package!r}: {problem}.", where=source)


def _from_hub(text: str, source: str) -> Path:
    """The folder of a model in Hugging Face's cache, downloaded if it is not there."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise SpecError("there is no such folder, and a model of the Hugging Face hub needs huggingface_hub.",
                        where=source, hint="Run: pip install 'harness[hub]'.") from None
    found = HUB_NAME.fullmatch(text)
    assert found is not None
    arguments: dict[str, Any] = {"repo_id": found["name"], "revision": found["revision"], "allow_patterns": WANTED}
    try:
        return Path(snapshot_download(**arguments, local_files_only=True))
    except Exception:
        try:
            return Path(snapshot_download(**arguments))
        except Exception as error:  # of many kinds: no network, no such model, no permission
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise SpecError(f"there is no such folder, and the hub does not give it: {first}", where=source,
                            hint="Download it where there is a network, and give the folder.") from None


@dataclass
class Tensors:
    """The tensors of a model's files, read one by one. shapes: name -> shape; config: of config.json, {} without."""

    where: str
    files: tuple[Path, ...]
    config: Mapping[str, Any]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _places: dict[str, Any] = field(default_factory=dict, repr=False)

    def get(self, name: str) -> np.ndarray:
        """A tensor as float32, or as float64 where it is stored so. Raises SpecError for one that holds no floats."""
        array = np.asarray(self._places[name].get_tensor(name))
        kind = array.dtype.name
        if kind not in ("float64", "float32", "float16", "bfloat16"):
            raise SpecError(f"the tensor {name!r} holds {kind}, no floating-point numbers.", where=self.where,
                            hint="Quantised weights are not read; save the model in float32 or bfloat16.")
        return array if kind == "float64" else array.astype(np.float32)


def open_tensors(source: str, base: Path | None = None) -> Tensors:
    """The tensors behind a source. Raises SpecError for a missing, foreign, truncated or unsafe file."""
    path = locate(source, base)
    files = weight_files(path, source)
    folder = path if path.is_dir() else path.parent
    tensors = Tensors(source, files, read_config(folder, source))
    import ml_dtypes  # noqa: F401 (teaches NumPy bfloat16)
    from safetensors import SafetensorError, safe_open

    for file in files:
        try:
            handle = safe_open(str(file), framework="numpy")
            names = list(handle.keys())
            shapes = {name: tuple(handle.get_slice(name).get_shape()) for name in names}
        except (SafetensorError, OSError) as error:
            raise SpecError(f"this is not a readable safetensors file ({error}).", where=f"{source}: {file.name}",
                            hint="It may be truncated; download it again.") from None
        twice = sorted(set(shapes) & set(tensors.shapes))
        if twice:
            raise SpecError(f"the tensor {twice[0]!r} stands in two files.", where=f"{source}: {file.name}")
        tensors.shapes |= shapes
        tensors._places |= dict.fromkeys(names, handle)
    return tensors


def weight_files(path: Path, source: str) -> tuple[Path, ...]:
    """The .safetensors files of a model: one, or those that its index names."""
    if path.is_file():
        if path.suffix != ".safetensors":
            _refuse([path], source)
            raise SpecError("expected a folder or a .safetensors file.", where=source)
        return (path,)
    if (path / SINGLE).is_file():
        return (path / SINGLE,)
    if (path / INDEX).is_file():
        return _indexed(path, source)
    found = sorted(item for item in path.iterdir() if item.suffix == ".safetensors")
    if len(found) == 1:
        return (found[0],)
    if found:
        raise SpecError(f"the folder holds several models: {', '.join(item.name for item in found)}.", where=source,
                        hint="Name the file.")
    _refuse(sorted(path.iterdir()), source)
    raise SpecError("the folder holds no .safetensors file.", where=source)


def _refuse(files: list[Path], source: str) -> None:
    """Raises SpecError if there are only pickles."""
    pickles = [item.name for item in files if item.suffix in PICKLES]
    if pickles:
        raise SpecError(f"{', '.join(pickles)} is a Python pickle, which runs code when it is opened.", where=source,
                        hint=SAFE_WAY)


def _indexed(path: Path, source: str) -> tuple[Path, ...]:
    index = _read_json(path / INDEX, source)
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(item, str) for item in names.values()):
        raise SpecError(f"{INDEX} has no weight_map.", where=source)
    wanted = sorted(set(names.values()))
    odd = [name for name in wanted if PurePosixPath(name).name != name or not name.endswith(".safetensors")]
    if odd:
        raise SpecError(f"{INDEX} names {odd[0]!r}, which is no .safetensors file of this folder.", where=source)
    missing = [name for name in wanted if not (path / name).is_file()]
    if missing:
        raise SpecError(f"{INDEX} names files that are not there: {', '.join(missing)}.", where=source)
    return tuple(path / name for name in wanted)


def read_config(folder: Path, source: str) -> dict[str, Any]:
    """config.json, {} where there is none."""
    path = folder / "config.json"
    config = _read_json(path, source) if path.is_file() else {}
    if not isinstance(config, dict):
        raise SpecError("config.json holds no settings by name.", where=source)
    return config


def _read_json(path: Path, source: str) -> Any:
    if path.stat().st_size > LARGEST_CONFIG:
        raise SpecError(f"{path.name} is larger than {LARGEST_CONFIG // 2**20} MiB.", where=source)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path.name} is no JSON: {error}.", where=source) from None


def digest(source: str, base: Path | None = None) -> str:
    """sha256 of what a source's weights and config.json hold, wherever they lie. Raises SpecError."""
    path = locate(source, base)
    folder = path if path.is_dir() else path.parent
    files = [*weight_files(path, source), *([folder / "config.json"] if (folder / "config.json").is_file() else [])]
    total = hashlib.sha256()
    for file in files:
        about = file.stat()
        total.update(f"{file.name} {_digest(file, about.st_size, about.st_mtime_ns)}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=64)
def _digest(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
