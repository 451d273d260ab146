"""The gate's figures, as they are stored with a version and announced."""

from model.training.gate import GateVerdict

__all__ = ["figures_of"]


def figures_of(verdict: GateVerdict) -> dict[str, float]:
    """Return the gate's figures as they are stored and announced."""
    figures = {
        "hr@10": verdict.candidate.hit_rate,
        "ndcg@10": verdict.candidate.ndcg,
        "popularity_hr@10": verdict.popularity.hit_rate,
        "held_out": float(verdict.events),
        "z": verdict.z,
    }
    if verdict.champion is not None:
        figures |= {"champion_hr@10": verdict.champion.hit_rate, "champion_ndcg@10": verdict.champion.ndcg}
    return figures
