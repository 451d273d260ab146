import numpy as np
import pytest

from model.feedback import NEWCOMER_EVENTS
from model.history import Interaction
from model.own_time import OwnTime
from model.training import heat
from model.training.heat import Heat, HeatConfig

DAY = 86_400_000


def _stream(generator, n, step_ms):
    times = np.cumsum(generator.integers(0, step_ms, n)) + 1_600_000_000_000
    kinds, items = generator.choice(["watch", "rate"], n), generator.integers(0, 30, n)
    return [
        (
            Interaction(f"i{items[at]}", int(times[at]), str(kinds[at]), float(at % 5) / 4, bool(at % 4)),
            int(generator.integers(0, 40)),
        )
        for at in range(n)
    ]


@pytest.mark.parametrize("step_ms", [60_000, 5 * DAY])
def test_items_are_as_hot_as_their_events_are_in_own_time(step_ms):
    """Likings add 2 ** -(age in half-lives), a rating one and a watch its weight, in pieces of a stream."""
    events = _stream(np.random.default_rng(0), 1500, step_ms)
    config, found = HeatConfig(), Heat()
    clock = OwnTime.beginning(events[0][0].ts, config.trending_half_life_ms)
    own = [clock.take(one.ts) for one, _ in events]
    for begin, end in ((0, 1), (1, 700), (700, 700), (700, 1500)):
        found.add_all(events[begin:end])
    for scores, half_life_ms, first in (
        (found.lists().everybody.scores, config.trending_half_life_ms, 1000),
        (found.lists().newcomers.scores, config.newcomers_half_life_ms, NEWCOMER_EVENTS),
    ):
        wanted = dict.fromkeys(scores, 0.0)
        for (one, ordinal), moment in zip(events, own, strict=True):
            if one.is_positive and ordinal < first and one.item_id in wanted:
                heat = 1.0 if one.kind == "rate" else one.weight
                wanted[one.item_id] += heat * 2.0 ** ((moment - clock.own) / half_life_ms)
        highest = max(wanted.values())
        assert len(scores) > 5
        assert dict(scores) == pytest.approx({item: heat / highest for item, heat in wanted.items()}, rel=1e-9)


def test_a_list_of_many_events_is_bounded(monkeypatch):
    """Of thirty items with a bound of ten, the ten hottest are left."""
    monkeypatch.setattr(heat, "MAX_ITEMS", 10)
    events = _stream(np.random.default_rng(1), 600, 60_000)
    unbounded, bounded = Heat(), Heat()
    bounded.add_all(events)
    monkeypatch.setattr(heat, "MAX_ITEMS", 100)
    unbounded.add_all(events)
    assert list(bounded.lists().everybody.scores) == list(unbounded.lists().everybody.scores)[:10]


def test_a_copy_of_the_heat_goes_its_own_way():
    """What a twin takes later moves neither the lists nor the clock of the one that it was made from."""
    events = _stream(np.random.default_rng(1), 60, 60_000)
    first = Heat()
    first.add_all(events[:30])
    before, twin = first.lists(), first.copy()
    twin.add_all(events[30:])
    assert first.lists() == before != twin.lists()
    first.add_all(events[30:])
    assert first.lists() == twin.lists()
