import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.network.blend import MODES, feature
from model.network.shape import NeuMFConfig
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import HistoryBatch, RankedLists, Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.ranking.retrieval import (
    LARGE_FROM,
    RetrievalConfig,
    RetrievingRanker,
    build_ranker,
    is_large,
    measure_recall,
)
from model.trainable.neumf import NeuMF
from model.wishes.wishes import NO_WISHES, GenreWishes, Wishes

faiss = pytest.importorskip("faiss", reason="needs the extra large: pip install 'reelstream[large]'")

N, CLUSTERS, LENGTH = 4000, 40, 8
FEW = RetrievalConfig(candidates=40, per_item=4, sampled_users=128)
CLUSTERED = replace(FEW, flat_to=100, probes=32)  # 1 << round(log2(2 sqrt 4000)) = 128 lists, of which a quarter
SHAPE = NeuMFConfig(
    history_length=LENGTH, factors=16, mlp_factors=8, genre_factors=4, hidden=(16, 8), blocks=1, dropout=0.0
)


@pytest.fixture(scope="module")
def snapshot():
    """Return clustered items of uneven norms and biases under a network whose MLP takes part in each score."""
    generator = torch.Generator().manual_seed(0)
    genres = np.eye(4, dtype=np.float32)[np.arange(N) % 4]
    network = NeuMF(SHAPE, 3, genres, generator)
    centres = torch.randn(CLUSTERS, SHAPE.factors + SHAPE.mlp_factors, generator=generator)
    vectors = centres[torch.arange(N) % CLUSTERS] + 0.5 * torch.randn(N, centres.shape[1], generator=generator)
    vectors *= torch.empty(N, 1).uniform_(0.2, 0.6, generator=generator)
    with torch.no_grad():
        network.item_factors.copy_(vectors[:, : SHAPE.factors])
        network.item_mlp_factors.copy_(vectors[:, SHAPE.factors :])
        network.item_bias.normal_(0.0, 0.3, generator=generator)
        network.fuse_mlp.mul_(3.0)
    return network.snapshot(tuple(map(str, range(N))), ("u", "v", "w"), ("a", "b", "c", "d"))


@pytest.fixture(scope="module")
def flat(snapshot):
    """Return a ranker whose index is a plain table."""
    return RetrievingRanker(snapshot, FEW)


@pytest.fixture(scope="module")
def clustered(snapshot):
    """Return a ranker whose index has clusters."""
    return RetrievingRanker(snapshot, CLUSTERED)


