"""The gate's figures, as they are stored with a version and announced."""

from model.training.gate import GateVerdict

__all__ = ["figures_of"]


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
