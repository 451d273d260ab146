"""How good are cold-start lists, and which constants? HR@10 over users' first events, test then learn.

The log is read in time order. The first fifth only feeds the hot list. After that each of a user's events 2 to 10
is ranked before it is learned: a hit is its item among the ten best of the whole catalogue without the user's
known items. The hot list is refreshed every 100 events. Pure trending stands first, then one line per constant.

    python benchmarks/learning/coldstart.py ml-100k.zip            # the table
    python benchmarks/learning/coldstart.py ml-1m.zip --brief      # trending alone and the defaults only
    python benchmarks/learning/coldstart.py ml-100k.zip --latency  # time of one batch of 100 users
    python benchmarks/learning/coldstart.py ml-100k.zip --stale    # an installation before its first version

With ``--stale`` a log begins with nothing and no version ever serves. Every event after a user's first is tested on the
list of its moment, as live, with trending merged every so many events: a replay of a thousand events a second merges
once in as many. Beside it stands popularity that knows every event at once.
"""

import argparse
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from model.history import Interaction, Profile
from model.ranking.cold_start import ColdStart, ColdStartConfig, Trending
from model.ranking.content import ContentConfig, ContentIndex
from replay.datasets.readers import Dataset, read_dataset
from replay.prequential.baseline_ranks import baseline_ranks
from replay.prequential.run import PrequentialConfig, PrequentialRun
from replay.prequential.stream import Stream

DAY_MS = 86_400_000
EVENTS_PER_REFRESH = 100
BRIEF = ("trending alone, half-life 10 d", "defaults")
STALE_EVENTS, MERGES = 20_000, (100, 300, 1000, 3000)
MAX_PAST_EVENTS = 9  # of a user: the tenth event is the last that is ranked


@dataclass(frozen=True)
class Case:
    """Everything that a run varies; the half-life of trending is in days."""

    blend: ColdStartConfig = field(default_factory=ColdStartConfig)
    content: ContentConfig = field(default_factory=ContentConfig)
    trending_days: float = 10.0


@dataclass(frozen=True)
class Batch:
    """Events that share one hot list: whom to rank for, and what came next."""

    trending: Trending
    profiles: tuple[Profile, ...]
    targets: tuple[str, ...]


def batches(dataset: Dataset, trending_days: float) -> Iterator[Batch]:
    """Walk through the log; decayed popularity is kept relative to its first event."""
    log = dataset.interactions
    start = int(log["ts"].iloc[0])
    heat: dict[str, float] = {}
    past: dict[str, deque[Interaction]] = {}
    positive = dataset.positive()
    counts: dict[str, int] = {}
    profiles: list[Profile] = []
    targets: list[str] = []
    trending = Trending()
    events = zip(log["user_id"], log["item_id"], log["rating"], log["ts"], strict=True)
    for at, (user_id, item_id, rating, ts) in enumerate(events):
        if at % EVENTS_PER_REFRESH == 0:
            if targets:
                yield Batch(trending, tuple(profiles), tuple(targets))
            profiles, targets = [], []
            now = 2.0 ** ((int(ts) - start) / DAY_MS / trending_days)
            trending = Trending.of((item, weight / now) for item, weight in heat.items())
        recent = past.setdefault(user_id, deque(maxlen=20))
        counts[user_id] = counts.get(user_id, 0) + 1
        if at >= len(log) // 5 and 1 < counts[user_id] <= MAX_PAST_EVENTS + 1:
            profiles.append(Profile(user_id, recent=tuple(recent)))
            targets.append(item_id)
        recent.appendleft(Interaction(item_id, int(ts), "rate", float(rating) / 5.0, bool(positive[at])))
        heat[item_id] = heat.get(item_id, 0.0) + 2.0 ** ((int(ts) - start) / DAY_MS / trending_days)
    if targets:
        yield Batch(trending, tuple(profiles), tuple(targets))


def hit_rates(walked: list[Batch], dataset: Dataset, case: Case) -> np.ndarray:
    """Return hits@10 by number of past events, float64 (9,), and the overall rate last: (10,)."""
    index = ContentIndex(dataset.catalogue, case.content)
    cold_start = ColdStart(case.blend)
    hits, asked = np.zeros(MAX_PAST_EVENTS), np.zeros(MAX_PAST_EVENTS)
    for batch in walked:
        lists = cold_start.rank(batch.profiles, batch.trending, index, 10)
        for profile, target, listed in zip(batch.profiles, batch.targets, lists, strict=True):
            asked[len(profile.recent) - 1] += 1
            hits[len(profile.recent) - 1] += any(scored.item_id == target for scored in listed)
    return np.append(hits / np.maximum(asked, 1), hits.sum() / asked.sum())


