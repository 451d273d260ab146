"""What serves in NumPy beside what was trained in torch: one network of each shape, drawn at random."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.history import Interaction, Profile
from model.network.delta import Delta
from model.network.intent import text_vectors
from model.network.served import ServedNetwork
from model.network.shape import PARTS, NeuMFConfig, weight_shapes
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.sequences import Sequences
from model.trainable.neumf import NeuMF

TOLERANCE = 1.0e-5  # of a logit of about one; sums of 32 bits in another order differ by a tenth of it
SHARE_ALIKE = 0.999  # of the places of lists; two items may change places whose logits differ by less than that
WORDS = ("a comedy of errors", "", "war and peace", "night", "")

shapes = st.builds(
    NeuMFConfig,
    history_length=st.sampled_from([1, 2, 7]),
    factors=st.sampled_from([4, 8, 24]),
    mlp_factors=st.integers(1, 9),
    genre_factors=st.integers(1, 5),
    text_width=st.sampled_from([16, 256]),
    neighbours=st.integers(1, 12),
    taste_factors=st.integers(1, 9),
    hidden=st.tuples(st.integers(1, 40), st.integers(1, 20)),
    blocks=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 4]),
    parts=st.sets(st.sampled_from(PARTS)).map(lambda parts: tuple(part for part in PARTS if part in parts)),
    repeats=st.booleans(),
)


def trained(config, seed, n_items=31, n_users=5, n_genres=3):
    """Return a network whose every part says something, as after a training."""
    generator, draw = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    genres = (draw.random((n_items, n_genres)) < 0.4).astype(np.float32)
    network = NeuMF(config, n_users, genres, generator)
    log = Sequences.of(
        np.repeat(np.arange(20), 12), draw.integers(0, n_items, 240), np.tile(np.arange(12) * 9_000, 20), np.ones(240)
    )
    network.evidence.count(log)
    network.evidence.calibrate(log, config.history_length, draw)
    network.taste.fit(log, config.history_length)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.requires_grad and not name.startswith("evidence"):
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    return network


def version_of(network):
    """Return it as a version."""
    names = (tuple(f"{kind}{n}" for n in range(rows)) for kind, rows in zip("iug", _rows(network), strict=True))
    return network.snapshot(*names)


def _rows(network):
    return network.n_items, network.n_users, network.item_genres.shape[1]


def profiles_of(config, seed, n=5, n_items=31):
    """Return users with histories of all lengths, some of them strangers to the version."""
    draw = np.random.default_rng(seed)
    return [
        Profile(
            f"u{user * 2}",
            recent=tuple(
                Interaction(f"i{row}", 10**12 - int(gap), "watch", float(share), share > 0.2)
                for row, gap, share in zip(
                    draw.permutation(n_items)[:length],
                    np.sort(10 ** draw.uniform(0, 9, length)),
                    draw.random(length),
                    strict=True,
                )
            ),
        )
        for user, length in enumerate((0, 1, 2, config.history_length, 8)[:n])
    ]


def logits_in_torch(network, histories, texts=None):
    """Return the heads and the evidence as training computes them, float32 (B, N)."""
    items = torch.from_numpy(histories.items)
    columns = (torch.from_numpy(histories.times), torch.from_numpy(histories.weights), (items >= 0).sum(dim=1))
    with torch.no_grad():
        users = network.users_now(torch.from_numpy(histories.users), items.clamp(min=0), *columns)
        rows = torch.arange(network.n_items).expand(len(users), -1)
        asked = None if texts is None else torch.from_numpy(texts)
        return network.pair_logits(users, network.item_side(), rows, asked).numpy()


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(0, 2**31), st.booleans())
def test_what_serves_is_what_was_trained(config, seed, has_words):
    """Logits of every shape and every set of parts are those of torch within 1e-5, and so is each pair by itself."""
    network = trained(config, seed)
    ranker = Ranker(version_of(network))
    histories = ranker.histories(profiles_of(config, seed))
    texts = text_vectors(WORDS, config.text_width) if has_words else None
    expected = logits_in_torch(network, histories, texts)
    served = ServedNetwork(ranker.snapshot)
    users = served.users_now(histories.users, histories.items, histories.times, histories.weights)
    room = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    assert np.abs(ranker._heads(users, texts) - expected).max() <= room
    rows = np.broadcast_to(np.arange(len(ranker)), expected.shape)
    assert np.abs(served.pair_logits(users, rows, texts) - expected).max() <= room


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 50), st.integers(0, 50), st.integers(0, 9))
def test_the_shapes_of_the_weights_are_those_of_the_network(config, n_users, n_items, n_genres):
    """What a stored version must hold is said without torch, and torch holds just that."""
    network = NeuMF(config, n_users, np.zeros((n_items, n_genres), np.float32), generator=None)
    found = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    assert weight_shapes(config, n_users, n_items, n_genres) == found


def test_lists_are_those_of_torch():
    """Of 3,000 users' ten places on 400 items at least 999 of 1,000 hold the same item, with the default shape."""
    config = NeuMFConfig()
    network = trained(config, seed=4, n_items=400)
    snapshot = version_of(network)
    ranker = Ranker(snapshot)
    draw = np.random.default_rng(0)
    profiles = [
        Profile(
            "stranger",
            recent=tuple(
                Interaction(f"i{row}", 10**12 - 60_000 * n, "watch", 1.0)
                for n, row in enumerate(draw.permutation(400)[: draw.integers(0, 50)].tolist())
            ),
        )
        for _ in range(3000)
    ]
    alike = []
    for start in range(0, len(profiles), 500):
        histories = ranker.histories(profiles[start : start + 500])
        heads = logits_in_torch(network, histories)
        users = ranker._user_vectors(histories)
        rest = ranker.logits(histories) - ranker._heads(users)  # counts, taste and approval, which have one home
        expected = ranker.best(heads + rest, histories, 10).rows
        alike.append(ranker.rank(histories, 10).rows == expected)
    assert np.mean(alike) >= SHARE_ALIKE


