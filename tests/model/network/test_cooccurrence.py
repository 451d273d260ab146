from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import model.network.cooccurrence
import model.trainable.evidence
from model.network.cooccurrence import (
    KERNELS,
    EvidenceCounts,
    EvidenceReader,
    RecentItems,
    counted_pairs,
    kernel_weights,
    pair_blocks,
    recent_at,
    width_for,
)
from model.network.pair_table import pair_table
from model.sequences import Sequences
from model.trainable.evidence import Evidence

SECOND = 1000


def _sequences(*histories, gap=SECOND):
    users = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    items = np.concatenate([np.array(history, dtype=np.int64) for history in histories])
    return Sequences.of(users, items, np.arange(len(items)) * gap, np.ones(len(items)))


def _counted(sequences, n_items, width=8):
    evidence = Evidence(n_items, width)
    evidence.count(sequences)
    return evidence


def _as_pairs(evidence):
    return {
        (row, int(column)): round(float(count), 5)
        for row in range(len(evidence.counts))
        for column, count in zip(evidence.neighbours[row], evidence.counts[row], strict=True)
        if column >= 0
    }


def _naive(sequences, n_items):
    counts = np.zeros((n_items, n_items))
    for later in range(len(sequences)):
        for earlier in range(max(0, later - 20), later):
            if sequences.users[earlier] == sequences.users[later]:
                weight, pair = 1 / (1 + 0.1 * (later - earlier - 1)), sequences.items[[earlier, later]]
                is_tied = sequences.times[earlier] == sequences.times[later]
                counts[*pair] += weight / 2 if is_tied else weight
                counts[*pair[::-1]] += weight / 2 if is_tied else 0
    return counts


def test_what_follows_counts_by_its_distance():
    """In 0, 1, 2 item 1 follows 0 at distance one, 2 follows 0 at two: 1, and 1 / 1.1 = 0.90909."""
    evidence = _counted(_sequences([0, 1, 2]), 3)
    assert _as_pairs(evidence) == {(0, 1): 1.0, (0, 2): 0.90909, (1, 2): 1.0}
    assert evidence.followed.tolist() == pytest.approx([1.90909, 1.0, 0.0])
    assert evidence.touched.tolist() == [1.0, 1.0, 1.0]


def test_events_of_one_time_follow_each_other_by_half():
    """Items 0 and 1 share a time, 2 comes later at distances two and one."""
    sequences = Sequences.of([0, 0, 0], [0, 1, 2], [5, 5, 6], [1.0] * 3)
    assert _as_pairs(_counted(sequences, 3)) == {(0, 1): 0.5, (1, 0): 0.5, (0, 2): 0.90909, (1, 2): 1.0}


def test_users_do_not_follow_each_other_and_twenty_events_are_the_window():
    """Of a history 0..21 item 20 still follows 0 and 21 does not; a second user's items follow nobody's."""
    pairs = _as_pairs(_counted(_sequences(range(22), [22]), 23, width=30))
    assert pairs[0, 20] == pytest.approx(1 / 2.9, abs=1e-5)  # 1 / (1 + 0.1 * 19)
    assert (0, 21) not in pairs
    assert not any(22 in pair for pair in pairs)


