import numpy as np
import pytest

from model.intent.encoder import SentenceEncoder


def test_cosines_are_those_that_are_known(encoder):
    """What the library that made the weights gives for its own example: .7553, and .2474 beside the third."""
    food, bread, horse = encoder.encode(
        ["A man is eating food.", "A man is eating a piece of bread.", "A man is riding a horse."]
    )
    assert food @ bread == pytest.approx(0.7553, abs=1e-4)
    assert food @ horse == pytest.approx(0.2474, abs=1e-4)


def test_a_vector_is_the_same_in_any_company(encoder):
    """Padding beside a longer sentence changes nothing, and rows come in the order of the sentences."""
    sentences = ["Heat", "a much longer sentence about nothing at all, with commas", ""]
    together = encoder.encode(sentences)
    alone = np.concatenate([encoder.encode([one]) for one in sentences])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)


def test_nothing_is_encoded_as_nothing(encoder):
    """No sentences make no rows."""
    assert encoder.encode([]).shape == (0, 384)


def test_a_long_text_is_cut(encoder):
    """Beyond 128 tokens a text is not read."""
    start = "alien " * 200
    np.testing.assert_allclose(encoder.encode([start]), encoder.encode([start + "romance"]), atol=1e-6)


def test_weights_of_something_else_are_refused():
    """What lacks BERT's embeddings is no encoder."""
    with pytest.raises(ValueError, match=r"got none named 'embeddings\.word_embeddings\.weight'"):
        SentenceEncoder({}, lambda _: [])
