import numpy as np

from model import sampling
from model.sampling import NegativeSampler
from model.sequences import Sequences


def test_negatives_are_items_the_user_did_not_touch():
    """Users 0 and 1 touched the even and the odd items of ten; each gets only the others."""
    sequences = Sequences.of([0] * 5 + [1] * 5, [0, 2, 4, 6, 8, 1, 3, 5, 7, 9], range(10), [1.0] * 10)
    drawn = NegativeSampler(sequences).draw(np.array([0, 1, 0]), 400, np.random.default_rng(0))
    assert drawn.shape == (3, 400)
    assert [set(row.tolist()) for row in drawn] == [{1, 3, 5, 7, 9}, {0, 2, 4, 6, 8}, {1, 3, 5, 7, 9}]


def test_draws_are_uniform():
    """2,000 draws of two free items: each about 1,000, within five standard deviations (5 x 22.4)."""
    sequences = Sequences.of([0, 1, 1], [0, 1, 2], [0, 0, 0], [1.0] * 3)
    drawn = NegativeSampler(sequences).draw(np.array([0]), 2000, np.random.default_rng(0))
    assert abs(np.count_nonzero(drawn == 1) - 1000) < 112


def test_items_that_nobody_touched_are_not_drawn():
    """With touched items 3 and 7 alone, a user without events gets nothing else."""
    sequences = Sequences.of([0, 1], [3, 7], [0, 0], [1.0, 1.0])
    assert set(NegativeSampler(sequences).draw(np.array([2]), 50, np.random.default_rng(0)).flat) == {3, 7}


def test_a_user_who_touched_everything_ends_the_search():
    """Where no negative exists one is returned all the same."""
    sequences = Sequences.of([0, 0], [0, 1], [0, 1], [1.0, 1.0])
    assert NegativeSampler(sequences).draw(np.array([0]), 4, np.random.default_rng(0)).shape == (1, 4)


def test_equal_seeds_draw_equally():
    """Two samplers with the same seed give the same rows."""
    sequences = Sequences.of([0] * 3, [0, 1, 2], [0, 1, 2], [1.0] * 3)
    first, second = (NegativeSampler(sequences).draw(np.arange(5), 4, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)


def test_bits_and_keys_hold_the_same(monkeypatch):
    """A bit for each pair, or a sorted list where pairs are too many: the same answers, also beyond the last pair."""
    generator = np.random.default_rng(0)
    users, items = generator.integers(0, 20, 150), generator.integers(0, 37, 150)
    sequences = Sequences.of(users, items, range(150), [1.0] * 150)
    asked = np.repeat(np.arange(25), 37), np.tile(np.arange(37), 25)
    bits = NegativeSampler(sequences)
    monkeypatch.setattr(sampling, "MAX_BITS", 0)
    keys = NegativeSampler(sequences)
    touched = set(zip(users.tolist(), items.tolist(), strict=True))
    expected = [pair in touched for pair in zip(*(rows.tolist() for rows in asked), strict=True)]
    assert type(bits._touched) is not type(keys._touched)
    assert bits.is_touched(*asked).tolist() == keys.is_touched(*asked).tolist() == expected


def test_a_share_is_drawn_by_popularity():
    """Of items touched 1, 1 and 6 times, half by popularity: 1/6 + 1/16 = 0.229 twice, and 1/6 + 6/16 = 0.542."""
    sequences = Sequences.of(range(8), [0, 1, *[2] * 6], range(8), [1.0] * 8)
    drawn = NegativeSampler(sequences, 0.5).draw(np.array([9]), 10_000, np.random.default_rng(0))
    shares = np.bincount(drawn[0], minlength=3) / 10_000
    assert np.allclose(shares, [11 / 48, 11 / 48, 26 / 48], atol=0.025)  # five standard deviations of 0.005


def test_the_bias_is_that_of_the_draws():
    """log(3 q) of those shares; uniform draws have none."""
    sequences = Sequences.of(range(8), [0, 1, *[2] * 6], range(8), [1.0] * 8)
    found = NegativeSampler(sequences, 0.5).bias(np.array([[0, 2]]))
    assert np.allclose(found, np.log([[33 / 48, 78 / 48]]))
    assert not NegativeSampler(sequences).bias(np.arange(3)).any()


def test_others_are_all_but_what_came():
    """Of the items 0 to 2, all touched by the user, the others of 1 are 0 and 2, however often one is drawn."""
    sequences = Sequences.of([0] * 3, [0, 1, 2], [0, 1, 2], [1.0] * 3)
    drawn = NegativeSampler(sequences).draw_others(np.array([1, 0]), 500, np.random.default_rng(0))
    assert [set(line) for line in drawn.tolist()] == [{0, 2}, {1, 2}]
