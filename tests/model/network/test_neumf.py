import numpy as np
import pytest
import torch
from scipy import sparse

from model.network.shape import NeuMFConfig, genre_matrix
from model.trainable.history_tower import HistoryTower, dropped, gap_bucket
from model.trainable.neumf import NeuMF

CONFIG = NeuMFConfig(history_length=6, factors=8, mlp_factors=4, genre_factors=3, hidden=(5, 3), blocks=2, heads=2)
GENRES = genre_matrix([["a"], ["a", "b"], ["b"], []], ["a", "b"])


def _network(seed=0):
    return NeuMF(CONFIG, 3, GENRES, torch.Generator().manual_seed(seed))


def _histories():
    items = torch.tensor([[0, 2, 1, 0, 0, 0], [3, 1, 0, 2, 1, 3]])
    times = torch.arange(6).expand(2, 6) * 90_000
    return torch.tensor([1, -1]), items, times, torch.full((2, 6), 0.5), torch.tensor([3, 6])


def _all_logits(network):
    users = network.users_now(*_histories())
    return network.pair_logits(users, network.item_side(), torch.arange(4).expand(2, 4))


def test_genre_matrix_marks_known_genres():
    """Item ["b", "x"] over genres a, b is the row 0, 1: x is left out."""
    assert genre_matrix([["b", "x"]], ["a", "b"]).tolist() == [[0.0, 1.0]]


def test_split_first_layer_equals_the_layer_over_the_concatenation():
    """The logit is GMF plus the MLP over [user, item, genre projection], written out for one pair."""
    network = _network()
    with torch.no_grad():
        users = network.users_now(*_histories())
        genres = network.genre_factors.mean(dim=0)  # item 1 has both genres
        joined = torch.cat([users[0], network.item_mlp_factors[1], genres])
        weight = torch.cat([network.first_user.weight, network.first_item.weight], dim=1)
        second = network.second(torch.relu(weight @ joined + network.first_item.bias).unsqueeze(0))
        gmf = (users[0] * network.item_factors[1] * network.fuse_gmf).sum()
        mlp = (torch.relu(second[0]) * network.fuse_mlp).sum()
        by_hand = gmf + mlp + network.item_bias[1] + network.fuse_bias
        assert torch.isclose(_all_logits(network)[0, 1], by_hand, atol=1e-6)


def _along(network, users, items, times, weights):
    """Return the user vector after each place of histories, (B, L, D)."""
    at = torch.arange(items.numel())
    return network.users_along(users, items, times, weights, at, None).view(*items.shape, -1)


def test_what_is_told_of_some_events_is_what_is_told_of_all():
    """Events are read as they stand in their windows, whatever the places without an event hold."""
    network = _network()
    users, items, times, weights, lengths = _histories()
    at = (torch.arange(items.shape[1]) < lengths.unsqueeze(1)).view(-1).nonzero().squeeze(1)
    assert len(at) < items.numel()
    with torch.no_grad():
        torch.nn.init.normal_(network.tower.gap_bias.weight, generator=torch.Generator().manual_seed(1))
        some = network.users_along(users, items, times, weights, at, None)
        assert torch.allclose(some, _along(network, users, items, times, weights).flatten(0, 1)[at], atol=1e-6)


def test_the_last_position_equals_the_whole_pass():
    """Ranking computes one position of what training computes at all, padding notwithstanding."""
    network = _network()
    users, items, times, weights, lengths = _histories()
    with torch.no_grad():
        torch.nn.init.normal_(network.tower.gap_bias.weight, generator=torch.Generator().manual_seed(1))
        torch.nn.init.normal_(network.tower.lag_bias, generator=torch.Generator().manual_seed(2))
        along = _along(network, users, items, times, weights)
        now = network.users_now(users, items, times, weights, lengths)
    assert torch.allclose(now, along[torch.arange(2), lengths - 1], atol=1e-5)


def test_a_position_does_not_see_what_comes_later():
    """Changing the last item and its time leaves all earlier positions as they were."""
    network = _network()
    users, items, times, weights, _ = _histories()
    later, late = items.clone(), times.clone()
    later[:, 5], late[:, 5] = 0, 10**9
    with torch.no_grad():
        before = _along(network, users, items, times, weights)[:, :5]
        after = _along(network, users, later, late, weights)[:, :5]
    assert torch.allclose(before, after, atol=1e-6)


def test_order_and_time_move_the_user():
    """The same items in another order, or with another gap, make another vector."""
    network = _network()
    with torch.no_grad():
        torch.nn.init.normal_(network.tower.gap_bias.weight, generator=torch.Generator().manual_seed(1))
        users, items, times, weights, lengths = _histories()
        first = network.users_now(users, items, times, weights, lengths)[1]
        turned = network.users_now(users, items.flip(1), times, weights, lengths)[1]
        slower = network.users_now(users, items, times * 1000, weights, lengths)[1]
    assert not torch.allclose(first, turned)
    assert not torch.allclose(first, slower)


def test_no_history_and_no_identity_is_the_zero_vector():
    """An unknown user with nothing in the history is described by zeros, whatever the padding holds."""
    network = _network()
    _, items, times, weights, _ = _histories()
    nothing = network.users_now(torch.tensor([-1, -1]), items, times, weights, torch.tensor([0, 0]))
    assert torch.equal(nothing, torch.zeros(2, 8))


