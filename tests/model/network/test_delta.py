import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.history import Interaction
from model.network.delta import Delta, checksum
from model.network.shape import NeuMFConfig
from model.trainable.evidence import Evidence
from model.trainable.neumf import NeuMF
from model.training.fit import TrainingConfig
from model.training.learner import Learner
from model.training.rounds import RoundConfig


def same(one, other):
    """Tell whether two snapshots are equal to the bit."""
    return (
        (one.config, one.items, one.users, one.genres) == (other.config, other.items, other.users, other.genres)
        and one.weights.keys() == other.weights.keys()
        and all(
            one.weights[name].shape == other.weights[name].shape
            and np.array_equal(one.weights[name].view(np.int32), other.weights[name].view(np.int32))
            for name in one.weights
        )
    )


def with_weights(snapshot, **changed):
    """Return a snapshot with other weights under these names (dots as two underscores)."""
    named = {name.replace("__", "."): weight for name, weight in changed.items()}
    return dataclasses.replace(snapshot, weights={**snapshot.weights, **named})


def stored(delta):
    """Return a delta after a trip through JSON and copied tensors."""
    tensors = {name: tensor.copy() for name, tensor in delta.tensors.items()}
    return Delta.restore(tensors, json.loads(json.dumps(delta.describe())))


@pytest.fixture(scope="module")
def tuned(ring):
    """Return the snapshot before a round of fine-tuning and the one after it, with new users, items and a genre."""
    tuning = TrainingConfig(epochs=1, batch=16, learning_rate=1.0e-3)
    learner = Learner(rounds=RoundConfig(network=ring.config, tuning=tuning), champion=ring.snapshot)
    learner.preload(ring.events)
    interactions = [Interaction(f"i{item}", 10**9 + item, "watch", 1.0) for item in (3, 4, 60)]
    learner.observe((f"n{user}", one) for user in range(3) for one in interactions)
    return ring.snapshot, learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)).snapshot


def test_a_delta_leads_to_the_same_snapshot_to_the_bit(tuned):
    """Stored, restored and applied to the first snapshot, the delta of a round gives the second one."""
    before, after = tuned
    kept = {name: weight.copy() for name, weight in before.weights.items()}
    assert same(stored(Delta.between(before, after)).applied(before), after)
    assert all(np.array_equal(before.weights[name], weight) for name, weight in kept.items())


def test_a_delta_holds_only_rows_that_differ(ring):
    """One changed row of 50 items is one row in the delta, and nothing else is shipped."""
    factors = ring.snapshot.weights["item_factors"].copy()
    factors[7, 3] += 1.0
    delta = Delta.between(ring.snapshot, with_weights(ring.snapshot, item_factors=factors))
    assert set(delta.tensors) == {"rows.item_factors", "values.item_factors"}
    assert delta.tensors["rows.item_factors"].tolist() == [7]
    assert delta.item_rows().tolist() == [7]
    assert delta.size == 8 + 4 * factors.shape[1]  # one int64 and one row of float32


def test_an_item_of_another_taste_has_changed(ring):
    """What indexes items by their taste is told of it."""
    factors = ring.snapshot.weights["taste.factors"].copy()
    factors[9] += 1.0
    delta = Delta.between(ring.snapshot, with_weights(ring.snapshot, **{"taste.factors": factors}))
    assert delta.item_rows().tolist() == [9]


def test_nothing_changed_is_an_empty_delta(ring):
    """Between a snapshot and itself there is nothing to ship."""
    delta = Delta.between(ring.snapshot, ring.snapshot)
    assert (dict(delta.tensors), delta.size) == ({}, 0)
    assert same(delta.applied(ring.snapshot), ring.snapshot)


def test_minus_zero_is_not_zero(ring):
    """A weight that changed from 0.0 to -0.0 is shipped, as its checksum differs."""
    zeros = np.zeros_like(ring.snapshot.weights["item_bias"])
    before = with_weights(ring.snapshot, item_bias=zeros)
    after = with_weights(ring.snapshot, item_bias=-zeros)
    assert same(Delta.between(before, after).applied(before), after)


def test_another_base_is_refused(tuned):
    """Applied to a snapshot of the same shape with one other weight, the checksum does not hold."""
    before, after = tuned
    other = with_weights(before, item_bias=before.weights["item_bias"] + 1.0)
    with pytest.raises(ValueError, match="checksum"):
        Delta.between(before, after).applied(other)


