"""A model's tokenizer (tokenizer.json, through Hugging Face's `tokenizers`), and whether it is the model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import SpecError
from harness.exchange.pretrained.files import locate
from harness.spec.layers.core import Embedding
from harness.spec.model import ModelSpec

FILE = "tokenizer.json"


def load_tokenizer(source: str | Path, base: Path | None = None) -> Any:
    """A tokenizers.Tokenizer from a tokenizer.json, the folder that it lies in, or "hf:...". Raises SpecError."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise SpecError("a tokenizer needs the package tokenizers.", hint="Run: pip install 'harness[text]'.") from None
    path = locate(str(source), base)
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise SpecError(f"there is no {FILE}.", where=str(source),
                        hint="A slow tokenizer (vocab.txt, merges.txt) is saved as one by transformers' "
                             "AutoTokenizer.from_pretrained(folder).save_pretrained(folder).")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception
        raise SpecError(f"{file.name} is no tokenizer: {error}", where=str(source)) from None


def vocabulary_size(spec: ModelSpec) -> int | None:
    """How many ids the model takes: the rows of the Embedding that reads its first input; None without one."""
    first = spec.inputs[0].name
    for node in spec.nodes:
        layer = spec.layers[node.layer]
        if isinstance(layer, Embedding) and first in node.inputs:
            return layer.input_dim
    return None


def check_vocabulary(tokenizer: Any, spec: ModelSpec, where: str | None = None) -> None:
    """Raises SpecError unless the tokenizer's vocabulary, added tokens included, is as large as the model's."""
    rows, size = vocabulary_size(spec), int(tokenizer.get_vocab_size(with_added_tokens=True))
    if rows is None:
        raise SpecError(f"the model {spec.name!r} does not read ids of tokens: no Embedding reads its first input.",
                        where=where)
    if size > rows:
        raise SpecError(f"the tokenizer has {size} tokens, the model {spec.name!r} takes {rows}.", where=where,
                        hint="It is another model's tokenizer, or tokens were added: resize the model's embeddings.")
    if size < rows:
        raise SpecError(f"the tokenizer has {size} tokens, the model {spec.name!r} was made for {rows}.", where=where,
                        hint="Take the tokenizer.json that lies beside the weights.")
