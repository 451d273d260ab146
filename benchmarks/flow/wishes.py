"""Whether a list ever holds what it must not: seen, hidden or excluded items, a forbidden genre, another year.

Usage: ``python -m benchmarks.flow.wishes ml-100k [--lists 1000000] [--seconds 600] [--seed 0]``

Lists are made as a worker makes them, by the same ``Serving`` and ``Recommender``, for users of the log and strangers,
each with wishes drawn at random: genres of all four sorts, years, examples, weights, exclusions, lengths and repeats.
Every third call is answered by what a worker falls back on. Each list is compared with the log itself and with what
was asked for. Exits with 1 where one holds what it must not.
"""

import asyncio
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

import click
import numpy as np

from benchmarks.flow.pipeline import part
from model.catalogue import Item
from model.network.shape import NeuMFConfig
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.training.fit import TrainingConfig
from model.training.rounds import train
from model.wishes.combining import WEIGHTS
from model.wishes.wishes import GenreWishes, Wishes
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from replay.prequential.state import OfflineState
from streams.records.records import Action, Recommendation, Watch
from streams.serving.lists import Serving, ServingConfig, Trigger

T = TypeVar("T")
BATCH = 64
LEARNT = 40_000  # events that the version learns from; what comes later it does not know


class Alternating:
    """Scores at once, and gives the fallback in every third call."""

    def __init__(self) -> None:
        self._calls = 0

    async def within_budget(self, score: Callable[[], T], fallback: Callable[[], T], *, is_urgent: bool = True) -> T:  # noqa: ARG002 - a Scorer's signature
        """Return what a worker would, as if every third call were late."""
        self._calls += 1
        return fallback() if self._calls % 3 == 0 else score()


class Log:
    """What users of a log have touched and hidden, as sets of its own beside the state that lists are made from."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.state = OfflineState()
        self.seen: defaultdict[str, set[str]] = defaultdict(set)
        self.hidden: defaultdict[str, set[str]] = defaultdict(set)
        draw = np.random.default_rng(seed)
        rows = dataset.interactions
        for number, (user, item, ts) in enumerate(zip(rows["user_id"], rows["item_id"], rows["ts"], strict=True)):
            events: list[Watch | Action] = [Watch(f"e{number}", user, item, int(ts), 1.0)]
            self.seen[user].add(item)
            if draw.random() < 0.02:
                hides = str(draw.choice(list(dataset.catalogue.items)))
                events.append(Action(f"h{number}", user, hides, int(ts), "hide"))
                self.hidden[user].add(hides)
            self.state.apply(events)


def recommender_of(dataset: Dataset, log: Log) -> Recommender:
    """Return a recommender with a version that was trained on the beginning of the log."""
    rows = part(dataset, 0, LEARNT).interactions
    snapshot, _ = train(
        rows["user_id"].tolist(),
        rows["item_id"].tolist(),
        rows["ts"].to_numpy(),
        (rows["rating"] / 5).to_numpy(dtype=np.float32),
        dataset.catalogue,
        network=NeuMFConfig(factors=16, mlp_factors=16, hidden=(32, 16), history_length=50),
        training=TrainingConfig(epochs=1, batch=64),
        generator=np.random.default_rng(0),
    )
    trends = log.state.trends(dataset.catalogue)
    trending, newcomers = Trending.of(trends.everything[:500]), Trending.of(trends.newcomers[:500])
    index = ContentIndex(dataset.catalogue)
    made = Recommender(dataset.catalogue, index, trending, ColdStart(), ModeConfig(), newcomers=newcomers)
    return made.with_model(Ranker(snapshot), "v1")


class Drawing:
    """Draws wishes."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._genres = list(dataset.catalogue.genres())
        self._items = list(dataset.catalogue.items)

    def some(self, values: list[str], most: int) -> tuple[str, ...]:
        """Return none to ``most`` of the values, more often none."""
        n = int(self._draw.integers(0, most + 1)) if self._draw.random() < 0.5 else 0
        return tuple(self._draw.choice(values, n, replace=False).tolist()) if n else ()

    def wishes(self) -> Wishes:
        """Return what somebody may ask for."""
        draw = self._draw
        first = int(draw.integers(1930, 1999)) if draw.random() < 0.3 else None
        last = int(draw.integers(first or 1930, 2000)) if draw.random() < 0.3 else None
        weights = tuple((name, float(draw.random() * 3)) for name in WEIGHTS if draw.random() < 0.1)
        return Wishes(
            GenreWishes(
                self.some(self._genres, 1),
                self.some(self._genres, 3),
                self.some(self._genres, 2),
                self.some(self._genres, 2),
            ),
            (first, last),
            None,
            self.some(self._items, 3),
            weights,
            self.some(self._items, 40),
            bool(draw.random() < 0.2),
            int(draw.integers(1, 201)) if draw.random() < 0.2 else 10,
        )


def wrong(found: Recommendation, wish: Wishes, log: Log, items: Mapping[str, Item]) -> Counter[str]:
    """Return how many items of a list must not be there, by why."""
    counts: Counter[str] = Counter()
    first, last = wish.years
    ids = [item.item_id for item in found.items]
    counts["twice"] += len(ids) - len(set(ids))
    counts["too long"] += max(0, len(ids) - (wish.k or 0))
    for item_id in ids:
        genres, year = set(items[item_id].genres), items[item_id].year
        counts["seen"] += item_id in log.seen[found.user_id] and not wish.allow_seen
        counts["hidden"] += item_id in log.hidden[found.user_id]
        counts["excluded"] += item_id in wish.exclude or item_id in wish.like
        counts["genre"] += not genres >= set(wish.genres.must) or bool(genres & set(wish.genres.never))
        if first is not None or last is not None:
            counts["year"] += year is None or not (first or 0) <= year <= (last or 9999)
    return +counts


@click.command()
@click.argument("dataset")
@click.option("--lists", default=1_000_000, show_default=True, help="Lists to make.")
@click.option("--seconds", default=600.0, show_default=True, help="Longest time.")
@click.option("--seed", default=0, show_default=True)
def main(dataset: str, lists: int, seconds: float, seed: int) -> None:
    """Make lists and count what must not be in them."""
    data = read_dataset(dataset)
    log = Log(data, seed)
    drawing, recommender = Drawing(data, seed), recommender_of(data, log)
    serving = Serving(ServingConfig(chunk=BATCH), Alternating(), log.state, lambda: 0)
    users = [*map(str, log.seen), *(f"stranger{n}" for n in range(50))]
    draw, began = np.random.default_rng(seed), time.monotonic()
    counts: Counter[str] = Counter()
    made = placed = 0
    tiers: Counter[str | None] = Counter()
    while made < lists and time.monotonic() - began < seconds:
        wishes = [drawing.wishes() for _ in range(BATCH)]
        wanted = [
            (log.state.profile(str(user)), Trigger.of_request(f"r{made + n}", 1))
            for n, user in enumerate(draw.choice(users, BATCH))
        ]
        answers = asyncio.run(serving.answer(recommender, wanted, wishes=wishes))
        for answer, wish in zip(answers, wishes, strict=True):
            counts += wrong(answer.recommendation, wish, log, data.catalogue.items)
            tiers[answer.recommendation.tier] += 1
            placed += len(answer.recommendation.items)
        made += BATCH
    took = time.monotonic() - began
    click.echo(f"{made} lists, {placed} items, {took:.0f} s, {dict(tiers)}: {dict(counts) or 'nothing wrong'}")
    sys.exit(1 if counts else 0)


if __name__ == "__main__":
    main()
