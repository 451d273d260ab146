"""The plain NeuMF: its two ways to a gradient, its weights as values, and its training with either backend."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from model.plain.fit import PlainTraining, batches, fit_numpy, fit_torch
from model.plain.gradient import loss_and_gradients
from model.plain.network import PlainConfig, PlainNeuMF
from model.sequences import Sequences

USERS, ITEMS = 30, 40


def made(config=PlainConfig(8), items=ITEMS):  # noqa: B008 - frozen
    """Return a network in float64 with weights large enough for every ReLU to matter."""
    network = PlainNeuMF(config, USERS, items, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        for table in (network.gmf_user, network.gmf_item, network.mlp_user, network.mlp_item):
            table.mul_(50.0)
    return network


def log():
    """Return 30 users of two tastes: those with even rows touch even items, those with odd rows odd ones."""
    generator = np.random.default_rng(7)
    items = [generator.choice(np.arange(user % 2, ITEMS, 2), 12, replace=False) for user in range(USERS)]
    users = np.repeat(np.arange(USERS), 12)
    return Sequences.of(users, np.concatenate(items), np.arange(len(users)), np.ones(len(users)))


@pytest.mark.parametrize(
    ("config", "items"),
    [
        (PlainConfig(8), ITEMS),
        (PlainConfig(3, (4, 5)), ITEMS),
        (PlainConfig(16, (8, 6, 6, 4, 2)), ITEMS),
        (PlainConfig(2, (4, 3)), 2**16 + 1),
    ],
)
def test_the_fast_gradient_is_that_of_autograd(config, items):
    """Loss and every gradient agree within 1e-9, old gradients are replaced, with 16-bit item rows and with wider."""
    network, generator = made(config, items), np.random.default_rng(1)
    for size in (17, 64):
        users = generator.integers(0, USERS, size)
        rows = np.concatenate(
            [generator.integers(0, 5, (size, 1)), generator.integers(items - 30, items, (size, 4))], 1
        )
        labels = torch.zeros(size, 5, dtype=torch.float64)
        labels[:, 0] = 1.0
        logits = network(torch.from_numpy(users), torch.from_numpy(rows))
        expected = functional.binary_cross_entropy_with_logits(logits, labels)
        parameters = dict(network.named_parameters())
        gradients = torch.autograd.grad(expected, list(parameters.values()))
        assert loss_and_gradients(network, users, rows) == pytest.approx(float(expected.detach()), abs=1e-9)
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-9, msg=name)


def test_the_network_is_that_of_the_paper():
    """Two vectors each of user and item, no history, the widths asked for."""
    network = PlainNeuMF(PlainConfig(factors=2, layers=(6, 3)), 3, 4, torch.Generator().manual_seed(0))
    shapes = {name: tuple(weight.shape) for name, weight in network.named_parameters()}
    assert (shapes["gmf_user"], shapes["gmf_item"], shapes["mlp_user"], shapes["mlp_item"]) == (
        (3, 2),
        (4, 2),
        (3, 3),
        (4, 3),
    )


def test_both_backends_take_the_same_course():
    """From the same weights and seed the losses of 300 steps agree within 1e-9, and so do the weights at the end."""
    network, config = made(), PlainTraining(epochs=50, batch=64, learning_rate=0.01)
    weights = {name: weight.detach().numpy().copy() for name, weight in network.state_dict().items()}
    theirs = fit_torch(network, log(), config, np.random.default_rng(3))
    ours = fit_numpy(weights, log(), config, np.random.default_rng(3))
    assert len(ours) == 300  # 360 events are 6 batches of 64 at most, 50 times
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    for name, weight in network.state_dict().items():
        np.testing.assert_allclose(weights[name], weight.numpy(), rtol=0, atol=1e-7, err_msg=name)


def test_training_learns_who_likes_what():
    """After training each user's mean score of items of the own taste is above that of the others."""
    network = PlainNeuMF(PlainConfig(8), USERS, ITEMS, torch.Generator().manual_seed(0))
    losses = fit_torch(network, log(), PlainTraining(epochs=60, batch=64), np.random.default_rng(0))
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) / 2
    scores = network.scores(torch.arange(USERS)).numpy()
    own = np.arange(USERS)[:, None] % 2 == np.arange(ITEMS) % 2
    assert (np.where(own, scores, 0.0).sum(1) > np.where(own, 0.0, scores).sum(1)).all()


