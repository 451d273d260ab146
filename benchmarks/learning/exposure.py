"""The place for new items: what it costs, and what it finds.

Without ``--log``: a made-up world. A user who looks at a list touches the first film on it that appeals, else what the
user hears of, and that is what many have touched of late. Lists hold the ten that were touched most of late and that
the user has not touched. Now and then a new film comes that nobody has heard of, and every fifth of them is good: as
appealing as the films in the lists. How many events pass until such a film is first in a list, and first touched from
one, and how many of them get known? Each share of exposed lists runs in the same worlds, one for each seed.

With ``--log``: the cost in HR@10, test then learn. A log does not react to lists, so nothing can be gained there. The
share times the difference between the last place's two hit rates is the same cost, with less chance in it.

    python benchmarks/learning/exposure.py                             # the made-up worlds, 7 minutes
    python benchmarks/learning/exposure.py --seeds 1 --events 20000 --json
    python benchmarks/learning/exposure.py --log ml-100k.zip --shares 0,0.1
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np

from model.ranking.cold_start import ScoredItem
from model.ranking.exposure import ExposureConfig, ExposureEvidence, NewItem, Showings, expose, most_promising
from replay.datasets.readers import read_dataset
from replay.prequential.offline_worker import OfflineWorkerConfig
from replay.prequential.run import PrequentialConfig, PrequentialRun
from replay.prequential.stream import Stream
from streams.serving.lists import ServingConfig

K = 10
RENEW_EVERY = 50  # events between two looks at what trends and what is promising
KNOWN = 50  # events that have touched a film that got known


@dataclass(frozen=True)
class World:
    """What is made up.

    Parameters
    ----------
    users : people who come, each as often as any other.
    films : at the beginning.
    new_every : events between two new films; every fifth is good.
    appeal : mean chance that a film is touched by somebody who looks at it; films differ (Beta).
    good : that chance for a good new film.
    looks : how often somebody looks at the list.
    half_life : events after which a touch counts half.
    forgets : touches after which a user is somebody else.
    """

    users: int = 500
    films: int = 400
    new_every: int = 500
    appeal: float = 0.04
    good: float = 0.2
    looks: float = 0.4
    half_life: float = 2000.0
    forgets: int = 40


@dataclass(eq=False)
class Film:
    """A film: whether it is a good new one, when it came, and when what first happened to it."""

    appeal: float
    is_good: bool
    came: int
    touches: int = 0
    heat: float = 0.0
    first: dict[str, int] = field(default_factory=dict)


class Life:
    """One run of a world; its films and their order depend on the seed alone.

    Parameters
    ----------
    world : what is made up.
    share : of lists whose last place goes to a new film.
    seed : of everything random.
    config : how new films are judged.
    """

    def __init__(self, world: World, share: float, seed: int, config: ExposureConfig) -> None:
        self._world = world
        self._share = share
        self._config = config
        self._made, self._chance = np.random.default_rng(seed), Random(seed)
        self.films = [self._new_film(0, is_good=False) for _ in range(world.films)]
        for film in self.films:  # what people have heard of already
            film.touches = int(self._made.poisson(180 * film.appeal))
            film.heat = float(film.touches)
        self._known: list[set[int]] = [set() for _ in range(world.users)]
        self._order: list[int] = []
        self._heard = np.zeros(0)
        self._new: tuple[NewItem, ...] = ()
        self._showings: dict[str, Showings] = {}
        self._ranked = Showings()  # of the last place, where a film has it by its heat
        self.hits = 0

    def run(self, events: int) -> None:
        """Let so many events happen."""
        for at in range(events):
            if at % self._world.new_every == 0:
                self.films.append(self._new_film(at, is_good=at // self._world.new_every % 5 == 0))
            if at % RENEW_EVERY == 0:
                self._renew()
            self._event(at)

    def _new_film(self, at: int, *, is_good: bool) -> Film:
        drawn = float(self._made.beta(0.5, 0.5 / self._world.appeal - 0.5))
        return Film(self._world.good if is_good else drawn, is_good, at)

    def _renew(self) -> None:
        for film in self.films:
            film.heat *= 2.0 ** (-RENEW_EVERY / self._world.half_life)
        heat = np.array([film.heat for film in self.films])
        self._order = np.argsort(-heat, kind="stable").tolist()
        self._heard = np.cumsum(heat + 0.02) / (heat + 0.02).sum()
        evidence = ExposureEvidence(
            {str(row): film.touches for row, film in enumerate(self.films)},
            self._showings,
            (1.0 + self._ranked.hits) / (100.0 + self._ranked.shown),
        )
        self._new = most_promising([str(row) for row in reversed(range(len(self.films)))], evidence, self._config)

    def _event(self, at: int) -> None:
        user = self._chance.randrange(self._world.users)
        if len(self._known[user]) >= self._world.forgets:
            self._known[user] = set()
        mine = self._known[user]
        unseen = (row for row in self._order if row not in mine)
        ranked = [ScoredItem(str(row), 0.0, "trending", "") for row, _ in zip(unseen, range(K), strict=False)]
        new = [item for item in self._new if int(item.item_id) not in mine]
        listed = expose(ranked, K, new, self._share, self._chance).items
        rows = [int(item.item_id) for item in listed]
        for row in rows:
            self.films[row].first.setdefault("listed", at)
        touched = self._looked(rows)
        if touched is not None:
            self.hits += 1
            self.films[touched].first.setdefault("hit", at)
        self._count_last(listed[-1], is_hit=touched == rows[-1])
        row = int(np.searchsorted(self._heard, self._chance.random())) if touched is None else touched
        film = self.films[row]
        film.touches += 1
        film.heat += 1.0
        if film.touches >= KNOWN:
            film.first.setdefault("known", at)
        mine.add(row)

    def _looked(self, rows: Iterable[int]) -> int | None:
        """Return the film that somebody touches who may look at these, or None."""
        if self._chance.random() >= self._world.looks:
            return None
        return next((row for row in rows if self._chance.random() < self.films[row].appeal), None)

    def _count_last(self, item: ScoredItem, *, is_hit: bool) -> None:
        if item.source != "exposure":
            self._ranked = self._ranked.tested(is_hit=is_hit)
            return
        self._showings[item.item_id] = self._showings.get(item.item_id, Showings()).tested(is_hit=is_hit)


def figures(life: Life, events: int) -> dict[str, float]:
    """Return the figures of one run; of the good new films those that came in its first half."""
    came = [film for film in life.films if film.is_good and film.came < events // 2]
    return {
        "hit_rate": life.hits / events,
        "good_films": len(came),
        **{f"share_{what}": float(np.mean([what in film.first for film in came])) for what in ("hit", "known")},
        **{f"events_until_{what}": _median(came, what) for what in ("listed", "hit")},
    }


def _median(films: Iterable[Film], what: str) -> float:
    """Return the median of the events until something happened; infinite where it did to fewer than half."""
    return float(np.median([film.first.get(what, np.inf) - film.came for film in films]))


def in_worlds(shares: list[float], seeds: list[int], events: int, config: ExposureConfig) -> list[dict[str, float]]:
    """Return a line for each share, with the means over the seeds."""
    lines = []
    for share in shares:
        runs = []
        for seed in seeds:
            life = Life(World(), share, seed, config)
            life.run(events)
            runs.append(figures(life, events))
        lines.append({"share": share, **{name: float(np.mean([run[name] for run in runs])) for name in runs[0]}})
    return lines


def on_log(path: Path, shares: list[float], limit: int | None, seed: int) -> list[dict[str, float]]:
    """Return a line for each share, with the hit rate of all tests of a log, and of the last place by who has it."""
    stream = Stream.of(read_dataset(path), limit=limit)
    lines = []
    for share in shares:
        road = replace(OfflineWorkerConfig(), serving=ServingConfig(expose=share))
        run = PrequentialRun(stream, PrequentialConfig(seed=seed, road=road))
        run.warm_up(stream.warm)
        run.round()
        for _ in run.blocks():
            pass
        places = run.worker.last_places()
        shown, hits = (sum(counts) for counts in zip((0, 0), *places["items"].values(), strict=True))
        lines.append(
            {
                "share": share,
                "tests": len(stream.tests),
                "hit_rate": float(np.isfinite(run.track.ranks).mean()),
                "last_by_score": places["hits"] / max(1, places["shown"]),
                "last_if_new": hits / max(1, shown),
            }
        )
    return lines


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", default="0,0.05,0.1,0.2", help="of lists whose last place goes to a new item")
    parser.add_argument("--seeds", default="1,2,3", help="a world for each")
    parser.add_argument("--events", type=int, default=60_000, help="of each world")
    parser.add_argument("--log", type=Path, help="a log, for the cost")
    parser.add_argument("--limit", type=int, help="the earliest so many events of the log")
    for name in ("until", "pool"):
        parser.add_argument(f"--{name}", type=int, default=getattr(ExposureConfig(), name), help="see ExposureConfig")
    for name in ("prior", "optimism"):
        parser.add_argument(f"--{name}", type=float, default=getattr(ExposureConfig(), name), help="see ExposureConfig")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    given = parser.parse_args()
    shares, seeds = [float(one) for one in given.shares.split(",")], [int(one) for one in given.seeds.split(",")]
    config = ExposureConfig(until=given.until, pool=given.pool, prior=given.prior, optimism=given.optimism)
    if given.log is None:
        lines = in_worlds(shares, seeds, given.events, config)
    else:
        lines = on_log(given.log, shares, given.limit, seeds[0])
    if given.json:
        print(json.dumps(lines))
        return
    print("".join(f"{name:>22}" for name in lines[0]))
    for line in lines:
        print("".join(f"{value:22.4f}" for value in line.values()))


if __name__ == "__main__":
    main()