def cases() -> Iterator[tuple[str, Case]]:
    """Name the runs: trending alone, the defaults, and each constant moved by itself."""
    usual = Case()
    for days in (3.0, 10.0, 30.0, 90.0, 3650.0):
        yield f"trending alone, half-life {days:g} d", Case(ColdStartConfig(max_share=0.0), trending_days=days)
    yield "defaults", usual
    for max_share in (0.1, 0.2, 0.3, 0.4, 1.0):
        yield f"max_share {max_share:g}", replace(usual, blend=replace(usual.blend, max_share=max_share))
    for half_share_at in (0.3, 1.0, 3.0, 10.0):
        yield (
            f"half_share_at {half_share_at:g}",
            replace(usual, blend=replace(usual.blend, half_share_at=half_share_at)),
        )
    for contrast in (1.0, 10.0, 30.0, 100.0, 1000.0):
        yield f"contrast {contrast:g}", replace(usual, blend=replace(usual.blend, contrast=contrast))
    for half_life in (1.0, 3.0, 5.0, 10.0):
        yield f"profile half_life {half_life:g}", replace(usual, content=replace(usual.content, half_life=half_life))
    for years in (0.0, 0.5, 1.0, 2.0, 4.0):
        yield f"years {years:g}", replace(usual, content=replace(usual.content, years=years))
    for titles in (0.0, 0.15, 0.3):
        yield f"titles {titles:g}", replace(usual, content=replace(usual.content, titles=titles))
    for period_years in (2.5, 5.0, 10.0):
        yield (
            f"period_years {period_years:g}",
            replace(usual, content=replace(usual.content, period_years=period_years)),
        )


def latency(dataset: Dataset) -> None:
    """Print the time of one batch of 100 users, the median of 50."""
    index = ContentIndex(dataset.catalogue)
    walked = list(batches(dataset, Case().trending_days))
    profiles = tuple(profile for batch in walked for profile in batch.profiles)[:100]
    cold_start, taken = ColdStart(), []
    for _ in range(50):
        began = time.perf_counter()
        cold_start.rank(profiles, walked[-1].trending, index, 10)
        taken.append((time.perf_counter() - began) * 1000.0)
    print(
        f"{len(profiles)} users x {len(index)} items, 10 each: "
        f"median {np.median(taken):.1f} ms, best {min(taken):.1f} ms"
    )


def stale(dataset: Dataset) -> None:
    """Print HR@10 of cold lists without a version, by how many events trending is behind at most."""
    stream = Stream.of(dataset, warm_up=2.5 / STALE_EVENTS, limit=STALE_EVENTS)
    popularity = baseline_ranks(stream, "popularity", 0)
    print(f"{'':36}{'all':>8}{'1 to 9':>8}{'10 on':>8}")
    few = stream.history <= MAX_PAST_EVENTS
    for name, ranks in [("popularity", popularity), *((f"merged every {n}", None) for n in MERGES)]:
        found = ranks if ranks is not None else _stale_ranks(stream, int(name.rpartition(" ")[2]))
        print(
            f"{name:36}" + "".join(f"{np.mean(found[some] <= 10):8.4f}" for some in (few | True, few, ~few)), flush=True
        )


def _stale_ranks(stream: Stream, merge_every: int) -> np.ndarray:
    run = PrequentialRun(stream, PrequentialConfig(round_every=0, merge_every=merge_every))
    run.warm_up(stream.warm)
    for _ in run.blocks():
        pass
    return run.track.ranks


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--latency", action="store_true", help="time one batch instead")
    parser.add_argument("--brief", action="store_true", help="run trending alone and the defaults only")
    parser.add_argument("--stale", action="store_true", help="test an installation without a version instead")
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.dataset)
    if arguments.stale:
        stale(dataset)
        return
    if arguments.latency:
        latency(dataset)
        return
    walks: dict[float, list[Batch]] = {}
    print(f"{'':36}{'all':>8}" + "".join(f"{past:>7}" for past in range(1, MAX_PAST_EVENTS + 1)))
    for name, case in cases():
        if arguments.brief and name not in BRIEF:
            continue
        if case.trending_days not in walks:
            walks[case.trending_days] = list(batches(dataset, case.trending_days))
        rates = hit_rates(walks[case.trending_days], dataset, case)
        print(f"{name:36}{rates[-1]:8.4f}" + "".join(f"{rate:7.3f}" for rate in rates[:-1]), flush=True)


if __name__ == "__main__":
    main()