@pytest.fixture(scope="module")
def histories():
    """Return 24 histories of items of one cluster each; the last one is empty."""
    generator = np.random.default_rng(1)
    items = np.array(
        [user % CLUSTERS + CLUSTERS * generator.choice(N // CLUSTERS, LENGTH, replace=False) for user in range(24)]
    )
    items[-1] = -1
    times = np.cumsum(generator.integers(1, 10**6, items.shape), axis=1)
    weights = np.ones(items.shape, dtype=np.float32)
    return HistoryBatch(np.arange(24) % 4 - 1, items, times, weights, weights)


@pytest.fixture(params=["flat", "clustered"])
def ranker(request):
    """Return a ranker over each kind of index in turn."""
    return request.getfixturevalue(request.param)


def same(one: RankedLists, other: RankedLists):
    """Tell whether two results hold the same lists, and the same scores up to rounding."""
    return np.array_equal(one.rows, other.rows) and np.allclose(one.scores, other.scores, atol=1e-6)


def test_the_mlp_takes_part(snapshot, histories):
    """The MLP makes more than a tenth of the scores' variance, so that leaving it out of the index would show."""
    logits = Ranker(snapshot).logits(histories)
    mute = dict(snapshot.weights) | {"fuse_mlp": np.zeros(8, np.float32)}
    rest = Ranker(replace(snapshot, weights=mute)).logits(histories)
    assert ((logits - rest).var(axis=1) / logits.var(axis=1)).mean() > 0.1


def test_forty_of_four_thousand_candidates_hold_the_best_ten(ranker, histories):
    """A hundredth of the catalogue, reranked, finds at least 95 of 100 items of the exact lists."""
    recall = measure_recall(ranker, histories)
    assert (recall.n, recall.users) == (10, 24)
    assert recall.mean >= 0.95
    assert 0.0 <= recall.worst <= recall.mean <= 1.0


def test_the_linear_part_of_the_mlp_finds_more(snapshot, flat, histories):
    """With a ridge so large that only GMF and bias are left in the index, 20 candidates miss more than with it."""
    narrow = replace(FEW, candidates=20, per_item=2)
    without = RetrievingRanker(snapshot, replace(narrow, ridge=1e9))
    assert measure_recall(without, histories).mean < measure_recall(flat.with_config(narrow), histories).mean - 0.05


def test_scores_are_those_of_the_full_network(ranker, histories):
    """Each score is the sigmoid of the item's logit, not of what the index makes of it."""
    ranked = ranker.rank(histories, 10)
    logits = Ranker.score(ranker, histories, ranked.rows)
    assert np.allclose(ranked.scores, 1.0 / (1.0 + np.exp(-logits)), atol=1e-6)
    assert (np.diff(ranked.scores, axis=1) <= 0).all()


def test_nobody_is_given_their_history(ranker, histories):
    """Items of a history are among its user's candidates, but never in the list."""
    rows = ranker.rank(histories, 10).rows
    assert not (rows[:, :, None] == histories.items[:, None, :]).any()
    assert (rows >= 0).all()


def test_recall_of_everything_is_one(flat, histories):
    """With as many candidates as the catalogue has items, the lists are the exact ones."""
    recall = measure_recall(flat.with_config(replace(FEW, candidates=N)), histories.taken(slice(0, 5)), 7)
    assert (recall.mean, recall.standard_error, recall.worst) == (1.0, 0.0, 1.0)


def test_recall_is_the_share_of_the_exact_list(flat, histories):
    """One candidate a user, of two items wanted, finds at most one of two; wanting none is refused."""
    starved = flat.with_config(replace(FEW, candidates=1, per_item=1))
    one = histories.taken(slice(23, 24))  # without a history, so that no candidate is banned
    assert measure_recall(starved, one, 1).mean in {0.0, 1.0}
    assert measure_recall(starved, one, 1).standard_error == 0.0
    with pytest.raises(ValueError, match="at least one user"):
        measure_recall(flat, histories.taken(slice(0, 0)))


def test_more_candidates_are_sought_until_the_list_is_full(ranker, histories):
    """With all but 15 items excluded for each user, differently, the lists are those of the exact ranking."""
    generator = np.random.default_rng(2)
    excluded = np.ones((24, N), dtype=bool)
    for user in range(24):
        excluded[user, generator.choice(N, 15, replace=False)] = False
    exact = Ranker.rank(ranker, histories, 10, excluded=excluded)
    assert same(ranker.rank(histories, 10, excluded=excluded), exact)


def test_only_what_is_allowed_is_proposed(ranker, histories):
    """Of every tenth item, 400 of 4000, as much is found as of all; of 30 allowed ones everything is."""
    tenth = np.arange(N) % 10 == 3
    found = ranker.rank(histories, 10, allowed=tenth).rows
    exact = Ranker.rank(ranker, histories, 10, allowed=tenth).rows
    assert tenth[found].all()
    assert np.mean([np.isin(*lists).mean() for lists in zip(exact, found, strict=True)]) >= 0.95
    few = np.zeros(N, dtype=bool)
    few[np.random.default_rng(3).choice(N, 30, replace=False)] = True
    assert same(ranker.rank(histories, 10, allowed=few), Ranker.rank(ranker, histories, 10, allowed=few))


def test_each_user_may_be_allowed_something_else(ranker, histories):
    """A mask of one line a user is honoured line by line, down to a user who is allowed nothing."""
    allowed = np.zeros((24, N), dtype=bool)
    for user in range(24):
        allowed[user, user : N : user + 1] = True
    allowed[5] = False
    ranked = ranker.rank(histories, 10, allowed=allowed)
    assert (ranked.rows[5] == -1).all()
    assert (ranked.scores[5] == 0.0).all()
    for user in set(range(24)) - {5}:
        assert allowed[user, ranked.rows[user]].all()


def test_a_list_is_short_only_where_the_exact_one_is(ranker, histories):
    """Of three allowed items three places are filled; of a catalogue emptied by exclusion, none."""
    allowed = np.isin(np.arange(N), [1, 2, 3])
    ranked = ranker.rank(histories, 5, allowed=allowed)
    assert np.array_equal(np.sort(ranked.rows[-1]), [-1, -1, 1, 2, 3])
    assert (ranker.rank(histories, 5, allowed=np.zeros(N, dtype=bool)).rows == -1).all()
    assert (ranker.rank(histories, 5, excluded=np.ones((24, N), dtype=bool)).rows == -1).all()


def test_ties_go_to_the_lower_row(snapshot):
    """All items alike and no history: among the candidates that two more sources give, the lowest rows come first."""
    weights = {name: tensor.copy() for name, tensor in snapshot.weights.items()}
    for name in ("item_factors", "item_mlp_factors", "item_bias", "genre_factors"):
        weights[name][:] = 0.0

    def low(histories):
        return np.full((len(histories), 3), [7, -1, 2])

    def lower(histories):
        return np.full((len(histories), 2), [2, 0])

    ranker = RetrievingRanker(replace(snapshot, weights=weights), replace(FEW, per_item=1), sources=(low, lower))
    users, items, times = (np.full(shape, -1) for shape in ((1,), (1, 1), (1, 1)))
    nobody = HistoryBatch(users, items, times, np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))
    rows = ranker.rank(nobody, 40).rows[0]
    assert rows[0] == 0
    assert {2, 7} <= set(rows.tolist())
    assert rows.tolist() == sorted(set(rows.tolist()))


def test_other_sources_propose_what_the_index_does_not(snapshot, histories):
    """The exact list, given as a source, is found whole, where 10 candidates of the index alone miss some."""
    exact = Ranker(snapshot)
    narrow = replace(CLUSTERED, candidates=10, per_item=1, probes=1)
    alone = RetrievingRanker(snapshot, narrow)
    helped = RetrievingRanker(snapshot, narrow, sources=(lambda asked: exact.rank(asked, 10).rows,))
    assert measure_recall(alone, histories).mean < 1.0
    assert measure_recall(helped, histories).mean == 1.0


def test_lists_are_made_of_what_the_index_proposes(snapshot):
    """A recommender asks the index for lists without wishes, also beside some with wishes, for which it scores all."""
    ranker = RetrievingRanker(snapshot, replace(CLUSTERED, candidates=10, per_item=1, probes=1))
    catalogue = Catalogue.of(Item(name, name, 2000, ("abcd"[int(name) % 4],)) for name in snapshot.items)
    asking = Recommender(catalogue, ContentIndex(catalogue), Trending(), ColdStart(), ModeConfig(5, 3), ranker, "v1")
    profiles = [
        Profile(f"n{user}", recent=tuple(Interaction(str(user + CLUSTERS * n), 9 - n, "watch", 1.0) for n in range(8)))
        for user in range(12)
    ]
    histories = ranker.histories(profiles)

    def lists(found):
        return [[item.item_id for item in one.items] for one in found]

    proposed = [[str(row) for row in line if row >= 0] for line in ranker.rank(histories, 10).rows.tolist()]
    exact = [list(map(str, line)) for line in ranker.rank_exactly(histories, 10).rows.tolist()]
    assert proposed != exact
    assert lists(asking.recommend(profiles, 10)) == proposed
    wishes = [Wishes(genres=GenreWishes(must=("a",))) if user % 3 == 0 else NO_WISHES for user in range(12)]
    mixed = lists(asking.recommend(profiles, 10, asking.read(wishes)))
    assert [mixed[user] for user in range(12) if user % 3] == [proposed[user] for user in range(12) if user % 3]
    for user in range(0, 12, 3):
        allowed = np.arange(N) % 4 == 0
        best = Ranker(snapshot).rank(histories.taken(np.array([user])), 10, allowed=allowed).rows[0].tolist()
        assert mixed[user] == list(map(str, best))


def test_building_again_gives_the_same_lists(snapshot, clustered, histories):
    """Sampled users, clusters and order of reading follow from the seed alone."""
    again = RetrievingRanker(snapshot, CLUSTERED)
    first, second = clustered.rank(histories, 10), again.rank(histories, 10)
    assert np.array_equal(first.rows, second.rows)
    assert np.array_equal(first.scores, second.scores)


def test_real_histories_can_replace_the_made_up_ones(snapshot, histories):
    """The network is made linear over the given users, and finds their items."""
    ranker = RetrievingRanker(snapshot, FEW, sample=histories)
    assert measure_recall(ranker, histories).mean >= 0.95


def test_weights_that_are_not_numbers_are_refused(snapshot):
    """A spoilt item is noticed when the index is built, whoever it would have been proposed to."""
    weights = {name: tensor.copy() for name, tensor in snapshot.weights.items()}
    weights["item_bias"][17] = float("nan")
    with pytest.raises(FloatingPointError, match="finite"):
        RetrievingRanker(replace(snapshot, weights=weights), FEW)


def test_what_exact_ranking_refuses_is_refused(flat, histories):
    """No items wanted, and masks of another shape or type."""
    with pytest.raises(ValueError, match="got 0"):
        flat.rank(histories, 0)
    with pytest.raises(ValueError, match="excluded must be bool"):
        flat.rank(histories, 3, excluded=np.zeros((24, 3), dtype=bool))
    with pytest.raises(ValueError, match="allowed must be bool"):
        flat.rank(histories, 3, allowed=np.zeros(N, dtype=int))


def test_nobody_to_rank_is_no_list(ranker, histories):
    """An empty batch makes an empty result of the asked width."""
    assert ranker.rank(histories.taken(slice(0, 0)), 4).rows.shape == (0, 4)


def test_the_mode_decides_who_is_retrieved_from(snapshot):
    """Exact never, faiss with taste or without always, auto from 50,000 items."""
    assert [is_large(n, "auto") for n in (LARGE_FROM - 1, LARGE_FROM)] == [False, True]
    assert not is_large(10**9, "exact")
    assert is_large(1, "faiss")
    assert is_large(1, "faiss-tower")
    assert type(build_ranker(snapshot, "auto")) is Ranker
    assert type(build_ranker(snapshot, "faiss", FEW)) is RetrievingRanker


def test_without_the_package_the_cure_is_named(snapshot, monkeypatch):
    """Whoever asks for retrieval without faiss is told what to install."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match=r"reelstream\[large\]"):
        build_ranker(snapshot, "faiss")


def test_a_configuration_that_finds_nothing_is_refused():
    """No candidates, no probes or no ridge."""
    for wrong in ({"candidates": 0}, {"probes": 0}, {"ridge": 0.0}):
        with pytest.raises(ValueError, match="RetrievalConfig"):
            RetrievalConfig(**wrong)


@pytest.fixture(scope="module")
def later(snapshot):
    """Return a later version: 200 items have other vectors, and 5 new ones are like old ones, a little more wanted."""
    generator = np.random.default_rng(1)
    changed = np.arange(0, N, 20)
    weights = {name: weight.copy() for name, weight in snapshot.weights.items()}
    weights["item_factors"][changed] = weights["item_factors"][changed][::-1]
    weights["item_mlp_factors"][changed] = weights["item_mlp_factors"][changed][::-1]
    for name, weight in weights.items():
        if weight.ndim and len(weight) == N:
            new = weight[:5].copy() if name == "evidence.neighbours" else weight[:5] + 0.01
            weights[name] = np.concatenate([weight, new])
    weights["item_bias"][N:] += 1.0
    weights["second.weight"] += 0.02 * generator.standard_normal(weights["second.weight"].shape, dtype=np.float32)
    return replace(snapshot, weights=weights, items=tuple(map(str, range(N + 5)))), changed


def test_a_later_version_is_found_over_a_patched_index(ranker, later, histories):
    """With the vectors of changed rows replaced, lists are nearly the exact ones, new items included."""
    snapshot, changed = later
    patched = ranker.patched(snapshot, changed)
    assert (patched._replaced, ranker._replaced) == (len(changed) + 5, 0)
    assert not (ranker.rank(histories, 10).rows >= N).any()  # the index before is as it was
    anew = RetrievingRanker(snapshot, ranker.config)
    assert (
        measure_recall(patched, histories).mean > measure_recall(anew, histories).mean - 0.06
    )  # far more moved than in a round
    exact, found = (rows >= N for rows in (patched.rank_exactly(histories, 10).rows, patched.rank(histories, 10).rows))
    assert 0.9 * exact.sum() <= found.sum() > 0
    behind = ranker.patched(snapshot, np.empty(0, dtype=np.int64))  # as if nothing had changed but what is new
    assert measure_recall(behind, histories).mean < measure_recall(patched, histories).mean


def test_scores_after_a_patch_are_those_of_the_later_network(ranker, later, histories):
    """Whatever the index proposes is scored by the later version."""
    snapshot, changed = later
    found, exact = ranker.patched(snapshot, changed).rank(histories, 10), Ranker(snapshot)
    logits = exact.score(histories, found.rows)
    assert np.allclose(found.scores, 1.0 / (1.0 + np.exp(-logits)), atol=1.0e-5)


def test_what_changed_is_allowed_like_the_rest(ranker, later, histories):
    """Of rows beside the index only allowed ones are proposed."""
    snapshot, changed = later
    allowed = np.arange(N + 5) % 2 == 1
    rows = ranker.patched(snapshot, changed).rank(histories, 10, allowed=allowed).rows
    assert (rows % 2 == 1).all()


def test_patches_add_up_until_a_new_index_is_due(ranker, later):
    """Replacements are counted, and once they are four times the catalogue the index is made anew."""
    snapshot, changed = later
    patched = ranker.patched(snapshot, changed)
    for times in range(1, 4):
        patched = patched.patched(snapshot, np.arange(N + 5))
        assert patched._replaced == len(changed) + 5 + times * (N + 5)
    assert patched.patched(snapshot, np.arange(N + 5))._replaced == 0


def test_a_catalogue_that_outgrows_a_plain_table_gets_clusters(snapshot, later):
    """One item more than a table may hold, and the index is of the other kind."""
    ranker = RetrievingRanker(snapshot, replace(FEW, flat_to=N))
    assert (ranker._index._n_lists, ranker.patched(*later)._index._n_lists) == (0, 128)


def replaced(ranker):
    """Return how many rows of its index were replaced."""
    return ranker._replaced


def test_a_ranker_goes_on_where_it_is_told_what_changed(snapshot, later, flat):
    """Without the rows that changed, and after an exact ranker, everything is built anew."""
    after, changed = later
    assert replaced(build_ranker(after, "faiss", FEW, before=flat, changed=changed)) == len(changed) + 5
    assert replaced(build_ranker(after, "faiss", FEW, before=flat)) == 0
    assert len(build_ranker(after, "faiss", FEW, before=Ranker(snapshot), changed=changed)) == N + 5


def test_items_of_the_history_are_candidates_where_repeats_are_kept(snapshot, histories):
    """With forty candidates of four thousand, each item of a history that belongs on the exact list is on the other."""
    config = replace(SHAPE, repeats=True)
    ranker = RetrievingRanker(replace(snapshot, config=config), FEW)
    exact, found = ranker.rank_exactly(histories, 10), ranker.rank(histories, 10)
    listed = 0
    for best, mine, history in zip(exact.rows, found.rows, histories.items, strict=True):
        again = set(best.tolist()) & set(history.tolist()) - {-1}
        listed += len(again)
        assert again <= set(mine.tolist())
    assert listed > 0


TASTES = 25  # of items that are touched together, whatever the network says of them


@pytest.fixture(scope="module")
def tasted(snapshot):
    """Return the same version with a taste of its own that its blend lets count."""
    generator = np.random.default_rng(3)
    centres = generator.standard_normal((TASTES, SHAPE.taste_factors), dtype=np.float32)
    noise = generator.standard_normal((N, SHAPE.taste_factors), dtype=np.float32)
    factors = centres[np.arange(N) % TASTES] + np.float32(0.3) * noise
    weights = dict(snapshot.weights) | {"taste.factors": 0.2 * factors, "taste.strength": np.array(0.2, np.float32)}
    return weighing_taste(replace(snapshot, weights=weights), 40.0)


def weighing_taste(snapshot, weight):
    """Return a version whose blend counts taste so much for everybody."""
    blend = snapshot.weights["blend.weights"].copy()
    blend[MODES.index("personalized"), :, feature("taste")] = weight
    return replace(snapshot, weights=dict(snapshot.weights) | {"blend.weights": blend})


@pytest.mark.parametrize("config", [FEW, CLUSTERED], ids=["flat", "clustered"])
def test_taste_retrieves_beside_the_tower(tasted, histories, config):
    """Forty candidates hold the best ten by network and taste, for unknown users too; the tower alone misses many."""
    unknown = replace(histories, users=np.full(len(histories), -1))
    both, tower = RetrievingRanker(tasted, config), RetrievingRanker(tasted, replace(config, taste=False))
    for asked in (histories, unknown):
        found = measure_recall(both, asked).mean
        assert found >= 0.95
        assert measure_recall(tower, asked).mean < found - 0.1


def test_the_setting_leaves_taste_out(tasted, snapshot):
    """The index is wider by the factors of taste, unless a setting leaves it out or the blend gives it no weight."""
    bare = replace(tasted, config=replace(SHAPE, parts=tuple(part for part in SHAPE.parts if part != "taste")))
    tower = SHAPE.factors + 1
    assert width(build_ranker(tasted, "faiss", FEW)) == tower + SHAPE.taste_factors
    assert width(build_ranker(tasted, "faiss-tower", FEW)) == tower
    assert width(build_ranker(snapshot, "faiss", FEW)) == tower
    assert width(build_ranker(bare, "faiss", FEW)) == tower


def width(ranker):
    """Return the width of the vectors of an index."""
    return len(ranker._turn)


def test_a_patched_index_has_the_later_taste(tasted, histories):
    """After items were given another taste, a patched index finds as much of the exact lists as a new one."""
    changed = np.arange(0, N, 20)
    factors = tasted.weights["taste.factors"].copy()
    factors[changed] = factors[(changed + 1) % N]
    later = replace(tasted, weights=dict(tasted.weights) | {"taste.factors": factors})
    patched = RetrievingRanker(tasted, FEW).patched(later, changed)
    assert patched._replaced == len(changed)
    assert (
        measure_recall(patched, histories).mean >= measure_recall(RetrievingRanker(later, FEW), histories).mean - 0.02
    )


def test_an_index_is_made_anew_where_taste_begins_to_count_or_ends(tasted):
    """The blend of a later version decides, whether a round or a rollback led there."""
    without = weighing_taste(tasted, 0.0)
    few = np.arange(3)
    begun = RetrievingRanker(without, FEW).patched(tasted, few)
    ended = RetrievingRanker(tasted, FEW).patched(without, few)
    assert [width(one) - SHAPE.factors - 1 for one in (begun, ended)] == [SHAPE.taste_factors, 0]
    assert (begun._replaced, ended._replaced) == (0, 0)
    towers = RetrievingRanker(without, replace(FEW, taste=False)).patched(tasted, few)
    assert (width(towers), towers._replaced) == (SHAPE.factors + 1, 3)


def test_an_index_is_made_anew_where_most_items_changed(tasted):
    """As after taste was factorised again."""
    before = RetrievingRanker(tasted, FEW)
    for n, replacements in ((N // 2, N // 2), (N // 2 + 1, 0)):
        after = build_ranker(tasted, "faiss", FEW, before=before, changed=np.arange(n))
        assert replaced(after) == replacements
