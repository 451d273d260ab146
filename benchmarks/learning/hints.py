"""What are age, gender and occupation worth in the first lists? HR@10 by the number of past events.

The log is read in time order, and its first fifth only counts. After that each of a user's first ten events is ranked
before it counts: a hit is its item among the ten best of the whole catalogue without what the user has touched. Ties
count half, and an item that nobody had touched is a miss. Ranked are popularity, what newcomers touch (all users' first
ten events), and the same times the lifts of the user's groups, which are learnt anew every 5,000 events.

With ``--known`` it is about users of whom some items are known: to the logarithm of what newcomers touch come what
followed these items (co-occurrence, as a share of its highest) and the logarithm of the lifts. Both weights are those
that turn out best for the very tests, of a few, so that the lead is the most that hints could bring.

    python benchmarks/learning/hints.py ml-1m.zip
    python benchmarks/learning/hints.py ml-1m.zip --known
    python benchmarks/learning/hints.py ml-100k.zip --seed 1 --json
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.feedback import NEWCOMER_EVENTS
from model.hints import UserHints
from model.ranking.hint_lifts import HintConfig, HintLifts
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from replay.prequential.baselines import CoOccurrence, half_rank

K = 10
LEARN_EVERY = 5000
BUCKETS = {"none": (0, 0), "1 to 4": (1, 4), "5 to 9": (5, 9)}
LENGTHS = {"1": (1, 1), "2 to 4": (2, 4), "5 to 9": (5, 9)}
SHARES = (2.0, 4.0, 8.0, 16.0)  # of what followed the known items, beside the logarithm of a count
WEIGHTS = (0.25, 0.5, 1.0, 2.0)  # of the logarithm of the lifts
KINDS = {
    "age": ("age",),
    "gender": ("gender",),
    "occupation": ("occupation",),
    "all hints": ("age", "gender", "occupation"),
}


class Lifted:
    """The lifts of some kinds of hints, as an array for each set of groups."""

    def __init__(self, kinds: tuple[str, ...], items: Mapping[str, int], config: HintConfig) -> None:
        self._kinds = kinds
        self._items = items
        self._config = config
        self._lifts = HintLifts()
        self._arrays: dict[tuple[str, ...], NDArray[np.float64]] = {}

    def learn(self, beginnings: Mapping[str, list[str]], hints: Mapping[str, UserHints]) -> None:
        """Learn from all users' first events."""
        self._lifts = HintLifts.learnt(
            ((self._groups(hints.get(user)), items) for user, items in beginnings.items()), self._config
        )
        self._arrays = {}

    def of(self, hints: UserHints | None) -> NDArray[np.float64]:
        """Return a user's lift of each item, 1 where there is none."""
        groups = self._groups(hints)
        if groups not in self._arrays:
            array = self._arrays[groups] = np.ones(len(self._items))
            for item, lift in self._lifts.of(groups).items():
                array[self._items[item]] = lift
        return self._arrays[groups]

    def _groups(self, hints: UserHints | None) -> tuple[str, ...]:
        found = () if hints is None else hints.groups
        return tuple(group for group in found if group.partition(":")[0] in self._kinds)


def ranks(log: Dataset, config: HintConfig) -> Iterator[tuple[int, dict[str, float]]]:
    """Give, for each of users' first events after the warm-up, the past events and the rank by each method."""
    codes, ids = pd.factorize(log.interactions["item_id"])
    rows = {item: row for row, item in enumerate(ids)}
    hints = {one.user_id: one for one in log.hints}
    popularity, newcomers = np.zeros(len(ids)), np.zeros(len(ids))
    past: dict[str, list[int]] = defaultdict(list)
    beginnings: dict[str, list[str]] = defaultdict(list)
    lifted = {name: Lifted(kinds, rows, config) for name, kinds in KINDS.items()}
    warm = len(codes) // 5
    for at, (user, row) in enumerate(zip(log.interactions["user_id"], codes.tolist(), strict=True)):
        known = past[user]
        if at % LEARN_EVERY == 0:
            for one in lifted.values():
                one.learn(beginnings, hints)
        if at >= warm and len(known) < NEWCOMER_EVENTS and row not in known:
            scores = {"popularity": popularity, "newcomers": newcomers} | {
                name: newcomers * one.of(hints.get(user)) for name, one in lifted.items()
            }
            is_novel = popularity[row] == 0
            yield (
                len(known),
                {
                    name: np.inf if is_novel else half_rank(found, row, np.array(known, dtype=np.int64))
                    for name, found in scores.items()
                },
            )
        popularity[row] += 1
        if len(known) < NEWCOMER_EVENTS:
            newcomers[row] += 1
            beginnings[user].append(ids[row])
        known.append(row)


