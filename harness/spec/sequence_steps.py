"""The steps of `prepare` that make sequences: ids of texts, blocks of running text, windows over series, spectra.

Each may take several arrays and leave others, targets included; what it learns, it learns of the train split.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from harness.errors import SpecError
from harness.spec.preparation import Step

Length = Annotated[int | None, Field(ge=1)]
Outputs = tuple[Literal["input_ids", "attention_mask", "token_type_ids"], ...]


class Tokenize(Step):
    """Texts to ids by a tokenizer.json of Hugging Face's `tokenizers`.

    tokenizer: the file, or the folder that it lies in; `package:NAME/folder` for one inside an installed package.
    max_length: special tokens included. pad: every example to max_length, to the longest of all splits, or not at all
    (for `language_model`). truncation: which end of a longer text is cut; `error` refuses it.
    outputs: which arrays to leave, int32 [n, length]. pair: a second text of the same example.
    padding: the token to pad with, where the tokenizer names none. vocabulary_size: what the model was made for;
    another one is refused.
    """

    tokenizer: str
    max_length: Length = None
    pad: Literal["max_length", "longest", "none"] = "longest"
    truncation: Literal["right", "left", "error"] = "right"
    special_tokens: bool = True
    outputs: Outputs = Field(default=("input_ids", "attention_mask", "token_type_ids"), min_length=1)
    pair: str | None = None
    padding: str | None = None
    vocabulary_size: Length = None


class ToIds(Step):
    """Texts to ids of a vocabulary of the train split: characters, or words between spaces, the most frequent first.

    0 is the padding and 1 what the vocabulary lacks; then come the start, the end and the mask where they are wanted.
    max_tokens: the vocabulary's size with all of these. max_length, pad, truncation: as in tokenize.
    """

    units: Literal["character", "word"] = "character"
    lowercase: bool = False
    max_tokens: Annotated[int | None, Field(ge=3)] = None
    max_length: Length = None
    pad: Literal["max_length", "longest", "none"] = "longest"
    truncation: Literal["right", "left", "error"] = "right"
    start: bool = False
    end: bool = False
    mask: bool = False


class LanguageModel(Step):
    """Ids (tokenize or to_ids with `pad: none`) to blocks of running text: x = ids[:-1], y = ids[1:], both int32
    [blocks, block].

    The examples of a split follow each other, `separator` (a token, "<|endoftext|>" say) between them where it is
    given; to_ids with `end: true` parts them too. Blocks do not overlap; what does not fill one is dropped and counted.
    """

    block: Annotated[int, Field(ge=1)]
    separator: str | None = None


class MaskTokens(Step):
    """Tokens to guess (Devlin et al. 2018): y holds the ids that were chosen, and the padding everywhere else.

    Of the chosen tokens, the share `mask` becomes the mask token, `random` another id, the rest stay as they are.
    Special tokens are never chosen. Drawn once on the host with `seed`, so that both frameworks and every epoch see
    the same. The loss needs `ignore_class`: the padding's id.
    """

    probability: float = Field(default=0.15, gt=0, lt=1)
    mask: float = Field(default=0.8, ge=0, le=1)
    random: float = Field(default=0.1, ge=0, le=1, validate_default=True)
    seed: int = Field(default=0, ge=0)

    @field_validator("random")
    @classmethod
    def _beside_mask(cls, random: float, info: ValidationInfo) -> float:
        if random + info.data.get("mask", 0.0) > 1:
            raise SpecError(f"mask and random are shares of the chosen tokens, together at most 1; got {random} and "
                            f"{info.data['mask']}.")
        return random


class SequencePairs(Step):
    """A text and the text it becomes, for an encoder and a decoder: x/encoder [n, source_length], x/decoder and y
    [n, target_length], all int32.

    The decoder's input is the start token and the target without its last; y is the target and the end token. 0 is
    the padding (`ignore_class: 0`), 1 what the vocabulary lacks, 2 the start and 3 the end, in both vocabularies.
    Lengths: those of the longest text in any split where absent; a longer one is refused. target_length counts the end
    token, so 20 phonemes need 21.
    """

    source: str
    target: str
    source_units: Literal["character", "word"] = "character"
    target_units: Literal["character", "word"] = "word"
    source_length: Length = None
    target_length: Length = None


class Windows(Step):
    """A series [rows, columns] to windows: x [n, length, columns], y [n, horizon, targets], or [n, horizon] of one.

    No window reaches from one split into the next. stride: the rows from one window's beginning to the next's.
    targets: the columns to forecast by their place or name (all where absent). The targets are in the units that the
    steps before this one left: standardised, if that was one of them.
    """

    length: int = Field(ge=1)
    horizon: int = Field(default=1, ge=1)
    stride: int = Field(default=1, ge=1)
    targets: tuple[int | str, ...] | None = None


class Reconstruct(Step):
    """The targets are the inputs, as the steps before this one left them: for autoencoders. Labels are left out.

    noise: the standard deviation of what is added to the inputs alone, drawn once with `seed`.
    """

    noise: float = Field(default=0.0, ge=0)
    seed: int = Field(default=0, ge=0)


class LogMel(Step):
    """Sounds [n, samples] to log-mel spectra [n, frames, mels], by librosa (`pip install harness[audio]`).

    10 * log10(max(power, 1e-10)) of librosa.feature.melspectrogram, whose arguments these are (Slaney's scale and
    norm, a Hann window, the sound padded with zeros at both ends). rate: the source's where absent.
    """

    n_mels: int = Field(default=40, ge=1)
    n_fft: int = Field(default=256, ge=2)
    hop_length: int = Field(default=80, ge=1)
    fmin: float = Field(default=0.0, ge=0)
    fmax: float | None = Field(default=None, gt=0)
    rate: int | None = Field(default=None, ge=1)
