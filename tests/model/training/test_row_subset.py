import numpy as np
import pytest
import torch

from model.history import Interaction
from model.network.cooccurrence import EvidenceReader, RecentItems, recent_at
from model.sequences import Sequences
from model.trainable.neumf import NeuMF
from model.trainable.row_subset import RowSubset, extract, write_back
from model.training.fit import TrainingConfig
from model.training.learner import Learner
from model.training.rounds import RoundConfig


def rows_of(*rows):
    """Return rows as the tables take them."""
    return np.array(rows, dtype=np.int64)


def test_a_part_says_what_the_whole_says(ring):
    """User vectors and logits of the rows it holds are those of the whole network."""
    network = NeuMF.of(ring.snapshot)
    users, items = rows_of(2, 5, 9), rows_of(0, 3, 4, 8, 20, 33)
    part = extract(network, RowSubset(users, items, users, items))
    history = torch.tensor([[1, 3, 5]]), torch.tensor([[0, 60_000, 120_000]]), torch.ones(1, 3), torch.tensor([3])
    mine = part.users_now(torch.tensor([1]), *history)
    theirs = network.users_now(torch.tensor([5]), torch.tensor([[3, 8, 33]]), *history[1:])
    assert torch.equal(mine, theirs)
    places = torch.arange(6).unsqueeze(0)
    whole = network.pair_logits(theirs, network.item_side(), torch.from_numpy(items).unsqueeze(0))
    assert torch.allclose(part.pair_logits(mine, part.item_side(), places), whole, atol=1.0e-6)


def test_a_part_has_the_evidence_of_the_whole(ring):
    """Features of pairs inside the part, each event's own share taken off, are those of the whole network."""
    network = NeuMF.of(ring.snapshot)
    items = np.unique(NeuMF.of(ring.snapshot).evidence.neighbours.numpy()[3])[1:]
    items = np.union1d(items, rows_of(3)).astype(np.int64)
    part = extract(network, RowSubset(rows_of(0), items, rows_of(), rows_of()))
    columns = (np.zeros(len(items)), np.arange(len(items)), 60_000 * np.arange(len(items)), np.ones(len(items)))
    inside, outside = Sequences.of(*columns), Sequences.of(columns[0], items, *columns[2:])
    at, targets = np.arange(len(items) - 1), np.arange(1, len(items))[:, None]
    mine = EvidenceReader(part.evidence.as_counts()).of_pairs(recent_at(inside, at), targets)
    theirs = EvidenceReader(network.evidence.as_counts()).of_pairs(recent_at(outside, at), items[targets])
    assert mine.any()
    assert np.array_equal(mine, theirs)


def test_items_outside_the_windows_have_evidence_alone(ring):
    """The tables of a part have the learnt items; the evidence has the others behind them, pairs among all included."""
    network = NeuMF.of(ring.snapshot)
    items, learnt = rows_of(2, 7, 9, 30), rows_of(7, 30)
    chosen = RowSubset(rows_of(1), items, rows_of(1), learnt)
    part = extract(network, chosen)
    assert chosen.items_in_order().tolist() == [7, 30, 2, 9]
    assert chosen.item_places(items).tolist() == [2, 0, 3, 1]
    assert torch.equal(part.item_factors, network.item_factors[torch.from_numpy(learnt)])
    mine, whole = (EvidenceReader(one.evidence.as_counts()) for one in (part, network))
    every = np.arange(4)[:, None]
    recent = RecentItems(every, np.zeros((4, 1), dtype=np.float32))
    theirs = RecentItems(chosen.items_in_order()[:, None], recent.gaps_s)
    found = mine.of_pairs(recent, np.tile(every.T, (4, 1)))
    assert np.array_equal(found, whole.of_pairs(theirs, np.tile(chosen.items_in_order(), (4, 1))))


def test_putting_an_unchanged_part_back_changes_nothing(ring):
    """Taking a part out and putting it back leaves every weight as it was."""
    network = NeuMF.of(ring.snapshot)
    chosen = RowSubset(rows_of(1, 4), rows_of(2, 7, 9), rows_of(1, 4), rows_of(2, 7, 9))
    write_back(network, extract(network, chosen), chosen)
    assert all(np.array_equal(weight, ring.snapshot.weights[name]) for name, weight in network.state_dict().items())


def test_only_learnt_rows_are_put_back(ring):
    """Of a part whose weights all moved by one, two item rows, one user row and the small weights arrive."""
    network = NeuMF.of(ring.snapshot)
    chosen = RowSubset(rows_of(1, 4), rows_of(2, 7, 9), rows_of(4), rows_of(2, 9))
    part = extract(network, chosen)
    with torch.no_grad():
        for weight in part.parameters():
            weight.add_(1.0)
    write_back(network, part, chosen)
    before, after = ring.snapshot.weights, {name: one.numpy() for name, one in network.state_dict().items()}
    moved = {
        name: np.flatnonzero((after[name] != before[name]).any(axis=1)).tolist()
        for name in ("item_factors", "user_factors")
    }
    assert moved == {"item_factors": [2, 9], "user_factors": [4]}
    assert bool((after["second.weight"] != before["second.weight"]).all())
    assert np.array_equal(after["evidence.counts"], before["evidence.counts"])


@pytest.mark.parametrize("predicted", [4, 400])
def test_a_round_moves_no_row_that_its_windows_do_not_touch(ring, predicted):
    """Items and users outside the windows keep their vectors to the bit, and those of the new events move."""
    tuning = TrainingConfig(epochs=2, batch=8, learning_rate=1.0e-2)
    rounds = RoundConfig(network=ring.config, tuning=tuning, max_predicted=predicted)
    learner = Learner(rounds=rounds, champion=ring.snapshot)
    learner.preload(event for event in ring.events if event[1].item_id in {"i0", "i1", "i2", "i3"})
    new = [("u0", Interaction(f"i{item}", 10**9 + item, "watch", 1.0)) for item in (10, 11, 12)]
    learner.observe(new)
    after = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)).snapshot
    before = ring.snapshot.weights
    moved = (after.weights["item_factors"][: len(before["item_factors"])] != before["item_factors"]).any(axis=1)
    names = {ring.snapshot.items[row] for row in np.flatnonzero(moved).tolist()}
    users = np.flatnonzero((after.weights["user_factors"] != before["user_factors"]).any(axis=1))
    assert len(users) <= predicted // 2  # a window predicts an event at least, and u0's three
    assert ring.snapshot.users.index("u0") in users.tolist()
    assert {"i10", "i11", "i12"} <= names <= {"i0", "i1", "i2", "i3", "i10", "i11", "i12"}
