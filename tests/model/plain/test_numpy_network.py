"""The NumPy reference against PyTorch: the same values, the same gradients, the same course of training."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from model.plain.network import PlainConfig, PlainNeuMF
from model.plain.numpy_network import Adam, backward, forward, loss

USERS, ITEMS = 30, 40


@pytest.fixture(params=[PlainConfig(8), PlainConfig(factors=3, layers=(4, 5)), PlainConfig(16, (8, 6, 6, 4, 2))])
def network(request):
    """Return a network in float64 with weights large enough for every ReLU to matter."""
    made = PlainNeuMF(request.param, USERS, ITEMS, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        for table in (made.gmf_user, made.gmf_item, made.mlp_user, made.mlp_item):
            table.mul_(50.0)
    return made


def as_numpy(network):
    """Return a copy of the weights."""
    return {name: weight.detach().numpy().copy() for name, weight in network.state_dict().items()}


def drawn(generator, n=64):
    """Draw pairs, some of them twice, and labels, one in five of them 1."""
    return (
        generator.integers(0, USERS, n),
        generator.integers(0, ITEMS, n),
        (generator.random(n) < 0.2).astype(np.float64),
    )


def torch_loss(network, users, items, labels):
    """Return PyTorch's loss of a batch."""
    logits = network(torch.from_numpy(users), torch.from_numpy(items)[:, None]).squeeze(1)
    return functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels))


def test_values_and_gradients_are_those_of_pytorch(network):
    """Logits, loss and the gradient of every weight agree within 1e-9 in float64."""
    users, items, labels = drawn(np.random.default_rng(1))
    weights = as_numpy(network)
    passed = forward(weights, users, items)
    expected = torch_loss(network, users, items, labels)
    expected.backward()
    assert loss(passed.logits, labels) == pytest.approx(float(expected.detach()), abs=1e-9)
    gradients = backward(weights, passed, labels)
    assert gradients.keys() == dict(network.named_parameters()).keys()
    for name, weight in network.named_parameters():
        np.testing.assert_allclose(gradients[name], weight.grad.numpy(), rtol=0, atol=1e-9, err_msg=name)
        assert np.abs(gradients[name]).max() > 1e-6, name


def test_300_steps_of_adam_take_the_same_course(network):
    """From the same weights and batches, with decay, the losses of 300 steps agree within 1e-9, and they fall."""
    weights, optimiser = as_numpy(network), torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    ours, theirs = [], []
    adam, generator = Adam(weight_decay=0.1), np.random.default_rng(2)
    batches = [drawn(generator) for _ in range(10)]
    for step in range(300):
        users, items, labels = batches[step % 10]
        passed = forward(weights, users, items)
        ours.append(loss(passed.logits, labels))
        adam.apply(weights, backward(weights, passed, labels), 0.01)
        expected = torch_loss(network, users, items, labels)
        theirs.append(float(expected.detach()))
        optimiser.zero_grad()
        expected.backward()
        optimiser.step()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    assert np.mean(ours[-10:]) < np.mean(ours[:10]) / 2


def test_a_gradient_is_the_slope_of_the_loss(network):
    """Moving each of the fusion's weights by 1e-6 changes the loss by its gradient times that, within 1e-4 of it."""
    users, items, labels = drawn(np.random.default_rng(3))
    weights = as_numpy(network)
    gradient = backward(weights, forward(weights, users, items), labels)["fuse.weight"][0]
    for at, expected in enumerate(gradient):
        moved = []
        for by in (1e-6, -1e-6):
            there = weights | {"fuse.weight": weights["fuse.weight"].copy()}
            there["fuse.weight"][0, at] += by
            moved.append(loss(forward(there, users, items).logits, labels))
        assert (moved[0] - moved[1]) / 2e-6 == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_the_loss_bears_any_logit():
    """At logits of 1000 and -1000 the loss is 1000 for the wrong label and 0 for the right one."""
    assert loss(np.array([1000.0, -1000.0]), np.array([0.0, 1.0])) == 1000.0
    assert loss(np.array([1000.0, -1000.0]), np.array([1.0, 0.0])) == 0.0
