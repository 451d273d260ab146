"""An unfinished run, as one file: what cannot be replayed quickly. Everything else comes from the stream anew.

Profiles, trending and the learner's memory follow from the events so far, in half a minute. The file keeps the track of
the lists, champion and anchor with what the rounds say of them, the users' modes, what they were shown, and the tracks
that the second process has finished.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.network.snapshot import Snapshot
from model.training.checkpoint import Checkpoint, under
from replay.prequential.run import ListTrack, PrequentialRun, RoundMark
from streams.errors import DataError
from streams.registry.checkpoints import read_checkpoint, write_checkpoint

__all__ = ["SavedTracks", "keep", "restore"]

Ranks = NDArray[np.float64]
COLUMNS = fields(ListTrack)


class SavedTracks:
    """What a file brought back: the first version, and the tracks that were finished."""

    def __init__(self, first: Snapshot | None, tracks: dict[str, Ranks]) -> None:
        self.first = first
        self.tracks = tracks


def keep(
    path: Path, run: PrequentialRun, first: Snapshot | None, tracks: Mapping[str, Ranks], about: Mapping[str, Any]
) -> None:
    """Write or replace the file; ``about`` is what must be the same when the run continues."""
    champion, anchor = run.learner.champion, run.learner.anchor
    tensors = {
        f"{name}.{key}": torch.from_numpy(weight.copy())
        for name, snapshot in (("champion", champion), ("anchor", anchor), ("first", first))
        for key, weight in (snapshot.weights if snapshot else {}).items()
    }
    tensors |= {f"track.{name}": torch.from_numpy(ranks) for name, ranks in tracks.items()}
    for name, track in (("tally", run.track), ("reranked", run.reranked)):
        if track is not None:
            tensors |= {f"{name}.{column.name}": torch.from_numpy(getattr(track, column.name)) for column in COLUMNS}
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    state = {
        "about": dict(about),
        "champion": champion.describe() if champion else None,
        "anchor": anchor.describe() if anchor else None,
        "first": first.describe() if first else None,
        "done": run.done,
        "promoted": run.promoted,
        "learner": run.learner.position(),
        "marks": [asdict(mark) for mark in run.marks],
        "modes": run.worker.state.modes(),
        "impressions": run.worker.state.impressions(),
    }
    write_checkpoint(path, Checkpoint(copies, state))


def restore(path: Path, run: PrequentialRun, about: Mapping[str, Any]) -> SavedTracks | None:
    """Bring a new run to where the file's run was, and return the saved tracks; None where there is no file.

    Raises
    ------
    DataError
        If the file is of another run, or of something else.
    """
    found = read_checkpoint(path)
    if found is None:
        return None
    if found.state.get("about") != dict(about):
        raise DataError(
            f"checkpoint: {path} must be of this run, {dict(about)!r}, got {found.state.get('about')!r}; remove it to "
            "begin anew"
        )
    state = found.state
    run.track = _track("tally.", found)
    if run.reranked is not None:
        run.reranked = _track("reranked.", found)
    run.marks = [RoundMark(**mark) for mark in state["marks"]]
    for observed, learnt in state["learner"]["promotions"]:
        run.warm_up(observed)
        run.learner.learnt_to(learnt)
    run.warm_up(state["done"])
    for user_id, mode in state["modes"].items():
        run.worker.state.keep_mode(user_id, mode)
    for user_id, impressions in state["impressions"].items():
        run.worker.state.keep_impressions(user_id, impressions)
    champion = _snapshot("champion", found)
    run.learner.resume(champion, state["learner"], _snapshot("anchor", found))
    if state["promoted"]:
        run.promoted = state["promoted"] - 1
        run.use(champion)
    tracks = {name: ranks.numpy() for name, ranks in under("track.", found.tensors).items()}
    return SavedTracks(_snapshot("first", found), tracks)


def _track(prefix: str, found: Checkpoint) -> ListTrack:
    columns = under(prefix, found.tensors)
    return ListTrack(*(columns[column.name].numpy() for column in COLUMNS))


def _snapshot(name: str, found: Checkpoint) -> Snapshot | None:
    described = found.state[name]
    if described is None:
        return None
    weights = under(f"{name}.", found.tensors)
    return Snapshot.restore({key: weight.numpy() for key, weight in weights.items()}, described)