def hit_rates(log: Dataset, config: HintConfig) -> list[dict[str, object]]:
    """Return a line for each method and bucket: tests, hit rate, and the lead over newcomers with its error."""
    found = list(ranks(log, config))
    past = np.array([n for n, _ in found])
    hits = {name: np.array([one[name] <= K for _, one in found], dtype=float) for name in found[0][1]}
    lines: list[dict[str, object]] = []
    for bucket, (least, most) in BUCKETS.items():
        here = (past >= least) & (past <= most)
        for name, hit in hits.items():
            lead = hit[here] - hits["newcomers"][here]
            lines.append(
                {
                    "past events": bucket,
                    "ranked by": name,
                    "tests": int(here.sum()),
                    "HR@10": round(float(hit[here].mean()), 4),
                    "lead": round(float(lead.mean()), 4),
                    "error": round(float(lead.std()) / sqrt(here.sum()), 4),
                }
            )
    return lines


def known_hits(log: Dataset, config: HintConfig) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Give, for each of users' first events after one, the past events and which mixtures hit, bool (shares, weights).

    The first weight is zero: no hints.
    """
    codes, ids = pd.factorize(log.interactions["item_id"])
    users, _ = pd.factorize(log.interactions["user_id"])
    hints, counts = {one.user_id: one for one in log.hints}, CoOccurrence(len(ids))
    lifted = Lifted(KINDS["all hints"], {item: row for row, item in enumerate(ids)}, config)
    newcomers, touched = np.zeros(len(ids)), np.zeros(len(ids))
    past: dict[str, list[int]] = defaultdict(list)
    beginnings: dict[str, list[str]] = defaultdict(list)
    shares, weights = np.array(SHARES)[:, None, None], np.array((0.0, *WEIGHTS))[None, :, None]
    warm = len(codes) // 5
    for at, (user, number, row) in enumerate(
        zip(log.interactions["user_id"], users.tolist(), codes.tolist(), strict=True)
    ):
        known = past[user]
        if at % LEARN_EVERY == 0:
            lifted.learn(beginnings, hints)
        if at >= warm and 0 < len(known) < NEWCOMER_EVENTS and row not in known:
            followed = counts.scores(number, 0)
            followed = followed / max(float(followed.max()), 1.0e-12)
            scores = np.log1p(newcomers) + shares * followed + weights * np.log(lifted.of(hints.get(user)))
            scores[:, :, known] = -np.inf
            ahead = (scores > scores[:, :, row, None]).sum(axis=2)
            yield len(known), (ahead < K) & (touched[row] > 0)
        counts.learn(number, row, 0)
        touched[row] += 1
        if len(known) < NEWCOMER_EVENTS:
            newcomers[row] += 1
            beginnings[user].append(ids[row])
        known.append(row)


def known_leads(log: Dataset, config: HintConfig) -> list[dict[str, object]]:
    """Return a line for each number of past events: the best mixture without hints, and the best with them."""
    found = list(known_hits(log, config))
    past, hits = np.array([n for n, _ in found]), np.array([one for _, one in found])
    lines: list[dict[str, object]] = []
    for length, (least, most) in LENGTHS.items():
        here = hits[(past >= least) & (past <= most)].astype(float)  # (T, shares, weights)
        share = int(here[:, :, 0].mean(axis=0).argmax())
        weight = int(here[:, share, 1:].mean(axis=0).argmax())
        lead = here[:, share, 1 + weight] - here[:, share, 0]
        lines.append(
            {
                "past events": length,
                "tests": len(here),
                "share": SHARES[share],
                "HR@10": round(float(here[:, share, 0].mean()), 4),
                "weight": WEIGHTS[weight],
                "lead": round(float(lead.mean()), 4),
                "error": round(float(lead.std()) / sqrt(len(here)), 4),
            }
        )
    return lines


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="a release of MovieLens with a file of users")
    parser.add_argument("--seed", type=int, default=0, help="of the order of ties")
    for name, kind in (("prior", float), ("items", int), ("least_users", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(HintConfig(), name), help="see HintConfig")
    parser.add_argument("--known", action="store_true", help="of users of whom some items are known")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    given = parser.parse_args()
    config = HintConfig(prior=given.prior, items=given.items, least_users=given.least_users)
    measured = known_leads if given.known else hit_rates
    lines = measured(read_dataset(given.dataset, seed=given.seed), config)
    if given.json:
        print(json.dumps(lines))
        return
    print("".join(f"{name:>12}" for name in lines[0]))
    for line in lines:
        print("".join(f"{value:>12}" for value in line.values()))


if __name__ == "__main__":
    main()
