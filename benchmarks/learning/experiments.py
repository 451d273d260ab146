"""How often an experiment errs: equal arms called different, by several rules, and what the rule that is used finds.

Users have tests by a lognormal or a Pareto law, each a hit rate of their own (beta distributed about 0.15), and a lot
puts them into two arms. ``equal`` are arms that serve alike, so whatever differs is chance; bots have about 3,000 tests
with no or with many hits. ``better`` are arms of which b hits more often, or has more tests. ``looks`` are 28 days with
users who come over time, looked at every day. Rules:

* ``normal``: a ratio over users, 1.96 standard errors, from 30 users a side on (the rule before effective users)
* ``welch``: effective users, each side's variance times m / (m - 1), Student's t with Welch-Satterthwaite's freedom
* ``jackknife``: the residual of each user by 1 - its share of the tests, 1.96 standard errors
* ``winsor``: users' tests cut off at the 95th percentile of both arms, then as ``normal``
* ``sums``: ``difference`` with Student's limit, which takes sums over users only
* ``served``: what ``reelstream ab status`` says, which redraws the lot of every user
* ``always``: its interval for any number of looks

Figures are per cent: of runs in which a rule names an arm. ``told`` is the share with users enough for a verdict.

Run: ``python -m benchmarks.learning.experiments [--parts equal better looks] [--runs 1000] [--seeds 1 2 3] [--json]``.
One line is printed as soon as it is known. Not run by the test suite.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from model.experiment import Arm, Experiment
from model.metrics.intervals import Z95, UserSums, effective_users
from model.metrics.live import ArmTally, Tally
from streams.reports.comparison import ArmComparison, compare

Counts = npt.NDArray[np.int64]  # (N, 2): tests and hits of each user

RATE = 0.15  # mean hit rate of a user
ALIKE = 6.0  # a + b of the beta distribution: the smaller, the more users differ
LARGE = 1000  # users of both arms beyond which a third of the runs is made: each takes 20 times as long
DAYS = 28
AB = Experiment("simulated", 0.5, Arm("a"), Arm("b", explore=1), 0)


@dataclass(frozen=True)
class World:
    """Two arms; ``bots`` is the share of bots, ``bot_rate`` their hit rate, ``lift`` and ``busier`` change arm b."""

    name: str
    a: int
    b: int
    spread: float = 1.2
    law: str = "lognormal"
    bots: float = 0.0
    bot_rate: float = 0.0
    lift: float = 1.0
    busier: float = 1.0

    def draw(self, generator: np.random.Generator) -> tuple[Counts, Counts]:
        """Return the users of both arms."""
        return self._arm(self.a, 1.0, 1.0, generator), self._arm(self.b, self.lift, self.busier, generator)

    def _arm(self, n: int, lift: float, busier: float, generator: np.random.Generator) -> Counts:
        active = generator.lognormal(np.log(10.0), self.spread, n)
        if self.law == "pareto":
            active = 3.0 * (1.0 + generator.pareto(1.5, n))
        tests = np.maximum(1, np.rint(busier * active)).astype(np.int64)
        rates = _rates(lift * RATE, n, generator)
        is_bot = generator.random(n) < self.bots
        bot_tests = np.maximum(1, np.rint(generator.lognormal(np.log(3000.0), 0.5, n))).astype(np.int64)
        tests, rates = np.where(is_bot, bot_tests, tests), np.where(is_bot, self.bot_rate, rates)
        return np.stack([tests, generator.binomial(tests, rates)], axis=1)


EQUAL = (
    *(
        World(f"lognormal {spread:g}, {n:,} a side", n, n, spread)
        for spread in (0.8, 1.2, 1.6)
        for n in (12, 30, 100, 1000)
    ),
    World("Pareto 1.5, 30 a side", 30, 30, law="pareto"),
    World("Pareto 1.5, 100 a side", 100, 100, law="pareto"),
    World("3,000 against 30", 3000, 30),
    World("300 against 30", 300, 30),
    *(
        World(f"{share:.1%} bots, {hits} hits, {n:,} a side", n, n, bots=share, bot_rate=rate)
        for n, share in ((100, 0.02), (1000, 0.005))
        for hits, rate in (("no", 0.0), ("many", 0.6))
    ),
    World("2 % bots, no hits, 300 against 30", 300, 30, bots=0.02),
)
BETTER = (
    *(World(f"b hits {lift:g} x, {n:,} a side", n, n, lift=lift) for lift in (1.2, 1.5) for n in (30, 100, 300, 1000)),
    World("b hits 1.5 x, 300 against 30", 300, 30, lift=1.5),
    World("b has 1.5 x the tests, 300 against 30", 300, 30, busier=1.5),
)
LOOKS = (World("30 a side", 30, 30), World("100 a side", 100, 100), World("300 a side", 300, 300))


def normal(a: Counts, b: Counts) -> bool:
    """Return whether the former rule names an arm."""
    return min(len(a), len(b)) >= 30 and _is_apart(a, b, Z95)


def welch(a: Counts, b: Counts) -> bool:
    """Return whether Welch's test with effective users names an arm."""
    sides = [UserSums.of(map(tuple, side.tolist())) for side in (a, b)]
    effective = np.maximum([effective_users(side) for side in sides], 1.0 + 1e-6)
    variances = np.array([side.squares / side.tests**2 for side in sides]) * effective / (effective - 1.0)
    total = variances.sum()
    freedom = total**2 / max(float((variances**2 / (effective - 1.0)).sum()), np.finfo(float).tiny)
    return bool(abs(sides[1].rate - sides[0].rate) > stdtrit(max(freedom, 0.05), 0.975) * np.sqrt(total))