def test_counting_in_two_parts_equals_counting_at_once():
    """First the earlier events alone, then the later ones with what precedes them: the same counts."""
    generator = np.random.default_rng(0)
    histories = [generator.permutation(12)[: generator.integers(1, 12)] for _ in range(30)]
    whole = _sequences(*histories)
    new = generator.random(len(whole)) < 2  # every event; cleared below for the earlier half of each user
    starts, counts = whole.bounds()
    for start, count in zip(starts, counts, strict=True):
        new[start : start + count // 2] = False
    in_parts = _counted(whole.taken(~new), 12, width=12)
    in_parts.count(replace(whole, fresh=new))
    at_once = _counted(whole, 12, width=12)
    assert np.allclose(_naive(whole, 12).sum(axis=1), at_once.followed.numpy())
    assert _as_pairs(in_parts) == pytest.approx(_as_pairs(at_once), rel=1e-5)
    assert torch.equal(in_parts.touched, at_once.touched)


def test_the_strongest_neighbours_stay():
    """Item 0 is followed by 1 twice, by 2 and 3 once; with two places, 3 goes: it is touched more often than 2."""
    evidence = _counted(_sequences([0, 1, 2], [0, 1], [0, 3], [3], [3]), 4, width=2)
    assert evidence.neighbours[0].tolist() == [1, 2]
    assert evidence.followed[0] == pytest.approx(2 + 1 / 1.1 + 1)  # what was dropped still counts in the total


def test_the_features_are_the_documented_sums():
    """After 0 then 1, a second apart: written out for item 2 with the counts of three users."""
    sequences = _sequences([0, 2], [1, 2], [1, 0])
    reader = EvidenceReader(_counted(sequences, 3).as_counts())
    found = reader.of_pairs(RecentItems(np.array([[1, 0]]), np.array([[0.0, 1.0]], dtype=np.float32)), np.array([[2]]))
    # item 1 was followed by 2 and by 0: total 2; item 0 by 2: total 1; item 2 was touched twice: 1 / sqrt(3)
    newest, before = 1 / (2 + 20) / 3**0.5, 1 / (1 + 20) / 3**0.5
    steps, seconds, far = np.exp(-1 / 3), np.exp(-1 / 120), np.exp(-1 / 50)
    wanted = [newest + before * decay for decay in (steps, seconds, far)]
    assert np.allclose(found[0, 0], np.sqrt(wanted), rtol=1e-5)


def test_an_event_never_speaks_for_itself():
    """Features of the event that came are what they would be, had it not been counted, in any order of its ties."""
    generator = np.random.default_rng(1)
    histories = [generator.permutation(9)[:6] for _ in range(12)]
    users = np.repeat(np.arange(12), 6)
    sequences = Sequences.of(users, np.concatenate(histories), np.tile([0, 0, 0, 5, 5, 5], 12), np.ones(72))
    shuffled = sequences.shuffled_ties(generator)
    counts = _naive(sequences, 9)
    at = np.arange(5) + 6 * 4  # the first five events of user 4
    target = shuffled.items[at + 1]
    said = np.zeros((5, 3))
    for place, (here, item) in enumerate(zip(at, target, strict=True)):
        its_place = shuffled.places[here + 1]
        for step, other in enumerate(range(here, 23, -1)):
            lag = its_place - shuffled.places[other]
            own = 1 / (1 + 0.1 * (abs(lag) - 1))
            if shuffled.times[here + 1] == shuffled.times[other]:
                own /= 2  # whichever came first
            elif lag < 0:
                own = 0.0
            row = shuffled.items[other]
            part = (counts[row, item] - own) / (counts[row].sum() + 20) / ((sequences.items == item).sum() + 1) ** 0.5
            gap = (shuffled.times[here] - shuffled.times[other]) / 1000
            said[place] += part * np.exp([-step / 3, -gap / 120, -step / 50])
    reader = EvidenceReader(_counted(sequences, 9, width=9).as_counts())
    found = reader.sums_of_pairs(recent_at(shuffled, at), target[:, None])[:, 0]
    assert np.allclose(found, said, atol=1e-7)


def test_the_whole_catalogue_has_the_features_of_its_pairs(monkeypatch):
    """What ranking reads equals what training reads, by the table of all pairs and by its kept neighbours alone."""
    generator = np.random.default_rng(2)
    sequences = _sequences(*(generator.permutation(30)[:12] for _ in range(40)), gap=30 * SECOND)
    evidence = _counted(sequences, 30, width=10)
    evidence.calibrate(sequences, 50, generator)
    recent = recent_at(sequences, np.array([3, 11 + 12, 0]), counted=False)
    every = np.broadcast_to(np.arange(30), (3, 30))
    dense = EvidenceReader(evidence.as_counts())
    monkeypatch.setattr(model.network.cooccurrence, "MAX_DENSE_ITEMS", 5)
    sparse = EvidenceReader(evidence.as_counts())
    for reader in (dense, sparse):
        of_catalogue = reader.of_catalogue(recent).swapaxes(1, 2)
        assert np.allclose(of_catalogue, dense.of_pairs(recent, every), atol=1e-5)
        assert np.allclose(reader.of_pairs(recent, every), dense.of_pairs(recent, every), atol=1e-5)
    shares = generator.random(recent.items.shape).astype(np.float32)
    spoken = [reader.spoken_for(recent, shares, every) for reader in (dense, sparse)]
    assert spoken[0].any()
    assert np.allclose(*spoken, atol=1e-5)


def test_a_packed_snapshot_says_what_its_lists_of_neighbours_say():
    """Sums, features, followers and entries are the same to the bit, whichever form holds the counts."""
    generator = np.random.default_rng(2)
    sequences = _sequences(*(generator.permutation(30)[:12] for _ in range(40)), gap=30 * SECOND)
    evidence = _counted(sequences, 30, width=10)
    evidence.calibrate(sequences, 50, generator)
    kept = evidence.as_counts()
    nothing = np.empty((30, 0), dtype=np.float32)
    table = pair_table(kept.neighbours, kept.counts)
    packed = EvidenceReader(replace(kept, neighbours=nothing.astype(np.int32), counts=nothing, pairs=table))
    listed = EvidenceReader(kept)
    recent = recent_at(sequences, np.array([3, 11 + 12, 0]), counted=False)
    every, weights = np.broadcast_to(np.arange(30), (3, 30)), kernel_weights(recent)
    said = [
        (
            reader.of_catalogue(recent),
            reader.of_pairs(recent, every),
            reader.followers(recent, 4),
            *reader.strongest(5),
            *reader.entries_of_catalogue(recent.items, weights),
        )
        for reader in (packed, listed)
    ]
    for told, wanted in zip(*said, strict=True):
        assert wanted.any()
        assert (told.dtype, told.shape, told.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())


def test_a_packed_snapshot_does_not_say_what_it_left_out():
    """Which rows are full is not in the table, so what a full row kept at least is refused, not made up."""
    table, of_items = np.zeros((3, 3), dtype=np.float32), np.ones(3, dtype=np.float32)
    packed = {"evidence.pairs": table, "evidence.scale": of_items}
    counts = EvidenceCounts.of(packed | {"evidence.followed": of_items, "evidence.touched": of_items})
    with pytest.raises(ValueError, match="lists of neighbours are required, got a table"):
        counts.least_kept()


def test_calibration_scales_what_really_came_next_to_one():
    """Over all events of a small log the mean of the squared features, which are roots, is one for every kernel."""
    generator = np.random.default_rng(3)
    sequences = _sequences(*(generator.permutation(8)[:5] for _ in range(50)))
    evidence = _counted(sequences, 8)
    evidence.calibrate(sequences, 50, generator)
    at = np.flatnonzero(sequences.users[1:] == sequences.users[:-1])
    features = EvidenceReader(evidence.as_counts()).of_pairs(recent_at(sequences, at), sequences.items[at + 1][:, None])
    assert np.allclose((features[:, 0] ** 2).mean(axis=0), np.ones(len(KERNELS)), rtol=1e-4)


def test_nothing_known_adds_nothing():
    """No history, and a new item's row, have features of zero."""
    evidence = _counted(_sequences([0, 1]), 2)
    evidence.grow(4)
    reader = EvidenceReader(evidence.as_counts())
    nobody = RecentItems(np.full((1, 3), -1), np.zeros((1, 3), dtype=np.float32))
    somebody = RecentItems(np.array([[0, 3]]), np.zeros((1, 2), dtype=np.float32))
    assert not any(feature.any() for feature in reader.of_catalogue(nobody))
    assert reader.of_pairs(somebody, np.array([[1, 2, 3]]))[0, :, 0].astype(bool).tolist() == [True, False, False]


def test_the_items_that_follow_come_strongest_first():
    """After 0 came 1 twice and 2 once; both were touched as often."""
    reader = EvidenceReader(_counted(_sequences([0, 1], [0, 1], [0, 2], [2]), 3).as_counts())
    recent = RecentItems(np.array([[0, -1], [2, 0]]), np.zeros((2, 2), dtype=np.float32))
    assert reader.followers(recent, 2).tolist() == [[1, 2, -1, -1], [-1, -1, 1, 2]]
    assert reader.followers(recent, 1).tolist() == [[1, -1], [-1, 1]]


def test_large_catalogues_keep_fewer_neighbours():
    """4,000,000 pairs are 1,024 for each of 3,706 items and four for each of a million, never none."""
    assert [width_for(n, 1024) for n in (0, 3706, 1_000_000, 10_000_000)] == [1024, 1024, 4, 1]


def test_pairs_are_summed_in_parts_of_any_size(monkeypatch):
    """Whether a hundred pairs or all at once, the sums are those of a plain count; only pairs of new events count."""
    generator = np.random.default_rng(4)
    sequences = _sequences(*(generator.permutation(15)[:9] for _ in range(20)))
    whole = counted_pairs(sequences, 15).toarray()
    monkeypatch.setattr(model.network.cooccurrence, "PAIRS_PER_SUM", 100)
    assert np.allclose(counted_pairs(sequences, 15).toarray(), whole)
    assert np.allclose(whole, _naive(sequences, 15))
    last = np.arange(len(sequences)) == 8  # the ninth event of the first user, eight others before it
    assert counted_pairs(replace(sequences, fresh=last), 15).nnz == 8


@pytest.mark.parametrize("most", [1, 500, 10**9])
def test_pairs_in_blocks_of_items_are_all_pairs(most):
    """Blocks of one item, of some and of all make the counts that are made at once, and only pairs of new events."""
    generator = np.random.default_rng(6)
    users, items, times = np.repeat(np.arange(12), 30), generator.integers(0, 15, 360), generator.integers(0, 9, 360)
    fresh = generator.random(360) < 0.4
    sequences = Sequences.of(users, items, np.sort(times.reshape(12, 30)).ravel(), np.ones(360), fresh, repeats=True)
    blocks = list(pair_blocks(sequences, 17, most))
    assert [begin for begin, _ in blocks] == np.cumsum([0, *(block.shape[0] for _, block in blocks)])[:-1].tolist()
    found = np.concatenate([block.toarray() for _, block in blocks])
    assert np.allclose(found, counted_pairs(sequences, 17).toarray(), rtol=1e-6)
    assert 0 < np.count_nonzero(found) < found.size


def test_a_long_log_is_counted_in_blocks(monkeypatch):
    """The evidence of a log above the bound keeps the neighbours that it keeps below it, of old counts and new ones."""
    generator = np.random.default_rng(7)
    logs = [_sequences(*(generator.permutation(40)[:25] for _ in range(20))) for _ in range(2)]
    whole, in_blocks = Evidence(40, 9), Evidence(40, 9)
    for log in logs:
        whole.count(log)
    monkeypatch.setattr(model.trainable.evidence, "MAX_EVENTS_AT_ONCE", 0)
    monkeypatch.setattr(model.trainable.evidence, "pair_blocks", partial(pair_blocks, most=2000))
    for log in logs:
        in_blocks.count(log)
    for name, mine in whole.named_buffers():
        assert torch.allclose(mine, in_blocks.get_buffer(name), rtol=1e-6), name


def test_narrower_evidence_keeps_the_strongest():
    """Of the followers 1 (twice), 2 and 3 of item 0 one place leaves the first, and what it counts."""
    evidence = _counted(_sequences([0, 1], [0, 1], [0, 2], [0, 3]), 4)
    evidence.narrow(1)
    assert (evidence.neighbours.shape, _as_pairs(evidence)[0, 1]) == ((4, 1), 2.0)


def test_a_neighbour_kept_for_the_event_itself_does_not_speak_for_it():
    """After 0 came 1 three times and 2 twice; of two places 2 has one, and would not without the event in question."""
    sequences = _sequences([0, 1], [0, 1], [0, 1], [0, 2], [0, 2], [0, 3])
    full, roomy = (EvidenceReader(_counted(sequences, 4, width=width).as_counts()) for width in (2, 8))
    at = np.array([6])  # item 0 of the fourth user, whom 2 follows
    found = [reader.of_pairs(recent_at(sequences, at), np.array([[2, 1]]))[0, :, 0] > 0 for reader in (full, roomy)]
    assert [one.tolist() for one in found] == [[False, True], [True, True]]


def test_an_event_never_speaks_for_itself_where_items_come_again():
    """What is left of each count is what a recount without that event's own pairs gives, wherever its items stand."""
    generator = np.random.default_rng(2)
    users, items = np.repeat(np.arange(8), 7), generator.integers(0, 4, 56)
    sequences = Sequences.of(users, items, np.tile([0, 0, 0, 5, 5, 6, 7], 8), np.ones(56), repeats=True)
    reader = EvidenceReader(_counted(sequences, 4, width=5).as_counts())
    shuffled = sequences.shuffled_ties(generator)
    for here in range(21, 27):  # of user 3
        recent = recent_at(shuffled, np.array([here]), repeats=True)
        counts, target = _naive(sequences, 4), shuffled.items[here + 1]
        its_place = shuffled.places[here + 1]
        for other in range(21, here + 1):
            lag = its_place - shuffled.places[other]
            is_tied = shuffled.times[here + 1] == shuffled.times[other]
            weight = 1 / (1 + 0.1 * (abs(lag) - 1))
            is_itself = shuffled.items[other] == target
            own = weight * (1 if is_itself else 0.5) if is_tied else weight * (lag > 0)
            counts[shuffled.items[other], target] -= own
        followed, touched = _naive(sequences, 4).sum(axis=1), np.bincount(items, minlength=4)
        left = counts[recent.items[0, : here - 20], target] / (followed[recent.items[0, : here - 20]] + 20)
        wanted = (left / (touched[target] + 1) ** 0.5 * np.exp(-np.arange(here - 20) / 50)).sum()
        found = reader.sums_of_pairs(recent, np.array([[target]]))[0, 0, 2]
        assert found == pytest.approx(wanted, abs=1e-6)
