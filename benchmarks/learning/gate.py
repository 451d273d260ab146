"""What many rounds of learning lead to, by the rule that lets a candidate serve: true hit rates, simulated.

Run: ``python benchmarks/learning/gate.py [--seeds 20] [--json]``. A candidate's true hit rate is the champion's and a
random change. Nobody sees the true rates, only hits on events that are held out of the round. The rules are judged by
the product's own functions: ``model.training.standing.judge`` for the gate with an anchor,
``model.metrics.paired_lead`` for those without one, and ``model.metrics.drift`` for the guard.

Three things are simulated. *Wear*: 200 rounds that harm a little on average. *Gain*: 40 rounds that help, as on
ml-100k. *Guard*: the wear again with 30 held-out events, beside a drift guard that compares live lists with popularity
and lets another version serve: the parent, where there is no anchor, or the anchor.

Which events two versions hit is one draw for each event: a latent normal number for each version, the next version's
correlated with its parent's so that ``--apart`` of the events are hit by just one of them (0.05 was measured on
ml-100k). Not run by the test suite.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from model.metrics.drift import DriftGuard
from model.metrics.live import Credit, PublishedList
from model.metrics.paired_lead import PairedLead
from model.training.standing import HeldOutHits, Standing, judge

Hits = NDArray[np.bool_]
START = 0.2  # true rate of the first version
WEAR, GAIN = (-0.001, 0.004), (0.0027, 0.004)  # mean and standard deviation of a round's true change
WEAR_ROUNDS, GAIN_ROUNDS, GAIN_START, GAIN_HELD_OUT = 200, 40, 0.1, 200
HELD_OUT = (30, 200, 500)
GUARD_HELD_OUT, POPULARITY, LIVE_TESTS = 30, 0.075, 1000
FLOOR = 1.0e-6


@dataclass
class Course:
    """Where a simulation stands.

    Parameters
    ----------
    rate : true rate of the version that serves.
    anchor : true rate of its anchor.
    distance : versions between the two.
    standing : as the gate keeps it.
    parents : true rates of the versions before it, the first one first.
    turn : number of the version that serves, for the guard.
    """

    rate: float
    anchor: float
    distance: int = 0
    standing: Standing = field(default_factory=Standing)
    parents: list[float] = field(default_factory=list)
    turn: int = 0

    def promote(self, rate: float) -> None:
        """Let a candidate serve."""
        self.parents.append(self.rate)
        self.rate, self.distance, self.turn = rate, self.distance + 1, self.turn + 1

    def go_back(self, *, to_anchor: bool) -> None:
        """Let the anchor serve, or the parent."""
        if to_anchor:
            del self.parents[len(self.parents) - self.distance :]
            self.rate, self.distance, self.standing = self.anchor, 0, Standing()
        elif self.parents:
            self.rate = self.parents.pop()
        self.turn += 1


Rule = Callable[[Course, float, dict[str, Hits]], None]


def unanchored(passes: Callable[[PairedLead], bool]) -> Rule:
    """Return a rule that looks at one round's lead over the champion alone."""

    def decide(course: Course, rate: float, hits: dict[str, Hits]) -> None:
        if passes(PairedLead.of(hits["candidate"], hits["champion"])):
            course.promote(rate)

    return decide


def anchored(course: Course, rate: float, hits: dict[str, Hits]) -> None:
    """Decide as the gate does."""
    everything = np.ones(len(hits["candidate"]), dtype=np.bool_)
    rivals = {"champion": hits["champion"], "popularity": ~everything}
    if course.distance:
        rivals["anchor"] = hits["anchor"]
    judged = judge(HeldOutHits(hits["candidate"], rivals, everything), course.standing)
    if judged.decision == "return":
        course.go_back(to_anchor=True)
        return
    course.standing = judged.standing
    if judged.is_anchored:
        course.anchor, course.distance = course.rate, 0
    if judged.decision == "promote":
        course.promote(rate)


RULES: dict[str, Rule] = {
    "one error (before)": unanchored(lambda lead: not lead.is_behind(1.0)),
    "promote if >= 0": unanchored(lambda lead: lead.lead >= 0),
    "+1 error": unanchored(lambda lead: lead.z >= 1.0),
    "anchor": anchored,
}