def jackknife(a: Counts, b: Counts) -> bool:
    """Return whether the jackknife of a ratio names an arm."""
    variance = 0.0
    for side in (a, b):
        tests, hits = side.T
        share = tests / tests.sum()
        residuals = (hits - hits.sum() / tests.sum() * tests) / np.maximum(1.0 - share, 1e-9)
        variance += float((residuals**2).sum()) / float(tests.sum()) ** 2
    return bool(abs(_rate(b) - _rate(a)) > Z95 * np.sqrt(variance))


def winsor(a: Counts, b: Counts) -> bool:
    """Return whether the former rule names an arm after the heaviest users were cut off."""
    most = np.quantile(np.concatenate([a, b])[:, 0], 0.95)
    cut_a, cut_b = (side * np.minimum(1.0, most / side[:, :1]) for side in (a, b))
    return _is_apart(cut_a, cut_b, Z95)


def sums(a: Counts, b: Counts) -> ArmComparison:
    """Return what is said where users are no longer kept."""
    return compare(AB, {"a": _tally(a), "b": _tally(b)})


def served(a: Counts, b: Counts) -> ArmComparison:
    """Return what ``reelstream ab status`` says."""
    users = {"a": list(map(tuple, a.tolist())), "b": list(map(tuple, b.tolist()))}
    return compare(AB, {"a": _tally(a), "b": _tally(b)}, users)


OTHERS: dict[str, Callable[[Counts, Counts], bool]] = {
    "normal": normal,
    "welch": welch,
    "jackknife": jackknife,
    "winsor": winsor,
}


def judge(world: World, generator: np.random.Generator) -> dict[str, float]:
    """Return, for one run, which rules name an arm, whether any may, and whether the served interval misses."""
    a, b = world.draw(generator)
    by_lot, by_sums = served(a, b), sums(a, b)
    truth = (world.lift - 1.0) * RATE
    return {
        **{name: float(rule(a, b)) for name, rule in OTHERS.items()},
        "sums": _is_off(by_sums.low, by_sums.high),
        "served": _is_off(by_lot.low, by_lot.high),
        "always": _is_off(by_lot.always_low, by_lot.always_high),
        "told": float(by_lot.low is not None),
        "missed": _is_off(by_lot.low, by_lot.high, truth),
    }


