"""Is the item that a reason names really the one that the score would miss most? Each item is left out to see.

Run: ``python -m benchmarks.lists.reasons ml-100k [--lists 1000]``. A version learns the first three fifths of a log;
then lists are made for users of that moment, as a worker makes them. For each item of a list that names one of the
history, the history is ranked again without each of its items, for real. It says for how many named items, and for how
many whole lists, leaving the named one out lowers the score most. Then it says how long explaining takes, beside
ranking. Not run by the test suite.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from commands.parts.prequential_options import StreamOptions, learn_first_version, prepare_replay
from model.history import Profile, distinct_items
from model.ranking.cold_start import ScoredItem
from model.ranking.recommender import Recommender
from model.renames import NO_RENAMES
from replay.datasets.options import LogOptions
from replay.prequential.offline_worker import OfflineWorker
from replay.prequential.run import PrequentialRun

K, OVERFETCH = 10, 30
USERS = 64  # explained at once, as in a worker


def main() -> None:
    """Print what came of each question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--lists", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args()
    worker, profiles = _learnt(given.dataset, given.epochs, given.lists)
    recommender = worker.recommender
    lists = recommender.recommend(profiles, K + OVERFETCH)
    ids = [(one.profile, [item.item_id for item in one.items]) for one in lists]
    seen = asyncio.run(worker.state.seen_among(ids, NO_RENAMES))
    unseen = [
        [item for item in one.items if item.item_id not in mine][:K] for one, mine in zip(lists, seen, strict=True)
    ]
    told = recommender.explain(list(zip(lists, unseen, strict=True)))
    personal = [at for at, one in enumerate(lists) if one.mode == "personalized"]
    print(f"{len(personal)} personalised lists of {K}")
    kinds = Counter(item.because.kind for at in personal for item in told[at] if item.because)
    print("reasons:", ", ".join(f"{kind} {n / kinds.total():.1%}" for kind, n in kinds.most_common()))
    disliked = sum(_disliked(profiles[at], told[at]) for at in personal)
    print(f"reasons that name an item that was disliked: {disliked}")
    right = [_right(recommender, profiles[at], told[at]) for at in personal]
    named = [one for line in right for one in line]
    print(f"named items whose loss lowers the score most: {np.mean(named):.2%} of {len(named)}")
    print(f"lists on which that holds for all named items: {np.mean([all(line) for line in right]):.2%}")
    _time(recommender, [profiles[at] for at in personal[:USERS]])


def _learnt(dataset: str, epochs: int, n: int) -> tuple[OfflineWorker, list[Profile]]:
    """Return what serves after three fifths of a log, and users of that moment."""
    options = StreamOptions(0.0, 0.6, None, False, 5000, epochs, 0, 1, True, False, LogOptions())
    replayed = prepare_replay(dataset, options)
    run = PrequentialRun(replayed.stream, replayed.config)
    learn_first_version(run, quiet=True)
    users = [event.user_id for _, event in run.stream.events(0, run.done)]
    latest = list(dict.fromkeys(reversed(users)))[:n]
    return run.worker, [run.worker.state.profile(user_id) for user_id in latest]


def _disliked(profile: Profile, told: Sequence[ScoredItem]) -> int:
    likings = {one.item_id: one.liking for one in distinct_items(profile.recent)}
    return sum(likings.get(item.because.item_id or "", 1.0) <= 0.0 for item in told if item.because)


def _right(recommender: Recommender, profile: Profile, told: Sequence[ScoredItem]) -> list[bool]:
    """Return for each item that names one of the history whether leaving that one out lowers its score most."""
    ranker = recommender.ranker
    assert ranker is not None, "a personalised list has a version"
    pairs = [(item.item_id, item.because.item_id) for item in told if item.because and item.because.item_id]
    if not pairs:
        return []
    known = [one.item_id for one in distinct_items(profile.recent) if one.item_id in ranker.items]
    read = known[: ranker.snapshot.config.history_length]
    shorter = [
        replace(profile, recent=tuple(one for one in profile.recent if one.item_id != left_out)) for left_out in read
    ]
    rows = np.tile(ranker.items.rows(item_id for item_id, _ in pairs), (len(shorter), 1))
    histories = ranker.histories(shorter)
    logits = ranker.rerank(histories, rows, signals=recommender._signals)  # noqa: SLF001 - what the list was made with
    return [read[int(line.argmin())] == named for line, (_, named) in zip(logits.T, pairs, strict=True)]


def _time(recommender: Recommender, profiles: Sequence[Profile]) -> None:
    """Print CPU time of ranking and of explaining one batch."""
    lists = recommender.recommend(profiles, K + OVERFETCH)
    chosen = [(one, one.items[:K]) for one in lists]
    ranking = _cpu_ms(lambda: recommender.recommend(profiles, K + OVERFETCH))
    explaining = _cpu_ms(lambda: recommender.explain(chosen))
    print(f"{len(profiles)} lists: ranked in {ranking:.1f} ms, explained in {explaining:.1f} ms of CPU")


def _cpu_ms(call: Callable[[], object], times: int = 9) -> float:
    taken = []
    for _ in range(times):
        began = time.process_time()
        call()
        taken.append(1000.0 * (time.process_time() - began))
    return float(np.median(taken))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
