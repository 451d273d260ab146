"""``reelstream model diff``: what changed from one version to another, row by row where rows have ids."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.network.cooccurrence import ITEM_COUNTS
from model.network.snapshot import Snapshot
from streams.records.data_requests import is_nobodys

if TYPE_CHECKING:
    from streams.registry.versions import Version

__all__ = ["difference", "text"]

LoadedVersion = tuple[Snapshot, "Version"]
Weights = NDArray[np.float32]
MatchedRows = tuple[NDArray[np.int64], NDArray[np.int64]]
LISTED = 5  # ids named of each list
NEIGHBOURHOOD = ("evidence.neighbours", "evidence.counts")  # whose columns mean other items in each version
MOVED = 1.0e-6  # length below which a row has not moved: the rounding of float32


def difference(before: LoadedVersion, after: LoadedVersion) -> dict[str, Any]:
    """Return metrics, shape, vocabularies, rows and offsets of two versions beside each other, as JSON-able values."""
    (old, old_version), (new, new_version) = before, after
    shapes = (old.config.describe(), new.config.describe())
    return {
        "before": old_version.version_id,
        "after": new_version.version_id,
        "is_child": new_version.parent == old_version.version_id,
        "metrics": _beside(old_version.metrics, new_version.metrics),
        "config": {name: both for name, both in _beside(*shapes).items() if both[0] != both[1]},
        "users": _ids(*([one for one in users if not is_nobodys(one)] for users in (old.users, new.users))),
        "items": _ids(old.items, new.items),
        "genres": _ids(old.genres, new.genres),
        "weights": {
            name: _moved(old.weights[name], new.weights[name], _rows(name, old, new))
            for name in old.weights.keys() & new.weights.keys()
            if name not in NEIGHBOURHOOD
        },
        "events": {
            topic: sum(offsets.values()) - sum(old_version.offsets.get(topic, {}).values())
            for topic, offsets in new_version.offsets.items()
        },
    }


def text(found: dict[str, Any]) -> str:
    """Return the same for people."""
    kin = "its child" if found["is_child"] else "not its child"
    lines = [f"{found['before']} -> {found['after']} ({kin})"]
    lines += [f"  {name:<18} {_said(old)} -> {_said(new)}" for name, (old, new) in sorted(found["metrics"].items())]
    lines += [f"  {name:<18} {old!r} -> {new!r}" for name, (old, new) in sorted(found["config"].items())]
    for name in ("users", "items", "genres"):
        ids = found[name]
        named = ", ".join((*ids["added"], "..." if ids["n_added"] > len(ids["added"]) else "")).rstrip(", ")
        lines.append(f"  {name:<18} {ids['both']:,} in both, +{ids['n_added']:,} -{ids['n_removed']:,}  {named}")
    lines += [f"  {topic:<18} {events:+,} events" for topic, events in found["events"].items()]
    lines.append(f"  {'weights':<18} {'rows moved':>22} {'relative change':>16}")
    for name, moved in sorted(found["weights"].items(), key=lambda one: -(one[1]["change"] or 0.0)):
        change = "other shape" if moved["change"] is None else f"{moved['change']:.4f}"
        lines.append(f"  {name:<32} {moved['moved']:>8,}/{moved['rows']:<8,} {change:>8}")
    return "\n".join(lines)


def _beside(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    return {name: (old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())}


def _ids(old: Sequence[str], new: Sequence[str]) -> dict[str, Any]:
    was, is_now = set(old), set(new)
    added, removed = [name for name in new if name not in was], [name for name in old if name not in is_now]
    return {
        "both": len(was & is_now),
        "n_added": len(added),
        "n_removed": len(removed),
        "added": added[:LISTED],
        "removed": removed[:LISTED],
    }


def _rows(name: str, old: Snapshot, new: Snapshot) -> MatchedRows | None:
    """Return which rows of a table belong to the same ids in both versions, or None for what has no ids."""
    kind = {"user_factors": "users", "genre_factors": "genres"}.get(name)
    if name.startswith("item_") or name in {"taste.factors", *(f"evidence.{one}" for one in ITEM_COUNTS)}:
        kind = "items"
    if kind is None:
        return None
    place = {one: row for row, one in enumerate(getattr(old, kind))}
    pairs = [(place[one], row) for row, one in enumerate(getattr(new, kind)) if one in place]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _moved(old: Weights, new: Weights, rows: MatchedRows | None) -> dict[str, Any]:
    """Return how many rows there are and how many moved, and how far relative to the length of the rows before."""
    if rows is not None:
        old, new = old[rows[0]], new[rows[1]]
    n = len(new) if rows is not None else 1
    if old.shape != new.shape:
        return {"rows": n, "moved": n, "change": None}
    lengths = np.sqrt(np.square(new - old).reshape(n, new.size // max(1, n)).sum(axis=1))
    return {
        "rows": n,
        "moved": int((lengths > MOVED).sum()),
        "change": float(np.linalg.norm(lengths)) / max(MOVED, float(np.linalg.norm(old))),
    }


def _said(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.4f}"
