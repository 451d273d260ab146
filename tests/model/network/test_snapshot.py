import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.trainable.neumf import NeuMF


def _stored(snapshot):
    """Return a snapshot after a trip through JSON and copied tensors."""
    weights = {name: tensor.copy() for name, tensor in snapshot.weights.items()}
    return Snapshot.restore(weights, json.loads(json.dumps(snapshot.describe())))


def test_a_round_trip_gives_the_same_lists(ring, world):
    """Rows and scores after restoring equal those before to the last bit."""
    profiles = [world["profile"]("i3", "i5", "i6"), world["profile"]("i40", user_id="u7"), world["profile"]()]
    lists = []
    for snapshot in (ring.snapshot, _stored(ring.snapshot)):
        ranker = Ranker(snapshot)
        lists.append(ranker.rank(ranker.histories(profiles), 10))
    assert np.array_equal(lists[0].rows, lists[1].rows)
    assert np.array_equal(lists[0].scores, lists[1].scores)


def test_a_round_trip_gives_the_same_ids_and_shape(ring):
    """Configuration and the three vocabularies come back equal, tuples and all."""
    restored = _stored(ring.snapshot)
    assert (restored.config, restored.items) == (ring.snapshot.config, ring.snapshot.items)
    assert (restored.users, restored.genres) == (ring.snapshot.users, ring.snapshot.genres)


def test_training_a_network_leaves_its_snapshot_alone(ring):
    """Changing the weights of the network that a snapshot gave does not reach the snapshot."""
    before = {name: weight.copy() for name, weight in ring.snapshot.weights.items()}
    with torch.no_grad():
        for weight in NeuMF.of(ring.snapshot).state_dict().values():
            weight.zero_()
    assert all(np.array_equal(ring.snapshot.weights[name], weight) for name, weight in before.items())


def test_a_network_is_given_up_for_the_snapshot_that_a_copy_would_be(ring):
    """Both have the same weights to the bit; only one of them changes with the network."""
    network, ids = NeuMF.of(ring.snapshot), (ring.snapshot.items, ring.snapshot.users, ring.snapshot.genres)
    copied, own = network.snapshot(*ids), network.into_snapshot(*ids)
    for name, weight in ring.snapshot.weights.items():
        assert np.array_equal(copied.weights[name], weight), name
        assert np.array_equal(own.weights[name], weight), name
        assert own.weights[name].shape == copied.weights[name].shape, name
    with torch.no_grad():
        network.item_factors.zero_()
    assert copied.weights["item_factors"].any()
    assert not own.weights["item_factors"].any()


def test_weights_are_contiguous_on_the_cpu(ring):
    """What the registry stores needs no conversion."""
    assert all(
        tensor.flags.c_contiguous and tensor.dtype in (np.float32, np.int32)
        for tensor in ring.snapshot.weights.values()
    )


def test_ids_must_fit_the_tables(ring):
    """A user more than there are rows is refused."""
    description = ring.snapshot.describe()
    description["users"].append("one more")
    with pytest.raises(ValueError, match="61"):
        Snapshot.restore(ring.snapshot.weights, description)


def test_a_missing_part_is_refused(ring):
    """A description without genres, and weights without a table, are not a version."""
    description = ring.snapshot.describe()
    del description["genres"]
    with pytest.raises(ValueError, match="genres"):
        Snapshot.restore(ring.snapshot.weights, description)
    weights = {name: tensor for name, tensor in ring.snapshot.weights.items() if name != "item_bias"}
    with pytest.raises(ValueError, match="item_bias"):
        Snapshot.restore(weights, ring.snapshot.describe()).require_whole()


def test_a_packed_snapshot_is_read_back_to_the_bit(ring):
    """It has the table of all pairs in the place of neighbours and counts, and they come back as they were."""
    packed = ring.snapshot.packed()
    assert ring.snapshot.weights.keys() - packed.weights.keys() == {"evidence.neighbours", "evidence.counts"}
    packed.require_whole()
    assert packed.packed() is packed
    found = packed.unpacked()
    assert {name: weight.tobytes() for name, weight in found.weights.items()} == {
        name: weight.tobytes() for name, weight in ring.snapshot.weights.items()
    }


def test_what_could_not_be_read_back_is_not_packed(ring):
    """Neighbours in another order than ascending have no place in a table, and stay as they are."""
    swapped = {name: ring.snapshot.weights[name].copy() for name in ("evidence.neighbours", "evidence.counts")}
    for weight in swapped.values():
        weight[0, [0, 1]] = weight[0, [1, 0]]
    assert swapped["evidence.neighbours"][0, 1] >= 0
    other = replace(ring.snapshot, weights={**ring.snapshot.weights, **swapped})
    assert other.packed() is other


def test_a_packed_table_of_another_size_is_refused(ring):
    """A table has a row and a column for each item."""
    packed = ring.snapshot.packed()
    weights = {**packed.weights, "evidence.pairs": np.zeros((2, 2), dtype=np.float32)}
    with pytest.raises(ValueError, match=r"evidence\.pairs"):
        replace(packed, weights=weights).require_whole()


def test_a_packed_snapshot_is_not_what_is_stored(ring):
    """Stored weights have neighbours and counts; a table in their place is refused."""
    packed = ring.snapshot.packed()
    with pytest.raises(ValueError, match=r"got 'evidence\.pairs'"):
        Snapshot.restore(packed.weights, packed.describe())
