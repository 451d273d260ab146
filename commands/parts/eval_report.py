"""What ``reelstream eval`` prints: one object for programs, or tables for people with what must be known about them."""

from dataclasses import dataclass
from math import isnan, sqrt
from typing import Any

from commands.parts.comparing import better_as_values, verdict
from commands.parts.drawing import Row, table
from model.metrics.ranking import hit_rate, ndcg
from replay.evaluation.baselines.popularity import ranks_with_ties_won
from replay.evaluation.behind import BetterMethod
from replay.evaluation.split import Split
from replay.evaluation.summary import Estimate, MethodSummary, Protocol, ProtocolQuality, UserGroup

__all__ = ["EvaluationResult", "described", "text"]

TIE_RULE = "a held-out item's rank is 1 + better + equal / 2; a list gives its last places to the lower rows of a tie"


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Everything that was found out.

    Parameters
    ----------
    split : what was learnt from and tested.
    summaries : one for each method, ours first.
    better : what is ahead of ours; None where ours was left out.
    protocol : of the main figures.
    held_out : which event of each user, in a word.
    k : length of the lists.
    seed, seeds : of the split and the first run; how many runs a random method had.
    config : of our model.
    seconds : in all.
    """

    split: Split
    summaries: tuple[MethodSummary, ...]
    better: tuple[BetterMethod, ...] | None
    protocol: Protocol
    held_out: str
    k: int
    seed: int
    seeds: int
    config: dict[str, Any]
    seconds: float

    def title(self) -> str:
        """Return the protocol in words."""
        everything = "all items" if self.split.repeats else "all items not touched before"
        among = f"{self.split.n_negatives} others" if self.protocol == "sampled" else everything
        return f"{self.split.name}: each user's {self.held_out} event, ranked among {among}"


def described(evaluated: EvaluationResult) -> dict[str, Any]:
    """Return the object that ``--json`` prints."""
    split, k = evaluated.split, evaluated.k
    models = {one.name: _described(one, evaluated) for one in evaluated.summaries}
    ours = next((one for name, one in models.items() if name == "Reelstream"), None)
    return {
        "metrics": ours and ours["metrics"],
        "popularity": models["popularity"]["metrics"],
        "popularity_ties_won": _ties_won(evaluated),
        "own_negatives": int(split.is_own_negative().sum()),
        "worse_than": None if evaluated.better is None else better_as_values(evaluated.better),
        "models": models,
        "protocol": evaluated.title(),
        "tie_rule": TIE_RULE,
        "k": k,
        "data": {"file": split.name, "sha256": split.sha256},
        "users": len(split),
        "users_sampled_of": split.sampled_of,
        "items": split.n_items,
        "events": len(split.train),
        "repeats": {"kept": split.repeats, "events": split.repeated},
        "tied_share": split.tied_share(),
        "genres": len(split.catalogue.genres()),
        "config": evaluated.config,
        "seed": evaluated.seed,
        "seeds": evaluated.seeds,
        "epochs": evaluated.config["training"]["epochs"],
        "seconds": evaluated.seconds,
    }


def text(evaluated: EvaluationResult) -> str:
    """Return what is printed for people."""
    split = evaluated.split
    parts = [evaluated.title(), table(_overall(evaluated)), table(_by_group(evaluated))]
    if evaluated.better is not None:
        others = [one.name for one in evaluated.summaries if not one.name.startswith("Reelstream")]
        parts.append(verdict("Reelstream", evaluated.better, others, evaluated.k))
    parts += _notes(evaluated)
    parts.append(
        f"{len(split):,} users tested{_drawn(split)}, {split.n_items:,} items, {len(split.train):,} training events; "
        f"seed {evaluated.seed} of the split, {evaluated.seeds} run(s) of what is random; {evaluated.seconds} s in all"
    )
    return "\n".join(parts)


def _drawn(split: Split) -> str:
    """Return of how many users the tested ones are a sample, where they are."""
    return "" if split.sampled_of is None else f" of {split.sampled_of:,}, drawn at random (--test-users tests more)"


def _described(one: MethodSummary, evaluated: EvaluationResult) -> dict[str, Any]:
    k = evaluated.k
    return {
        "runs": one.runs,
        "metrics": _quality(one.main, k)
        | _flat({f"coverage@{k}": one.coverage, f"novelty@{k}": one.novelty})
        | ({f"diversity@{k}": None} if isnan(one.diversity.mean) else _flat({f"diversity@{k}": one.diversity})),
        "sampled": one.sampled and _quality(one.sampled, k),
        "full": _quality(one.full, k) | _flat({"recall@100": one.retrieved}),
        "by_length": {group.name: _group(group, k) for group in one.by_length},
        "apart": _group(one.apart, k),
        "fit_s": round(one.fit_s, 3),
        "rank_s": round(one.rank_s, 3),
    }


def _quality(quality: ProtocolQuality, k: int) -> dict[str, float | None]:
    return _flat(
        {
            f"hr@{k}": quality.hit_rate,
            f"ndcg@{k}": quality.ndcg,
            f"recall@{k}": quality.recall,
            f"precision@{k}": quality.precision,
        }
    )


def _group(group: UserGroup, k: int) -> dict[str, float | None]:
    return {"users": group.users} | _flat({f"hr@{k}": group.hit_rate, f"ndcg@{k}": group.ndcg})


def _flat(estimates: dict[str, Estimate]) -> dict[str, float | None]:
    """Return the means by name, and under ``<name>_error`` the standard errors that there are."""
    found: dict[str, float | None] = {name: one.mean for name, one in estimates.items()}
    return found | {f"{name}_error": one.error for name, one in estimates.items() if one.error is not None}


def _ties_won(evaluated: EvaluationResult) -> dict[str, float] | None:
    if not evaluated.split.n_negatives:
        return None
    ranks, k = ranks_with_ties_won(evaluated.split), evaluated.k
    return {f"hr@{k}": hit_rate(ranks, k), f"ndcg@{k}": ndcg(ranks, k)}


def _overall(evaluated: EvaluationResult) -> list[Row]:
    k, is_sampled = evaluated.k, evaluated.protocol == "sampled"
    among_all: Row = (f"all: HR@{k}", f"all: NDCG@{k}") if is_sampled else ()
    retrieved = "all: Recall@100" if is_sampled else "Recall@100"
    header = ("", f"HR@{k}", f"NDCG@{k}", f"Recall@{k}", f"Prec@{k}", *among_all, retrieved)
    rows: list[Row] = [(*header, "diversity", "coverage", "novelty", "fit s", "rank s")]
    for one in evaluated.summaries:
        main = one.main
        others = [_cell(one.full.hit_rate), _cell(one.full.ndcg)] if is_sampled else []
        follow = (f"{figure.mean:.4f}" for figure in (main.recall, main.precision))
        diversity = "" if isnan(one.diversity.mean) else f"{one.diversity.mean:.3f}"
        lists = (f"{one.retrieved.mean:.4f}", diversity, f"{one.coverage.mean:.3f}", f"{one.novelty.mean:.2f}")
        seconds = (f"{one.fit_s:.1f}", f"{one.rank_s:.1f}")
        rows.append((one.name, _cell(main.hit_rate), _cell(main.ndcg), *follow, *others, *lists, *seconds))
        if one.name == "popularity" and is_sampled and (won := _ties_won(evaluated)):
            rows.append(("  ties won", *(f"{figure:.4f}" for figure in won.values())))
    return rows


def _by_group(evaluated: EvaluationResult) -> list[Row]:
    first, k = evaluated.summaries[0], evaluated.k
    counted = [f"{group.name} ({group.users:,})" for group in first.by_length]
    apart = f"apart ({first.apart.users:,})"
    rows: list[Row] = [(f"HR@{k} by history (users)", *counted, apart, f"apart: NDCG@{k}")]
    for one in evaluated.summaries:
        groups = (*one.by_length, one.apart)
        figures = (*(group.hit_rate for group in groups), one.apart.ndcg)
        rows.append((one.name, *(f"{figure.mean:.4f}" for figure in figures)))
    return rows


def _notes(evaluated: EvaluationResult) -> list[str]:
    """Return what must stand under every table."""
    split, first = evaluated.split, evaluated.summaries[0]
    rate = first.main.hit_rate.mean
    error = sqrt(rate * (1.0 - rate) / len(split))
    ties = f"Ties: {TIE_RULE}. Where nearly all items tie that is not what random orders would give."
    one_item = (
        f"With one right item each, recall is the hit rate and precision the hit rate / {evaluated.k}. "
        f"Another sample of users would move {first.name}'s by {error:.4f} (one standard error)."
    )
    pages = (
        "Half of a MovieLens user's consecutive events share a second: users rate pages of films. "
        f"Here {split.tied_share():.0%} do; `apart` are the users whose held-out event does not share its second "
        "with the event before it."
    )
    return [*_repeats(split), ties, *_own_negatives(evaluated), one_item, pages]


def _repeats(split: Split) -> list[str]:
    """Return how many repeats the log has, and what became of them; nothing where it has none."""
    if not split.repeated:
        return []
    became = "kept" if split.repeats else "dropped (--keep-repeats keeps them)"
    return [
        f"{split.repeated:,} events were repeats, with an item that the user had touched before: they were {became}."
    ]


def _own_negatives(evaluated: EvaluationResult) -> list[str]:
    """Return how lines that list the held-out item twice are counted, where there are any."""
    lines = int(evaluated.split.is_own_negative().any(axis=1).sum())
    if not lines:
        return []
    fewer = evaluated.split.n_negatives - 1
    return [f"{lines:,} of {len(evaluated.split):,} lists of negatives name the held-out item: it has {fewer} others."]


def _cell(figure: Estimate) -> str:
    return f"{figure.mean:.4f}" + ("" if figure.error is None else f" ±{figure.error:.4f}")