def correlation(apart: float, rate: float = START) -> float:
    """Return the latent correlation of two versions of one rate that hit so many events apart, by bisection."""
    at, low, high = norm.ppf(rate), 0.0, 1.0
    first = np.linspace(-8.0, at, 4001)  # latent numbers at which the first version hits
    for _ in range(40):
        middle = (low + high) / 2.0
        misses = norm.sf((at - middle * first) / sqrt(1.0 - middle * middle))  # of the second version
        is_too_far = 2.0 * np.trapezoid(norm.pdf(first) * misses, first) > apart
        low, high = (middle, high) if is_too_far else (low, middle)
    return low


def drawn(course: Course, rate: float, events: int, rho: float, generator: np.random.Generator) -> dict[str, Hits]:
    """Return who hits which of some events, in the order of descent: the anchor, the champion, the candidate."""
    latent, hits = generator.normal(size=events), {}
    steps = (("anchor", course.anchor, 1.0), ("champion", course.rate, rho**course.distance), ("candidate", rate, rho))
    for name, true, alike in steps:
        latent = alike * latent + sqrt(1.0 - alike * alike) * generator.normal(size=events)
        hits[name] = latent < norm.ppf(np.clip(true, FLOOR, 1.0 - FLOOR))
    return hits


def run(
    rule: str,
    change: tuple[float, float],
    rounds: int,
    start: float,
    events: int,
    rho: float,
    generator: np.random.Generator,
    live: int = 0,
) -> float:
    """Return the true rate that serves after some rounds; with ``live`` tests after each, a guard looks as well."""
    course, guard = Course(start, start), DriftGuard()
    for number in range(rounds):
        rate = max(0.0, course.rate + generator.normal(*change))
        RULES[rule](course, rate, drawn(course, rate, events, rho, generator))
        if live and is_drifting(guard, course, number, live, generator):
            course.go_back(to_anchor=rule == "anchor")
    return course.rate


def is_drifting(guard: DriftGuard, course: Course, number: int, tests: int, generator: np.random.Generator) -> bool:
    """Let the guard observe a round's live lists, and say whether it speaks against the version that serves."""
    version = str(course.turn)
    ours, popular = generator.random(tests) < course.rate, generator.random(tests) < POPULARITY
    for test, (mine, other) in enumerate(zip(ours.tolist(), popular.tolist(), strict=True)):
        made = PublishedList(f"{number}-{test}", "u", 0, "personalized", version, ())
        guard.observe(Credit(made, 1.0 if mine else np.inf, 1.0 if other else np.inf, is_named=False))
    return guard.judge(version, 0) is not None


def simulated(seeds: int, apart: float, live: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Return mean and standard error over seeds, by rule and by what was simulated."""
    rho = correlation(apart)
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for rule in RULES:
        runs: dict[str, list[float]] = {}
        for seed in range(seeds):
            for events in HELD_OUT:
                made = run(rule, WEAR, WEAR_ROUNDS, START, events, rho, np.random.default_rng((seed, events)))
                runs.setdefault(f"wear, {events} held out", []).append(made)
            generator = np.random.default_rng((seed, 1))
            gained = run(rule, GAIN, GAIN_ROUNDS, GAIN_START, GAIN_HELD_OUT, rho, generator) - GAIN_START
            runs.setdefault("gain", []).append(gained)
            if live and rule in ("one error (before)", "anchor"):
                generator = np.random.default_rng((seed, 2))
                made = run(rule, WEAR, WEAR_ROUNDS, START, GUARD_HELD_OUT, rho, generator, live)
                runs.setdefault("guard", []).append(made)
        found[rule] = {
            name: (float(np.mean(some)), float(np.std(some, ddof=1) / sqrt(len(some)))) for name, some in runs.items()
        }
    return found


def main() -> None:
    """Print one line for each rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="simulations of each kind, two at least (20)")
    parser.add_argument("--apart", type=float, default=0.05, help="share of events that just one of two hits (0.05)")
    parser.add_argument(
        "--live", type=int, default=LIVE_TESTS, help=f"live tests a round, 0 for no guard ({LIVE_TESTS})"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.seeds < 2 or not 0.0 < given.apart < 2.0 * START * (1.0 - START) or given.live < 0:
        parser.error(f"at least 2 seeds, 0 < apart < 0.32 and live >= 0 are required, got {vars(given)}")
    found = simulated(given.seeds, given.apart, given.live)
    if given.json:
        print(json.dumps({"seeds": given.seeds, "apart": given.apart, "live": given.live, "rules": found}))
        return
    names = list(found["anchor"])
    print(f"{'rule':20}" + "".join(f"{name:>22}" for name in names))
    for rule, figures in found.items():
        cells = (f"{figures[name][0]:.4f} ± {figures[name][1]:.4f}" if name in figures else "" for name in names)
        print(f"{rule:20}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
