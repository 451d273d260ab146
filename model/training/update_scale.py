"""How boldly the next round of fine-tuning learns, from what the gate said of the last one.

Cautious after harm was done, bolder after a clear gain, and otherwise back towards the middle: multiplicative steps, as
a trust region takes them [1]_. The time of a round is bounded by the events it predicts, so there are never more of
them than configured.

References
----------
.. [1] Conn, Gould and Toint, "Trust region methods", SIAM 2000, section 6.1.
"""

from dataclasses import dataclass, replace

from model.training.gate import GateVerdict
from model.training.rounds import RoundConfig

__all__ = ["UpdateScale"]

MIN_SCALE, MAX_SCALE = 0.125, 2.0
CLEAR_SIGMAS = 1.0  # standard errors by which a gain is no chance


@dataclass(frozen=True, slots=True)
class UpdateScale:
    """What the configured fine-tuning is multiplied by.

    Parameters
    ----------
    rate : of the learning rate, 1/8 to 2.
    work : of the events trained on, 1/8 to 1.
    """

    rate: float = 1.0
    work: float = 1.0

    def after(self, verdict: GateVerdict) -> "UpdateScale":
        """Return the scale of the next round.

        Caution cures what training has spoilt. It is no cure where the candidate is behind something simple alone.
        """
        if verdict.decision == "hold" or (verdict.decision == "reject" and "champion" not in verdict.lost_to):
            return self
        if not verdict.promote:
            return self.halved()
        if verdict.z >= CLEAR_SIGMAS:
            return UpdateScale(min(MAX_SCALE, self.rate * 1.25), min(1.0, self.work * 1.25))
        return UpdateScale(self.rate**0.5, min(1.0, self.work * 1.25))

    def halved(self) -> "UpdateScale":
        """Return the scale after a round that did harm."""
        return UpdateScale(max(MIN_SCALE, self.rate / 2.0), max(MIN_SCALE, self.work / 2.0))

    def applied(self, rounds: RoundConfig) -> RoundConfig:
        """Return a round's configuration at this scale."""
        tuning = replace(rounds.tuning, learning_rate=rounds.tuning.learning_rate * self.rate)
        return replace(rounds, tuning=tuning, max_predicted=max(2, round(rounds.max_predicted * self.work)))