def test_a_version_that_was_shipped_as_a_delta_serves_alike():
    """The weights of a delta's result are those of the whole version to the bit, and so are its logits."""
    config = NeuMFConfig(history_length=5, factors=8, heads=2)
    network = trained(config, seed=1)
    before = version_of(network)
    with torch.no_grad():
        network.item_factors[3] += 0.5
        network.second.bias += 0.1
    after = version_of(network)
    delta = Delta.between(before, after)
    shipped = Delta.restore(delta.tensors, delta.describe()).applied(before)
    histories = Ranker(after).histories(profiles_of(config, 1))
    assert np.array_equal(Ranker(shipped).logits(histories), Ranker(after).logits(histories))
    assert not np.array_equal(Ranker(before).logits(histories), Ranker(after).logits(histories))


def test_weights_of_another_shape_do_not_serve():
    """A version that lacks a weight, or has one of another width, is refused before anything is computed."""
    snapshot = version_of(trained(NeuMFConfig(factors=8), seed=0))
    for wrong in (
        {name: weight for name, weight in snapshot.weights.items() if name != "fuse_mlp"},
        {**snapshot.weights, "fuse_mlp": np.zeros(3, np.float32)},
    ):
        with pytest.raises(ValueError, match="fuse_mlp"):
            ServedNetwork(replace(snapshot, weights=wrong))
    assert isinstance(snapshot, Snapshot)


def test_slopes_of_the_mlp_are_its_mean_gradients():
    """A small step along one number of the items' part changes what the MLP adds by step times slope, on average."""
    network = ServedNetwork(version_of(trained(NeuMFConfig(factors=8, hidden=(6, 4), neighbours=5), 3)))
    first, hidden = (
        network.first_user(np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)),
        network.side.hidden,
    )
    step = np.float32(1.0e-3)
    for number in range(6):
        moved = hidden + step * np.eye(6, dtype=np.float32)[number]
        grown = network.fused(moved + first[:, None]) - network.fused(hidden + first[:, None])  # (B, N)
        slopes = network.mlp_slopes(first, hidden)[:, number]
        np.testing.assert_allclose(grown.mean(axis=1, dtype=np.float64) / step, slopes, atol=5e-3)
