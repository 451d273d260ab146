from dataclasses import replace

import numpy as np
import pytest
import torch

from model.catalogue import Catalogue, Item
from model.history import Profile
from model.metrics.ranking import half_ranks, hit_rate
from model.network.intent import text_vectors
from model.network.shape import PARTS, NeuMFConfig
from model.ranking.exact import Ranker
from model.sequences import Sequences
from model.trainable.neumf import NeuMF
from model.training.fit import TrainingConfig, TrainingHooks, fit, torch_generator
from model.training.rounds import train

SMALL = NeuMFConfig(history_length=4, factors=8, mlp_factors=4, genre_factors=2, hidden=(4, 2), heads=1)
WORDS = ("western", "comedy", "war", "musical", "horror")
SEQUENCES = Sequences.of([0, 0, 0, 1, 1], [0, 1, 2, 3, 4], range(5), [1.0] * 5)


def _network(seed=0):
    return NeuMF(SMALL, 2, np.zeros((6, 0), dtype=np.float32), torch.Generator().manual_seed(seed))


def test_the_rule_of_the_ring_is_learnt(ring, world):
    """For users never trained on, the item that follows is in the top two far more often than by popularity."""
    ranker = Ranker(ring.snapshot)
    walks = world["walks"](200, 12, seed=99)
    users = {}
    for user_id, event in walks:
        users.setdefault(user_id, []).append(event.item_id)
    histories = ranker.histories([world["profile"](*items[:-1]) for items in users.values()])
    lists = ranker.rank(histories, 2).rows
    wanted = ranker.items.rows(items[-1] for items in users.values())
    hits = np.mean((lists == wanted[:, None]).any(axis=1))
    counts = np.bincount(ranker.items.rows(one.item_id for _, one in ring.events), minlength=len(ranker))
    others = np.stack([np.delete(counts, row) for row in wanted])
    popular = hit_rate(half_ranks(counts[wanted], others), k=2)
    assert hits > 0.8
    assert popular < 0.2


def test_progress_is_told_every_step():
    """One window batch an epoch and five epochs are five steps of five, and 3 events x 5 samples x 5 epochs."""
    told = []
    result = fit(_network(), SEQUENCES, TrainingConfig(epochs=5), np.random.default_rng(0), told.append)
    assert [(step.number, step.of) for step in told] == [(number, 5) for number in range(1, 6)]
    assert (result.steps, result.samples) == (5, 75)


def test_a_small_log_is_passed_over_more_often():
    """With one step an epoch, at least seven steps take seven epochs."""
    assert fit(_network(), SEQUENCES, TrainingConfig(epochs=2, least_steps=7), np.random.default_rng(0)).steps == 7


def test_equal_seeds_train_equally():
    """Two trainings from one seed end in the same weights, dropout included."""
    ends = []
    for _ in range(2):
        network = _network()
        fit(network, SEQUENCES, TrainingConfig(epochs=3), np.random.default_rng(7))
        ends.append(network.item_factors)
    assert torch.equal(*ends)


def test_training_leaves_the_global_generators_alone():
    """Neither numpy's nor torch's global state moves."""
    before = torch.random.get_rng_state()
    fit(_network(), SEQUENCES, TrainingConfig(epochs=2), np.random.default_rng(0))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_loss_that_is_not_a_number_stops_the_training():
    """A spoilt weight is reported with the step and the users of the batch."""
    network = _network()
    with torch.no_grad():
        network.item_bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"step 1 .*users \[0, 1\]|step 1 .*users \[1, 0\]"):
        fit(network, SEQUENCES, TrainingConfig(epochs=1), np.random.default_rng(0))


def test_nothing_to_predict_is_refused():
    """One event for each user leaves no next one."""
    single = Sequences.of([0, 1], [0, 1], [0, 1], [1.0, 1.0])
    with pytest.raises(ValueError, match="two events"):
        fit(_network(), single, TrainingConfig(), np.random.default_rng(0))