def test_a_delta_applied_twice_is_refused(tuned):
    """The snapshot that a delta led to is not the one that it was made from."""
    before, after = tuned
    with pytest.raises(ValueError, match=r"Delta\.applied"):
        Delta.between(before, after).applied(after)


def test_rows_must_stay(ring):
    """Two items that changed places cannot be told by rows alone."""
    moved = dataclasses.replace(
        ring.snapshot, items=(ring.snapshot.items[1], ring.snapshot.items[0], *ring.snapshot.items[2:])
    )
    with pytest.raises(ValueError, match="items of before must come first"):
        Delta.between(ring.snapshot, moved)


def test_a_wider_table_of_evidence_is_refused(ring):
    """Neighbours only become fewer as a catalogue grows; a delta that asks for more memory is no delta."""
    wider = dataclasses.replace(ring.snapshot, config=dataclasses.replace(ring.config, neighbours=10**9))
    with pytest.raises(ValueError, match="neighbours"):
        Delta.between(ring.snapshot, wider)
    delta = dataclasses.replace(Delta.between(ring.snapshot, ring.snapshot), config=wider.config)
    with pytest.raises(ValueError, match="neighbours"):
        delta.applied(ring.snapshot)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("rows.item_factors", np.array([50])),
        ("rows.item_factors", np.array([0.5])),
        ("values.item_factors", np.zeros((2, 2), np.float32)),
        ("values.item_factors", np.zeros((1, 16))),
        ("whole.second.weight", np.zeros(1, np.float32)),
        ("whole.item_bias", np.zeros(3, np.float32)),
        ("cells.rows", np.array([50], np.int32)),
        ("cells.columns", np.array([-7], np.int32)),
    ],
)
def test_a_broken_delta_is_refused(ring, name, tensor):
    """Rows that are not there, other shapes and other types end in an error that names the delta."""
    factors, counts = (ring.snapshot.weights[key].copy() for key in ("item_factors", "evidence.counts"))
    factors[7, 3] += 1.0
    counts[7, 0] += 1.0
    delta = Delta.between(ring.snapshot, with_weights(ring.snapshot, item_factors=factors, evidence__counts=counts))
    with pytest.raises(ValueError, match="Delta"):
        dataclasses.replace(delta, tensors={**delta.tensors, name: tensor}).applied(ring.snapshot)


def test_a_description_without_a_part_is_refused(ring):
    """A delta without its checksum cannot be restored."""
    delta = Delta.between(ring.snapshot, ring.snapshot)
    described = delta.describe()
    del described["checksum"]
    with pytest.raises(ValueError, match="checksum"):
        Delta.restore(delta.tensors, described)


def test_the_checksum_sees_every_weight(ring):
    """Changing any one weight of any tensor changes it."""
    first = checksum(ring.snapshot)
    for name, weight in ring.snapshot.weights.items():
        if weight.size and weight.dtype == np.float32:
            other = weight.copy()
            other.reshape(-1)[-1] += 1.0
            assert checksum(dataclasses.replace(ring.snapshot, weights={**ring.snapshot.weights, name: other})) != first


def world_of_counts(rows, width, n):
    """Return kept neighbours as the evidence keeps them, from {(row, column): count}."""
    evidence = Evidence(n, width)
    for row in range(n):
        columns = sorted(column for one, column in rows if one == row)[:width]
        for place, column in enumerate(columns):
            evidence.neighbours[row, place] = column
            evidence.counts[row, place] = rows[row, column]
    return evidence.neighbours, evidence.counts


COUNTS = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(1, 3).map(float), max_size=25)


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS, st.integers(1, 5), st.integers(0, 1))
def test_any_change_of_counts_is_shipped(before, after, width, narrower):
    """Counts that come, change or go, and a table that becomes narrower, lead to the same tables to the bit."""
    widths = (width, max(1, width - narrower))
    snapshots = []
    for counts, kept in zip((before, after), widths, strict=True):
        config = NeuMFConfig(factors=2, mlp_factors=1, hidden=(1, 1), heads=1, neighbours=kept)
        network = NeuMF(config, 0, np.zeros((5, 1), np.float32), torch.Generator().manual_seed(0))
        network.evidence.neighbours, network.evidence.counts = world_of_counts(counts, kept, 5)
        snapshots.append(network.snapshot(tuple("abcde"), (), ("g",)))
    assert same(stored(Delta.between(*snapshots)).applied(snapshots[0]), snapshots[1])