def test_growth_keeps_old_scores():
    """After two users, two items and a genre came, every old pair has the score it had."""
    network = _network()
    with torch.no_grad():
        before = _all_logits(network)
        grown = genre_matrix([["a"], ["a", "b"], ["b"], [], ["c"], ["a"]], ["a", "b", "c"])
        network.grow(5, grown, torch.Generator().manual_seed(1))
        assert torch.equal(before, _all_logits(network))
    assert (network.n_users, network.n_items) == (5, 6)


@pytest.mark.parametrize("n_new", [0, 3])
def test_items_without_any_genre_start_at_the_mean(n_new):
    """Where no item has a genre, new ones start at the mean of all old ones, save for the noise; none is none."""
    network = NeuMF(CONFIG, 1, np.zeros((4, 0), dtype=np.float32), torch.Generator().manual_seed(0))
    mean = network.item_factors.detach().mean(dim=0)
    network.grow(1, np.zeros((4 + n_new, 0), dtype=np.float32), torch.Generator().manual_seed(1))
    new = network.item_factors.detach()[4:]
    assert new.shape == (n_new, CONFIG.factors)
    assert torch.allclose(new, mean.expand_as(new), atol=0.06)  # noise of 0.01


def test_a_new_item_starts_at_the_mean_of_those_that_share_its_genres():
    """A new item of genre a shares 1/1 with item 0 and 1/2 with item 1: weights 2/3 and 1/3, and noise of 0.01."""
    network = _network()
    start = (2 * network.item_factors[0] + network.item_factors[1]).detach() / 3
    grown = genre_matrix([["a"], ["a", "b"], ["b"], [], ["a"]], ["a", "b"])
    network.grow(3, grown, torch.Generator().manual_seed(1))
    assert (network.item_factors[4] - start).abs().max() < 0.05


def test_tables_do_not_shrink():
    """Fewer users than there are rows is refused."""
    with pytest.raises(ValueError, match="never shrink"):
        _network().grow(2, GENRES, torch.Generator())


def test_gaps_fall_into_powers_of_two_of_seconds():
    """0.9 s, 1 s, 3 s and 68 years: log2 of 1.9, 2, 4 and 2.1e9 seconds round down to 0, 1, 2 and 30."""
    year = 365 * 86_400_000
    assert gap_bucket(torch.tensor([900, 1000, 3000, 68 * year])).tolist() == [0, 1, 2, 30]


def test_a_longer_past_than_the_last_bucket_is_that_bucket():
    """Ten thousand years are in bucket 31, and a negative gap counts as none."""
    assert gap_bucket(torch.tensor([10_000 * 365 * 86_400_000, -5])).tolist() == [31, 0]


def test_heads_must_divide_the_width():
    """Three heads cannot share 128 factors."""
    with pytest.raises(ValueError, match="3 heads"):
        NeuMFConfig(heads=3)


def test_the_tower_reads_histories_of_any_length_up_to_its_own():
    """A tower for six items reads one of two."""
    tower = HistoryTower(8, 6, 1, 2, 0.0)
    times = torch.zeros(1, 2, dtype=torch.int64)
    assert tower(torch.zeros(2, 8), torch.arange(2), times, torch.zeros(1, 2)).shape == (2, 8)


def test_equal_seeds_start_equally():
    """Two networks from one seed have the same weights, from another seed other ones."""
    first, same, other = (_network(seed).item_factors for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not np.array_equal(first.detach().numpy(), other.detach().numpy())


def test_a_new_item_is_pulled_towards_what_occurred_beside_it():
    """Half of its start is the mean by genres, half that of its company: here item 2 alone."""
    network = _network()
    by_genre = (2 * network.item_factors[0] + network.item_factors[1]).detach() / 3
    start = (by_genre + network.item_factors[2].detach()) / 2
    grown = genre_matrix([["a"], ["a", "b"], ["b"], [], ["a"]], ["a", "b"])
    beside = sparse.coo_matrix(([3.0, 3.0], ([4, 2], [2, 4])), (5, 5), dtype=np.float32).tocsr()
    network.grow(3, grown, torch.Generator().manual_seed(1), beside)
    assert (network.item_factors[4] - start).abs().max() < 0.05


@pytest.mark.parametrize("rate", [0.2, 0.9])
def test_dropping_keeps_the_mean_and_the_share(rate):
    """A share of the numbers becomes zero, the others grow by 1 / (1 - rate), and a generator repeats itself."""
    x = torch.ones(101, 333)
    once, again = (dropped(x, rate, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(once, again)
    assert (once == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
    assert once[once != 0].unique().tolist() == [pytest.approx(1 / (1 - rate), rel=1e-3)]
    assert dropped(x, rate, None) is x
    assert dropped(x, 0.0, torch.Generator()) is x


@pytest.mark.parametrize("hidden", [(), (8,), (8, 4, 2)])
def test_the_mlp_has_two_layers(hidden):
    """Another number of widths is refused where the shape is made, also for a version that was stored with it."""
    with pytest.raises(ValueError, match="two widths"):
        NeuMFConfig.restore(NeuMFConfig().describe() | {"hidden": list(hidden)})