def test_torch_generators_follow_the_numpy_one():
    """The same numpy seed makes the same torch generator, and a second call another."""
    generator = np.random.default_rng(0)
    first, second = torch_generator(generator), torch_generator(generator)
    assert first.initial_seed() == torch_generator(np.random.default_rng(0)).initial_seed()
    assert first.initial_seed() != second.initial_seed()


def _rate(step, **changes):
    return TrainingConfig(learning_rate=1.0, warm_up=0.25, **changes).rate(step, 8)


def test_the_rate_rises_and_falls():
    """Of 8 steps a quarter warms up: a half cosine from 0.04 to 1 at step 2, half of it at 5, nearly 0 at the end."""
    assert _rate(0) == pytest.approx(0.04)
    assert _rate(1) == pytest.approx(0.52)  # half way between 0.04 and 1
    assert _rate(2) == pytest.approx(1.0)
    assert _rate(5) == pytest.approx(0.5, abs=1e-6)
    assert _rate(8) == pytest.approx(4e-7)


def test_a_restart_begins_the_rate_anew():
    """With one restart steps 4 to 7 repeat the rates of 0 to 3."""
    rates = [_rate(step, restarts=1) for step in range(8)]
    assert rates[4:] == rates[:4]
    assert rates[1] == pytest.approx(1.0)


class _InterruptedError(Exception):
    """Stands for a process that ends."""


@pytest.mark.parametrize("patience", [0, 3])
def test_an_interrupted_training_ends_in_the_same_weights(patience):
    """Gone on with after two of four epochs, losses, scores and weights are those of a training in one piece."""
    config = TrainingConfig(epochs=4, batch=2, patience=patience)
    told = []

    def score(network):
        return float(network.item_bias.detach().sum())

    def stop(checkpoint):
        told.append(checkpoint)
        if len(told) == 2:
            raise _InterruptedError

    whole, parted = _network(), _network()
    result = fit(whole, SEQUENCES, config, np.random.default_rng(5), hooks=TrainingHooks(score=score))
    with pytest.raises(_InterruptedError):
        fit(parted, SEQUENCES, config, np.random.default_rng(5), hooks=TrainingHooks(score=score, keep=stop))
    again = _network(seed=9)
    went_on = fit(again, SEQUENCES, config, np.random.default_rng(5), hooks=TrainingHooks(score=score, start=told[-1]))
    assert went_on == result
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), again.parameters(), strict=True))


OTHER = Sequences.of([0, 0, 0, 1, 1], [0, 1, 2, 4, 3], range(5), [1.0] * 5)


@pytest.mark.parametrize(
    ("sequences", "epochs", "seed", "heads"),
    [(SEQUENCES, 3, 0, 1), (SEQUENCES, 2, 1, 1), (OTHER, 2, 0, 1), (SEQUENCES, 2, 0, 2)],
)
def test_a_checkpoint_of_another_training_is_refused(sequences, epochs, seed, heads):
    """More epochs change every rate; another seed, other events of the same number or another shape every step."""
    kept = []
    fit(
        _network(),
        SEQUENCES,
        TrainingConfig(epochs=2),
        np.random.default_rng(0),
        hooks=TrainingHooks(keep=kept.append),
    )
    network = NeuMF(
        replace(SMALL, heads=heads), 2, np.zeros((6, 0), dtype=np.float32), torch.Generator().manual_seed(0)
    )
    generator, hooks = np.random.default_rng(seed), TrainingHooks(start=kept[0])
    with pytest.raises(ValueError, match="checkpoint of this training"):
        fit(network, sequences, TrainingConfig(epochs=epochs), generator, hooks=hooks)


def test_patience_ends_a_training_and_keeps_its_best_weights():
    """With scores 1, 3, 2, 2 a patience of two ends after the fourth of nine epochs, with the weights of the second."""
    scores, biases = iter([1.0, 3.0, 2.0, 2.0]), []

    def score(network):
        biases.append(network.item_bias.detach().clone())
        return next(scores)

    network = _network()
    config = TrainingConfig(epochs=9, patience=2)
    result = fit(network, SEQUENCES, config, np.random.default_rng(0), hooks=TrainingHooks(score=score))
    assert (result.epochs, result.scores) == (4, (1.0, 3.0, 2.0, 2.0))
    assert torch.equal(network.item_bias, biases[1])


