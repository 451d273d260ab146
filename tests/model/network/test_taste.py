import numpy as np
import pytest
import torch

from model.network.taste import UNTOUCHED
from model.sequences import Sequences
from model.trainable.taste import STRENGTHS, Taste

GROUPS, ITEMS, USERS, TOUCHED = 4, 40, 120, 6


@pytest.fixture(scope="module")
def sequences():
    """Return 120 users who each touch 6 of the 10 items of their own group, in random order."""
    return _of_groups(np.random.default_rng(0))


@pytest.fixture(scope="module")
def taste(sequences):
    """Return what is factorised from them."""
    return _fitted(sequences)


def _of_groups(generator, n_users=USERS):
    size = ITEMS // GROUPS
    items = [user % GROUPS * size + generator.permutation(size)[:TOUCHED] for user in range(n_users)]
    columns = np.repeat(np.arange(n_users), TOUCHED), np.concatenate(items)
    return Sequences.of(*columns, np.arange(n_users * TOUCHED), np.ones(n_users * TOUCHED))


def _fitted(sequences, width=8):
    taste = Taste(ITEMS, width)
    taste.fit(sequences, 50)
    return taste


def _objective(x, items, factors, strength):
    """Return what a user's vector makes least, cell by cell."""
    touched = np.isin(np.arange(len(factors)), items)
    known = int(factors.any(axis=1).sum())
    cells = UNTOUCHED * (factors @ x) ** 2 + touched * (1.0 - factors @ x) ** 2
    return cells.sum() + strength * np.sqrt(UNTOUCHED * known + len(items) + 1.0) * (x @ x)


def test_a_taste_is_for_the_items_of_its_group(taste):
    """One item of a group suffices: the group's items score above all items of other groups in the mean."""
    scores = taste.reader().scores(np.array([[3], [17], [25], [38]]))
    for group, row in enumerate(scores):
        inside = np.arange(ITEMS) // 10 == group
        assert row[inside].mean() > row[~inside].max()


def test_a_users_vector_is_where_the_objective_is_least(taste):
    """No step from the vector makes the sum over all cells smaller; three items, two paddings."""
    items = np.array([[3, 7, 21, -1, -1]])
    vector = taste.reader().vectors(items)[0].astype(np.float64)
    factors, strength = taste.factors.double().numpy(), float(taste.strength)
    least = _objective(vector, items[0][:3], factors, strength)
    for step in np.random.default_rng(0).normal(0.0, 0.01, (50, len(vector))):
        assert _objective(vector + step, items[0][:3], factors, strength) > least


def test_order_and_padding_say_nothing(taste):
    """The same items in another order, with gaps between them, make the same scores."""
    reader = taste.reader()
    one, other = reader.scores(np.array([[3, 7, 21, -1, -1], [21, -1, 3, -1, 7]]))
    assert np.allclose(one, other, atol=1.0e-6)


def test_without_items_there_is_no_taste(taste):
    """An empty history, and one of nobody, score zero everywhere."""
    assert not taste.reader().scores(np.array([[-1, -1]])).any()
    assert taste.reader().scores(np.empty((0, 3), dtype=np.int64)).shape == (0, ITEMS)


def test_given_items_score_as_in_the_catalogue(taste):
    """Scores of some rows are those of the same rows among all."""
    items, rows = np.array([[3, 7], [21, -1]]), np.array([[0, 39, 5], [22, 22, 1]])
    reader = taste.reader()
    assert np.allclose(
        reader.scores_of(items, rows), np.take_along_axis(reader.scores(items), rows, axis=1), atol=1.0e-6
    )


def test_the_same_events_make_the_same_taste(sequences, taste):
    """Factorised twice, the factors are equal to the bit."""
    assert torch.equal(_fitted(sequences).factors, taste.factors)


def test_repeats_count_once(sequences, taste):
    """With every event twice the factors are the same to the bit."""
    columns = (np.repeat(getattr(sequences, name), 2) for name in ("users", "items", "times", "weights"))
    twice = Sequences.of(*columns, repeats=True)
    assert len(twice) == 2 * len(sequences)
    assert torch.equal(_fitted(twice).factors, taste.factors)


def test_noise_is_held_smaller_than_groups(taste):
    """Where items are touched at random the log chooses a stronger regularisation than where there are groups."""
    generator = np.random.default_rng(1)
    items = np.concatenate([generator.permutation(ITEMS)[:TOUCHED] for _ in range(USERS)])
    columns = np.repeat(np.arange(USERS), TOUCHED), items, np.arange(len(items)), np.ones(len(items))
    assert float(_fitted(Sequences.of(*columns)).strength) > float(taste.strength)


def test_items_that_nobody_touched_have_no_factors(sequences):
    """Three items beyond those of the events stay at zero, and so do items that come later."""
    taste = Taste(ITEMS + 3, 8)
    taste.fit(sequences, 50)
    taste.grow(ITEMS + 5)
    assert taste.factors.any(dim=1).nonzero().squeeze(1).tolist() == list(range(ITEMS))
    assert taste.reader().scores(np.array([[3]]))[0, ITEMS:].tolist() == [0.0] * 5


def test_no_events_leave_everything_as_it_was():
    """Nothing to factorise is no error; there is no taste, and it is still due."""
    taste = _fitted(Sequences.of([], [], [], []))
    assert not taste.factors.any()
    assert taste.is_due


def test_one_event_each_is_enough_to_factorise():
    """Without a user of two events no strength can be compared, and the strongest is taken."""
    taste = _fitted(Sequences.of([0, 1], [4, 5], [0, 0], [1.0, 1.0]))
    assert float(taste.strength) == pytest.approx(STRENGTHS[0])
    assert torch.isfinite(taste.factors).all()


def test_it_is_due_when_the_log_has_grown_by_half(sequences):
    """Of 720 events, 359 more are too few and 360 are enough; factorised anew it waits again."""
    taste = _fitted(sequences)
    taste.wait(359)
    assert not taste.is_due
    taste.wait(1)
    assert taste.is_due
    taste.fit(sequences, 50)
    assert not taste.is_due


def test_a_part_has_the_factors_of_its_items(taste):
    """A part of three items scores them as the whole does, up to what the others counted."""
    part = taste.part(np.array([2, 5, 30]))
    assert torch.equal(part.factors, taste.factors[[2, 5, 30]])
    assert (part.strength, part.events, part.waiting) == (taste.strength, taste.events, taste.waiting)
