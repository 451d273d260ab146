"""Training on a whole log: what the blend is learnt from, and that nothing is lost by it."""

import numpy as np

from model.catalogue import Catalogue, Item
from model.network.blend import LENGTHS
from model.network.shape import NeuMFConfig
from model.training.fit import TrainingConfig
from model.training.whole_log import train_blended

NETWORK = NeuMFConfig(factors=4, mlp_factors=4, hidden=(8, 4), history_length=20)
ITEMS = [f"i{number}" for number in range(60)]


def trained(n_users, per_user):
    """Return a version of users who touched so many items each, all different."""
    draw = np.random.default_rng(0)
    users = [f"u{number}" for number in range(n_users) for _ in range(per_user)]
    items = [ITEMS[row] for _ in range(n_users) for row in draw.permutation(len(ITEMS))[:per_user]]
    return train_blended(
        users,
        items,
        np.arange(len(users)) * 1000,
        np.ones(len(users), np.float32),
        Catalogue.of(Item(item, item) for item in ITEMS),
        network=NETWORK,
        training=TrainingConfig(epochs=1, batch=64),
        generator=np.random.default_rng(1),
    )[0]


def test_a_blend_is_learnt_from_beginnings_of_strangers_and_from_the_latest_events_of_others():
    """Of 250 users 12 are strangers, with 9 tests of 1 to 9 known items each; 59 have 3 tests after 27 or more."""
    snapshot = trained(250, 30)
    tests = snapshot.blend().tests.tolist()
    assert tests[:11] == [0.0, *[12.0] * 9, 0.0]
    assert sum(tests[11:LENGTHS]) == 0.0
    assert tests[LENGTHS] == 59 * 3
    assert len(snapshot.users) == 250
    assert set(snapshot.items) == set(ITEMS)


def test_of_few_users_no_blend_is_learnt():
    """The smallest log that keeps ten strangers apart has 200 users."""
    assert not trained(199, 5).blend().is_learnt
    assert trained(200, 5).blend().is_learnt
