from dataclasses import fields

import numpy as np
import pytest
import torch

from model.network.shape import NeuMFConfig
from model.sequences import Sequences
from model.trainable.neumf import NeuMF
from model.training.batches import Batches, ahead

SMALL = NeuMFConfig(history_length=4, factors=8, mlp_factors=4, genre_factors=2, text_width=6, hidden=(4, 2), heads=1)


def _network(n_items, sequences):
    network = NeuMF(SMALL, 20, np.zeros((n_items, 0), dtype=np.float32), torch.Generator().manual_seed(0))
    network.evidence.count(sequences)
    return network


def _made(wrap, n_items=14):
    generator = np.random.default_rng(0)
    sequences = Sequences.of(np.repeat(np.arange(20), 6), np.tile(np.arange(12), 10), np.arange(120), np.ones(120))
    network = _network(n_items, sequences)
    batches = Batches(
        network,
        sequences,
        negatives=3,
        popular=0.5,
        queries=0.5,
        generator=generator,
        texts=np.ones((n_items, 6), dtype=np.float32),
        pool=None,
        device="cpu",
    )
    batches.begin(sequences)
    spans = sequences.phased_spans(4, generator)
    return list(wrap(batches.of(sequences.windows(spans.taken(np.arange(at, at + 4)))) for at in range(0, 20, 4)))


def test_batches_made_ahead_are_the_same():
    """Each tensor of each of five batches, with one seed; the first row of each event is what came."""
    in_turn, at_once = _made(iter), _made(ahead)
    assert len(in_turn) == len(at_once) == 5
    for one, other in zip(in_turn, at_once, strict=True):
        for field in fields(one):
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name
        assert torch.equal(one.rows[:, 0], (one.items[one.owner, one.place] + 1) % 12)
        assert not one.texts[(one.known == 0.0).squeeze(1)].eq(0.0).all(dim=1).any()


def test_where_items_are_many_a_step_computes_those_alone_that_it_meets():
    """Its items and rows are then places among these, and logits are those of all items: no more is left out."""
    network = _network(500, Sequences.of([0, 0], [0, 1], [0, 1], np.ones(2)))
    for few, many in zip(_made(iter), _made(iter, 500), strict=True):
        assert few.met is None
        assert len(many.met) < 500
        assert torch.equal(many.met[many.rows], few.rows)
        side = network.item_side(many.met)
        read = (many.users, many.items, many.times, many.weights, many.at, None)
        users = network.users_along(*read, side.factors)
        all_users = network.users_along(few.users, few.items, *read[2:])
        torch.testing.assert_close(
            network.pair_logits(users, side, many.rows),
            network.pair_logits(all_users, network.item_side(), few.rows),
        )


def test_what_fails_ahead_fails_here():
    """The batches before it are given, then its error is raised."""

    def broken():
        yield "first"
        raise ValueError("the second")

    found = ahead(broken())
    assert next(found) == "first"
    with pytest.raises(ValueError, match="the second"):
        next(found)
