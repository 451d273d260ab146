"""What users get while the model hangs: whether every list is made, how late, and of which tier.

Usage: ``python -m benchmarks.flow.stalled ml-100k [--rate 50] [--seconds 30]``

Lists are made one after the other at ``--rate`` a second, by the worker's own serving with its budget and breaker. In
the second third of the time scoring hangs for 2 s a call. The time is from the call to the list.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import click
import numpy as np

from benchmarks.flow.wishes import Log, recommender_of
from model.history import Profile
from model.ranking.asked import CatalogueWishes
from model.ranking.recommender import CandidateList, Recommender
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.lists import Serving, ServingConfig, Trigger

STALL_S = 2.0  # of one call: far beyond any budget
PARTS = ("before", "stalled", "after")


@dataclass(frozen=True)
class Stalling(Recommender):
    """A recommender that hangs while ``switch`` is set."""

    switch: dict[str, bool] = field(default_factory=dict)

    def recommend(
        self, profiles: Sequence[Profile], n: int, asked: Sequence[CatalogueWishes | None] | None = None
    ) -> tuple[CandidateList, ...]:
        """Rank, late where it hangs."""
        if self.switch.get("stalled"):
            time.sleep(STALL_S)
        return super().recommend(profiles, n, asked)


async def measured(data: Dataset, rate: float, seconds: float) -> dict[str, dict[str, object]]:
    """Return, for each third of the time, how many lists there were, their tiers and modes, and their delays."""
    log = Log(data, 0)
    made = recommender_of(data, log)
    recommender = Stalling(**{name: getattr(made, name) for name in made.__dataclass_fields__})
    scoring = BudgetedScorer(ServingConfig().budget_s, Breaker(BreakerConfig(), time.monotonic))
    serving = Serving(ServingConfig(), scoring, log.state, lambda: 0)
    users, draw = list(log.seen), np.random.default_rng(0)
    found: dict[str, dict[str, object]] = {}
    for part in PARTS:
        recommender.switch["stalled"] = part == "stalled"
        if part == "after":
            await asyncio.sleep(max(STALL_S, BreakerConfig().rest_s))  # the breaker lets a call through again
        delays, tiers, modes, short = [], Counter[str | None](), Counter[str](), 0
        began = time.monotonic()
        for number in range(int(rate * seconds / len(PARTS))):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            asked = time.monotonic()
            profile = log.state.profile(str(draw.choice(users)))
            [answer] = await serving.answer(recommender, [(profile, Trigger.of_request(f"{part}{number}", 1))])
            delays.append(1000 * (time.monotonic() - asked))
            tiers[answer.recommendation.tier] += 1
            modes[answer.recommendation.mode] += 1
            short += len(answer.recommendation.items) < ServingConfig().k
        p50, p99 = np.percentile(delays, [50, 99])
        found[part] = {
            "lists": len(delays),
            "short": short,
            "p50_ms": p50,
            "p99_ms": p99,
            "max_ms": max(delays),
            "tiers": dict(tiers),
            "modes": dict(modes),
        }
    scoring.close()
    return found


@click.command()
@click.argument("dataset")
@click.option("--rate", default=50.0, show_default=True, help="Lists a second.")
@click.option("--seconds", default=30.0, show_default=True, help="How long, in three parts.")
def main(dataset: str, rate: float, seconds: float) -> None:
    """Print what came of each third of the time."""
    for part, row in asyncio.run(measured(read_dataset(dataset), rate, seconds)).items():
        click.echo(
            f"{part:<8} {row['lists']} lists, {row['short']} short, p50 {row['p50_ms']:.0f} ms, "
            f"p99 {row['p99_ms']:.0f} ms, longest {row['max_ms']:.0f} ms, {row['tiers']}, {row['modes']}"
        )


if __name__ == "__main__":
    main()
