import numpy as np
import torch

from model.catalogue import Item
from model.network.intent import item_text, text_vectors
from model.trainable.intent_tower import IntentTower


def test_equal_words_make_equal_vectors_of_length_one():
    """Case and order do not matter, and a text without words is zero."""
    vectors = text_vectors(["Dark comedy", "COMEDY, dark!", "war", " - "])
    assert np.array_equal(vectors[0], vectors[1])
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0])
    assert vectors.shape == (4, 256)
    assert vectors.dtype == np.float32


def test_no_texts_are_an_empty_table():
    """Nothing to read is no rows of the asked width."""
    assert text_vectors([], 7).shape == (0, 7)


def test_an_items_text_is_its_title_genres_and_decade():
    """Where only the id is known there is nothing to say."""
    assert item_text(Item("1", "Alien", 1979, ("Horror", "Sci-Fi"))) == "Alien Horror Sci-Fi 1970s"
    assert item_text(Item("1", "1")) == ""


def test_no_text_is_exactly_neutral():
    """The tower has no biases: zeros in, zeros out."""
    tower = IntentTower(16, 4, 0.5)
    for weight in tower.parameters():
        torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(0))
    assert not tower(torch.zeros(3, 16)).any()
    assert tower(torch.ones(1, 16)).any()


def test_the_tower_is_two_products_around_a_relu():
    """W2 relu(W1 v) written out, without dropout."""
    tower = IntentTower(2, 1, 0.5)
    with torch.no_grad():
        tower.widen.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        tower.narrow.weight.copy_(torch.tensor([[2.0, 3.0]]))
    assert tower(torch.tensor([[5.0, 7.0]])).tolist() == [[10.0]]  # 2 relu(5) + 3 relu(-7)
    assert tower(torch.tensor([[5.0, -7.0]])).tolist() == [[31.0]]  # 2 * 5 + 3 * 7
