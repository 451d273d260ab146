"""A small world with a rule: of 50 items in a ring, a user watches the next or the one after the next."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.network.shape import NeuMFConfig
from model.network.snapshot import Snapshot
from model.training.fit import TrainingConfig
from model.training.rounds import train

N_ITEMS = 50
TINY = NeuMFConfig(
    history_length=10,
    factors=16,
    mlp_factors=8,
    genre_factors=4,
    neighbours=64,
    hidden=(8, 4),
    blocks=2,
    heads=2,
    dropout=0.1,
)


@dataclass(frozen=True)
class Ring:
    """Walks around the ring, and a snapshot trained on them."""

    catalogue: Catalogue
    events: list[tuple[str, Interaction]]
    config: NeuMFConfig
    snapshot: Snapshot

    def columns(self):
        """Return user ids, item ids, times and weights."""
        return columns(self.events)


def walks(n_users, n_events, seed):
    """Return each user's walk, users interleaved in time."""
    generator = np.random.default_rng(seed)
    places = generator.integers(0, N_ITEMS, n_users)
    events = []
    for step in range(n_events):
        for user in range(n_users):
            item = Interaction(f"i{places[user] % N_ITEMS}", 60_000 * (step * n_users + user), "watch", 1.0)
            events.append((f"u{user}", item))
        places = places + generator.integers(1, 3, n_users)
    return events


def columns(events):
    """Return events as columns."""
    return (
        [user for user, _ in events],
        [one.item_id for _, one in events],
        [one.ts for _, one in events],
        [one.weight for _, one in events],
    )


def profile(*items, user_id="nobody"):
    """Return a profile that touched these items in this order, a minute apart."""
    recent = tuple(Interaction(item, 60_000 * at, "watch", 1.0) for at, item in enumerate(items))
    return Profile(user_id, recent=tuple(reversed(recent)))


@pytest.fixture(scope="session")
def ring():
    """Return the world; genres are the ring's five quarters of ten items, and one item nobody touched."""
    torch.set_num_threads(1)
    items = [Item(f"i{place}", f"Item {place}", None, (f"part{place // 10}",)) for place in range(N_ITEMS)]
    catalogue = Catalogue.of([*items, Item("untouched", "Untouched", None, ("part0",))])
    events = walks(60, 20, seed=0)
    snapshot, _ = train(
        *columns(events),
        catalogue,
        network=TINY,
        training=TrainingConfig(epochs=40, batch=16, learning_rate=1.0e-2),
        generator=np.random.default_rng(0),
    )
    return Ring(catalogue, events, TINY, snapshot)


@pytest.fixture(scope="session")
def world():
    """Return the functions that make more of the ring's events and profiles."""
    return {"walks": walks, "columns": columns, "profile": profile}
