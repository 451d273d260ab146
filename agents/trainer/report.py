"""What a trainer tells about itself, as its sign of life holds it, and what its gate has measured."""

import os
from dataclasses import dataclass, field

from model.training.gate import GateVerdict
from streams.metrics.collector import Figures
from streams.metrics.families import (
    GATE_EVENTS,
    GATE_HIT_RATE,
    HEALTHY,
    KAFKA_AWAY,
    MODEL_INFO,
    OFFSETS_LOST,
    ROUND_WAITS,
    ROUNDS,
    TRAINER_RECORDS,
    TRAINING,
)

__all__ = ["TrainerReport", "figures_of"]

OUTCOMES = ("promoted", "rejected", "held", "failed", "rolled_back", "withdrawn")


@dataclass(slots=True)
class TrainerReport:
    """What a trainer tells about itself; counters since its start.

    ``anchor`` is the version that ``model_version`` is measured by, None for itself. ``sync_bytes`` are of the version
    stored last. ``gate`` holds the figures of the last gate. ``forgotten`` counts forgettings that are
    carried out. ``lag`` counts the records that are not read. ``lost`` counts offsets that left the topics unlearnt.
    ``round_waits_s`` are the seconds for which a round that is due has waited, as too many events are not read yet,
    None where none waits for long. ``kafka_away_s`` are the seconds for which Kafka has not answered, None while it
    does. ``fault`` is why it is not healthy though it lives.
    """

    events: int = 0
    rounds: int = 0
    promoted: int = 0
    rejected: int = 0
    held: int = 0
    failed: int = 0
    rolled_back: int = 0
    withdrawn: int = 0
    sync_bytes: int = 0
    training: bool = False
    model_version: str | None = None
    anchor: str | None = None
    gate: dict[str, float] = field(default_factory=dict)
    forgotten: int = 0
    lag: int = 0
    lost: int = 0
    round_waits_s: float | None = None
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)

    def figures(self) -> Figures:
        """Give what Prometheus is told of it."""
        yield HEALTHY, float(self.fault is None)
        yield KAFKA_AWAY, self.kafka_away_s or 0.0
        yield OFFSETS_LOST, self.lost
        yield TRAINER_RECORDS, self.events
        yield ROUND_WAITS, self.round_waits_s or 0.0
        yield TRAINING, float(self.training)
        yield ROUNDS, {(outcome,): getattr(self, outcome) for outcome in OUTCOMES}
        yield MODEL_INFO, {(self.model_version or "",): 1}
        gate = dict(self.gate)
        named = {"candidate" if name == "hr@10" else name.removesuffix("_hr@10"): name for name in gate}
        yield GATE_HIT_RATE, {(ranker,): gate[name] for ranker, name in named.items() if name.endswith("hr@10")}
        yield GATE_EVENTS, gate.get("held_out")


def figures_of(verdict: GateVerdict) -> dict[str, float]:
    """Return the gate's figures as they are stored and announced."""
    figures = {
        "hr@10": verdict.candidate.hit_rate,
        "ndcg@10": verdict.candidate.ndcg,
        "held_out": float(verdict.events),
        "z": verdict.z,
        "anchor_z": verdict.standing.anchor.z,
    }
    figures |= {f"{name}_hr@10": one.hit_rate for name, one in verdict.rivals.items()}
    for mode, one in verdict.modes.items():
        figures |= {f"{mode}_hr@10": one.candidate.hit_rate, f"{mode}_popularity_hr@10": one.popularity.hit_rate}
        figures[f"{mode}_held_out"] = float(one.events)
    if verdict.champion is not None:
        figures["champion_ndcg@10"] = verdict.champion.ndcg
    return figures
