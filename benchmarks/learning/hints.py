"""What are age, gender and occupation worth in the first lists? HR@10 by the number of past events.

The log is read in time order, and its first fifth only counts. After that each of a user's first ten events is ranked
before it counts: a hit is its item among the ten best of the whole catalogue without what the user has touched. Ties
count half, and an item that nobody had touched is a miss. Ranked are popularity, what newcomers touch (all users' first
ten events), and the same times the lifts of the user's groups, which are learnt anew every 5,000 events.

    python benchmarks/learning/hints.py ml-1m.zip
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
from replay.prequential.baselines import half_rank

K = 10
LEARN_EVERY = 5000
BUCKETS = {"none": (0, 0), "1 to 4": (1, 4), "5 to 9": (5, 9)}
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


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="a release of MovieLens with a file of users")
    parser.add_argument("--seed", type=int, default=0, help="of the order of ties")
    for name, kind in (("prior", float), ("items", int), ("least_users", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(HintConfig(), name), help="see HintConfig")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    given = parser.parse_args()
    config = HintConfig(prior=given.prior, items=given.items, least_users=given.least_users)
    lines = hit_rates(read_dataset(given.dataset, seed=given.seed), config)
    if given.json:
        print(json.dumps(lines))
        return
    print("".join(f"{name:>12}" for name in lines[0]))
    for line in lines:
        print("".join(f"{value:>12}" for value in line.values()))


if __name__ == "__main__":
    main()