def test_equal_seeds_train_equally():
    """Two trainings from the same seed end at the same weights, bit by bit; another seed ends elsewhere."""
    ends = []
    for seed in (5, 5, 6):
        network = PlainNeuMF(PlainConfig(8), USERS, ITEMS, torch.Generator().manual_seed(seed))
        fit_torch(network, log(), PlainTraining(epochs=3, batch=64), np.random.default_rng(seed))
        ends.append(network.gmf_user.detach())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_an_epoch_shows_every_event_once():
    """The first column of an epoch's batches is the log in another order; no negative was touched by its user."""
    events = log()
    drawn = list(batches(events, PlainTraining(epochs=1, batch=100), np.random.default_rng(0)))
    assert [len(users) for users, _ in drawn] == [100, 100, 100, 60]
    pairs = [(int(u), int(row[0])) for users, items in drawn for u, row in zip(users, items, strict=True)]
    touched = set(zip(events.users.tolist(), events.items.tolist(), strict=True))
    assert pairs != sorted(pairs)
    assert sorted(pairs) == sorted(touched)
    assert not touched & {(int(u), int(i)) for users, items in drawn for u, i in zip(users, items[:, 1], strict=True)}


def test_the_rate_rises_and_falls():
    """Of 10 steps with a fifth of warm-up: half, all, and then half a cosine that would be zero at step 11."""
    config = PlainTraining(learning_rate=1.0, warm_up=0.2)
    assert [config.rate(step, 10) for step in (1, 2)] == [0.5, 1.0]
    assert config.rate(5, 10) == pytest.approx(0.75)  # a third of the way: (1 + cos 60 degrees) / 2
    assert config.rate(10, 10) == pytest.approx(0.5 * (1.0 - math.cos(math.pi / 9.0)))


def test_progress_is_told_of_every_step():
    """Four batches in each of two epochs are eight calls, numbered from 1 of 8, with the losses that are returned."""
    told = []
    network = PlainNeuMF(PlainConfig(8), USERS, ITEMS, torch.Generator().manual_seed(0))
    config = PlainTraining(epochs=2, batch=100)
    losses = fit_torch(network, log(), config, np.random.default_rng(0), lambda *step: told.append(step))
    assert told == [(number, 8, loss) for number, loss in enumerate(losses, start=1)]


def test_weights_make_the_network_again():
    """A network restored from its weights alone scores the same, and training it leaves those weights as they were."""
    network = made(PlainConfig(3, (4, 5, 2)))
    kept = {name: weight.clone() for name, weight in network.state_dict().items()}
    twin = PlainNeuMF.restore(kept)
    assert twin.config == network.config
    assert torch.equal(twin.scores(torch.arange(USERS)), network.scores(torch.arange(USERS)))
    with torch.no_grad():
        twin.gmf_user.zero_()
    assert torch.equal(kept["gmf_user"], network.gmf_user)


@pytest.mark.parametrize("spoil", [{"gmf_user": None}, {"fuse.weight": torch.zeros(1, 3)}, {"more": torch.zeros(1)}])
def test_weights_that_do_not_fit_are_refused(spoil):
    """A missing weight, one of another shape and one too many are a ValueError that names what was given."""
    weights = dict(made().state_dict()) | spoil
    with pytest.raises(ValueError, match=r"PlainNeuMF\.restore: the weights of one network"):
        PlainNeuMF.restore({name: weight for name, weight in weights.items() if weight is not None})


def test_scores_are_those_of_single_pairs():
    """Each column of a user's scores is the logit of that user with that item alone."""
    network = made()
    scores = network.scores(torch.tensor([4, 2]))
    assert scores.shape == (2, ITEMS)
    alone = network(torch.tensor([2]), torch.tensor([[17]]))
    assert float(scores[1, 17]) == pytest.approx(float(alone.detach()), abs=1e-12)


def test_a_loss_that_is_no_number_ends_the_training():
    """A weight that is not a number is told at the first step, by both backends."""
    network = made()
    with torch.no_grad():
        network.fuse.bias.fill_(float("nan"))
    weights = {name: weight.detach().numpy().copy() for name, weight in network.state_dict().items()}
    for fit, what in ((fit_torch, network), (fit_numpy, weights)):
        with pytest.raises(FloatingPointError, match="got nan at step 1 of 72"):
            fit(what, log(), PlainTraining(batch=64), np.random.default_rng(0))


def test_nothing_to_learn_from_is_refused():
    """A training without events is a ValueError, not an empty success."""
    with pytest.raises(ValueError, match="one event at least"):
        fit_torch(made(), Sequences.of([], [], [], []), PlainTraining(), np.random.default_rng(0))


def test_unknown_shapes_are_refused():
    """One layer, a width of zero and an odd input are no MLP of two halves; no epochs and no warm-up no training."""
    for layers in ((8,), (8, 0), (7, 4)):
        with pytest.raises(ValueError, match="PlainConfig"):
            PlainConfig(8, layers)
    for wrong in ({"epochs": 0}, {"negatives": 0}, {"warm_up": 0.0}):
        with pytest.raises(ValueError, match="PlainTraining"):
            PlainTraining(**wrong)