def test_an_epoch_of_a_long_log_takes_a_part_of_it():
    """Of 40 windows with 4 events to predict a bound of 43 takes ten, others in the next epoch, and steps for these."""
    users, items = np.repeat(np.arange(40), 5), np.tile(np.arange(5), 40)
    sequences = Sequences.of(users, items, np.arange(200), np.ones(200))
    shape = replace(SMALL, identity_dropout=0.0)
    network = NeuMF(shape, 40, np.ones((6, 1), dtype=np.float32), torch.Generator().manual_seed(0))
    config = TrainingConfig(epochs=2, batch=4, epoch_events=43, negatives=1)
    steps = []
    result = fit(network, sequences, config, np.random.default_rng(0), steps.append)
    assert (result.steps, [step.of for step in steps]) == (6, [6] * 6)
    assert result.samples == 2 * 40 * (1 + config.negatives)
    assert 10 < int(network.user_factors.detach().any(dim=1).sum()) <= 20


def test_words_find_what_they_name(ring):
    """Trained with item texts, a network asked for a part of the ring lifts that part's logits, by one and more."""
    catalogue = Catalogue.of(
        Item(item.item_id, item.title, None, (WORDS[int(item.item_id[1:]) // 10],))
        for item in ring.catalogue.items.values()
        if item.item_id != "untouched"
    )
    training = TrainingConfig(epochs=15, batch=16, learning_rate=1.0e-2, queries=0.5)
    snapshot, _ = train(
        *ring.columns(),
        catalogue,
        network=ring.config,
        training=training,
        generator=np.random.default_rng(0),
    )
    ranker = Ranker(snapshot)
    nobody = ranker.histories([Profile("nobody")] * len(WORDS))
    asked = ranker.logits(nobody, text_vectors(WORDS, ring.config.text_width))
    lifted = asked - ranker.logits(nobody)
    part = np.array([int(item_id[1:]) // 10 for item_id in snapshot.items])
    own = np.array([lifted[place, part == place].mean() for place in range(len(WORDS))])
    others = np.array([lifted[place, part != place].mean() for place in range(len(WORDS))])
    assert (own > others + 1.0).all(), (own, others)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_left_out_adds_nothing_and_stays_so(part):
    """Its outlet is zero after training, growth and storing, and the rest still learns."""
    network = NeuMF(
        replace(SMALL, parts=tuple(one for one in PARTS if one != part)),
        2,
        np.ones((6, 1), dtype=np.float32),
        torch.Generator().manual_seed(0),
    )
    before = network.second.weight.clone()
    texts = np.ones((6, SMALL.text_width), dtype=np.float32)
    fit(network, SEQUENCES, TrainingConfig(epochs=3), np.random.default_rng(0), hooks=TrainingHooks(texts=texts))
    network.grow(3, np.ones((7, 2), dtype=np.float32), torch.Generator().manual_seed(1))
    outlet = {
        "identity": network.user_factors,
        "history": network.tower.after.weight,
        "gmf": network.fuse_gmf,
        "mlp": network.fuse_mlp,
        "genres": network.genre_factors,
        "intent": network.fuse_intent,
        "evidence": network.evidence.weights,
        "taste": network.taste.factors,
    }
    assert {name for name, weight in outlet.items() if not weight.any()} == {part}
    assert part == "mlp" or not torch.equal(network.second.weight, before)


def test_unknown_parts_are_refused():
    """There is no part called memory."""
    with pytest.raises(ValueError, match="memory"):
        NeuMFConfig(parts=("memory",))


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"learning_rate": float("nan")},
        {"weight_decay": float("nan")},
        {"weight_decay": -0.1},
        {"clip": 0.0},
        {"clip": float("nan")},
        {"popular": 1.1},
    ],
)
def test_numbers_out_of_range_are_refused(changes):
    """What is not a number is out of every range."""
    with pytest.raises(ValueError, match="required, got TrainingConfig"):
        TrainingConfig(**changes)