def look_daily(world: World, generator: np.random.Generator) -> dict[str, float]:
    """Return, for one run of 28 days of equal arms, which rules named an arm on any day, and on the last."""
    n = world.a + world.b
    tests_a_day = generator.lognormal(0.0, world.spread, n)
    first_day = np.where(generator.random(n) < 0.5, 0, generator.integers(0, DAYS, n))
    rates = _rates(RATE, n, generator)
    counts = np.zeros((n, 2), dtype=np.int64)
    named = dict.fromkeys(("served, any day", "always, any day", "served, last day", "always, last day"), 0.0)
    for day in range(DAYS):
        tests = generator.poisson(tests_a_day) * (first_day <= day)
        counts += np.stack([tests, generator.binomial(tests, rates)], axis=1)
        a, b = (side[side[:, 0] > 0] for side in (counts[: world.a], counts[world.a :]))
        if not (len(a) and len(b)):
            continue
        found = served(a, b)
        once, always = _is_off(found.low, found.high), _is_off(found.always_low, found.always_high)
        named["served, any day"] = max(named["served, any day"], once)
        named["always, any day"] = max(named["always, any day"], always)
        named["served, last day"], named["always, last day"] = once, always
    return named


Judged = Callable[[World, np.random.Generator], dict[str, float]]
PARTS: dict[str, tuple[tuple[World, ...], Judged]] = {
    "equal": (EQUAL, judge),
    "better": (BETTER, judge),
    "looks": (LOOKS, look_daily),
}


def measured(world: World, judged: Judged, runs: int, seeds: list[int]) -> dict[str, float]:
    """Return the share of runs of all seeds together, per cent."""
    runs = runs // 3 if world.a + world.b > LARGE or judged is look_daily else runs
    each = [judged(world, generator) for generator in map(np.random.default_rng, seeds) for _ in range(runs)]
    return {"runs": float(len(each))} | {name: 100.0 * float(np.mean([one[name] for one in each])) for name in each[0]}


def lines(parts: list[str], runs: int, seeds: list[int]) -> Iterator[tuple[str, World, dict[str, float]]]:
    """Give the figures of one world after the other, and say on the way which is being run."""
    for part in parts:
        worlds, judged = PARTS[part]
        for world in worlds:
            began = time.monotonic()
            print(f"{part}: {world.name} ...", end="", file=sys.stderr, flush=True)
            found = measured(world, judged, runs, seeds)
            print(f" {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            yield part, world, found


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--runs", type=int, default=1000, help="of each seed; a third of it in large worlds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args()
    shown = ""
    for part, world, found in lines(given.parts, given.runs, given.seeds):
        if given.json:
            print(json.dumps({"part": part, "world": world.name} | found), flush=True)
            continue
        if part != shown:
            print(f"{part:38}" + "".join(f"{name:>{len(name) + 3}}" for name in found))
            shown = part
        cells = "".join(f"{value:{len(name) + 3}.{0 if name == 'runs' else 1}f}" for name, value in found.items())
        print(f"{world.name:38}{cells}", flush=True)


def _rates(mean: float, n: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    return generator.beta(mean * ALIKE, (1.0 - mean) * ALIKE, n)


def _rate(side: npt.NDArray[np.generic]) -> float:
    tests, hits = side.sum(axis=0)
    return float(hits / tests)


def _is_apart(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic], limit: float) -> bool:
    """Return whether rates are further apart than so many standard errors of ratios over users."""
    variance = 0.0
    for side in (a, b):
        tests, hits = side.astype(np.float64).T
        residuals = hits - hits.sum() / tests.sum() * tests
        variance += len(side) / (len(side) - 1) * float((residuals**2).sum()) / float(tests.sum()) ** 2
    return bool(abs(_rate(b) - _rate(a)) > limit * np.sqrt(variance))


def _tally(side: Counts) -> ArmTally:
    of = UserSums.of(map(tuple, side.tolist()))
    return ArmTally(
        Tally(tests=of.tests, hits=of.hits),
        of.users,
        of.tests_squared,
        of.hits_squared,
        of.products,
        versioned=of.tests,
        versions={"v": of.tests},
    )


def _is_off(low: float | None, high: float | None, value: float = 0.0) -> float:
    return float(low is not None and high is not None and not low <= value <= high)


if __name__ == "__main__":
    main()
