import numpy as np
import pytest

from model.sequences import Sequences, Spans


def _sequences(counts, step=1000):
    users = np.repeat(np.arange(len(counts)), counts)
    items = np.concatenate([np.arange(count) for count in counts])
    return Sequences.of(users, items, items * step, np.full(len(users), 0.5))


def _predicted(sequences, spans):
    windows = sequences.windows(spans)
    users = np.broadcast_to(windows.users[:, None], windows.targets.shape)
    return sorted(zip(users[windows.is_event].tolist(), windows.targets[windows.is_event].tolist(), strict=True))


def test_events_are_ordered_by_user_then_time():
    """Four events of two users given out of order come out by user and time."""
    found = Sequences.of([1, 0, 1, 0], [5, 6, 7, 8], [20, 40, 10, 30], [0, 0, 0, 0])
    assert found.users.tolist() == [0, 0, 1, 1]
    assert found.items.tolist() == [8, 6, 7, 5]


def test_a_repeated_item_is_kept_once_where_it_came_first():
    """Items 3, 4, 3 of one user leave 3, 4."""
    assert Sequences.of([0, 0, 0], [3, 4, 3], [1, 2, 3], [1, 1, 1]).items.tolist() == [3, 4]


def test_arrays_of_unequal_length_are_refused():
    """Three users with two items make no events."""
    with pytest.raises(ValueError, match="one length"):
        Sequences.of([0, 0, 0], [1, 2], [1, 2, 3], [1, 1, 1])


def test_a_negative_row_is_refused():
    """Row -1 means unknown, and an unknown item cannot be learnt."""
    with pytest.raises(ValueError, match="negative"):
        Sequences.of([0], [-1], [1], [1])


@pytest.mark.parametrize("length", [1, 4, 5, 50])
def test_phased_spans_predict_every_event_but_the_first_once(length):
    """For users of 1, 2, 5, 6 and 13 events, whatever the phase, events 1, 2, ... are each a target once."""
    counts = [1, 2, 5, 6, 13]
    sequences = _sequences(counts)
    wanted = sorted((user, item) for user, count in enumerate(counts) for item in range(1, count))
    for seed in range(10):
        spans = sequences.phased_spans(length, np.random.default_rng(seed))
        assert _predicted(sequences, spans) == wanted
        assert (spans.ends - spans.begins).max() <= length


def test_latest_spans_cover_the_newest_events_and_end_there():
    """Of users with 1, 8 and 9 events, 3, 0 and 5 wanted at length 4: only user 2, events 1..8 in two windows."""
    sequences = _sequences([1, 8, 9])
    spans = sequences.latest_spans(4, [3, 0, 5])
    assert len(spans) == 2
    assert _predicted(sequences, spans) == [(2, item) for item in range(1, 9)]


def test_a_window_holds_what_came_before_its_targets():
    """A user's items 0, 1, 2 become inputs 0, 1 with targets 1, 2, padded to the longest window."""
    sequences = _sequences([3, 5])
    windows = sequences.windows(sequences.phased_spans(50, np.random.default_rng(0)))
    assert windows.items.tolist() == [[0, 1, 0, 0], [0, 1, 2, 3]]
    assert windows.targets.tolist() == [[1, 2, 0, 0], [1, 2, 3, 4]]
    assert windows.times[0].tolist() == [0, 1000, 1000, 1000]
    assert windows.is_event.tolist() == [[True, True, False, False], [True] * 4]


def test_shuffling_moves_events_only_among_their_ties():
    """Six events at times 0 0 0 5 5 5 keep their halves, and some seed changes the order inside."""
    sequences = Sequences.of([0] * 6, range(6), [0, 0, 0, 5, 5, 5], [1.0] * 6)
    found = [sequences.shuffled_ties(np.random.default_rng(seed)).items.tolist() for seed in range(5)]
    assert all(sorted(items[:3]) == [0, 1, 2] and sorted(items[3:]) == [3, 4, 5] for items in found)
    assert len({tuple(items) for items in found}) > 1
    assert sequences.items.tolist() == list(range(6))


def test_windows_say_whether_what_came_next_was_liked():
    """Of three events of one user, wanted 1, 0.2 and 1, the second is the first target, and the third the second."""
    sequences = Sequences.of([0, 1, 0, 0], [5, 9, 6, 7], [1, 1, 2, 3], [1.0] * 4, wanted=[1.0, 0.5, 0.2, 1.0])
    windows = sequences.windows(sequences.phased_spans(3, np.random.default_rng(0)))
    assert windows.targets[windows.is_event].tolist() == [6, 7]
    assert windows.wanted[windows.is_event].tolist() == pytest.approx([0.2, 1.0])
    assert sequences.positive().tolist() == [True, False, True, False]


def test_verdicts_move_with_their_events():
    """Shuffling ties and taking some of the events leaves each item its verdict."""
    liked = np.arange(40) % 3 == 0
    sequences = Sequences.of([0] * 40, range(40), [0] * 40, [1.0] * 40, wanted=np.where(liked, 1.0, 0.4))
    some = sequences.shuffled_ties(np.random.default_rng(0)).taken(np.arange(40) < 20)
    assert some.items.tolist() != sorted(some.items.tolist())
    assert some.positive().tolist() == liked[some.items].tolist()


def test_repeats_stay_where_they_are_kept():
    """Item 3, 4 and 3 again are three events then, in the order of time."""
    assert Sequences.of([0, 0, 0], [3, 4, 3], [1, 2, 3], [1, 1, 1], repeats=True).items.tolist() == [3, 4, 3]


def test_spans_cover_what_they_read_and_predict():
    """Two spans that overlap and one apart: each covers its begin up to and with its end."""
    spans = Spans(np.array([1, 2, 7]), np.array([3, 5, 8]))
    assert np.flatnonzero(spans.cover(10)).tolist() == [1, 2, 3, 4, 5, 7, 8]


def test_ties_are_shuffled_as_a_sort_of_all_events_by_chance_would():
    """Only tied events are moved, and they go where a sort of everything by user, time and draw puts them."""
    generator = np.random.default_rng(5)
    users, items, times = (generator.integers(0, high, 200) for high in (9, 10**6, 12))
    sequences = Sequences.of(users, items, times, generator.random(200))
    order = np.lexsort((np.random.default_rng(3).random(200), sequences.times, sequences.users))
    found = sequences.shuffled_ties(np.random.default_rng(3))
    for name in ("users", "items", "times", "weights", "places", "fresh", "wanted"):
        assert np.array_equal(getattr(found, name), getattr(sequences, name)[order]), name
    assert not np.array_equal(found.items, sequences.items)


def test_events_in_order_are_taken_as_they_are():
    """What is ordered by user and time already needs no sort; one event out of its place does."""
    ordered = Sequences.of([0, 0, 1], [5, 4, 5], [1, 1, 0], [0.1, 0.2, 0.3])
    assert (ordered.items.tolist(), ordered.places.tolist()) == ([5, 4, 5], [0, 1, 2])
    late = Sequences.of([0, 0, 1, 0], [5, 4, 5, 4], [1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4])
    assert (late.items.tolist(), late.weights.tolist()) == ([4, 5, 5], pytest.approx([0.4, 0.1, 0.3]))
