"""One round of learning: from what the trainer collected to a candidate version.

A first round trains a new network on everything. A later one warm-starts from the champion, gives rows to
new users and items, and trains on the new events together with a random sample of old windows, so that
what is old is not forgotten.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.catalogue import Catalogue
from model.columns.histories import events_of
from model.history import Interaction
from model.network.cooccurrence import counted_pairs, width_for
from model.network.intent import item_text, text_vectors
from model.network.shape import NeuMFConfig, genre_matrix
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.sequences import Sequences, Spans
from model.trainable.neumf import NeuMF
from model.trainable.row_subset import RowSubset, extract, write_back
from model.training.blending import learnt_blend
from model.training.divergence import require_not_diverged
from model.training.fit import Progress, TrainingConfig, TrainingHooks, TrainingResult, fit, fit_spans, torch_generator
from model.training.heat import TrendingLists
from model.training.held_out import HeldOutEvent
from model.training.standing import Standing
from model.training.validation import ValidationEvents
from model.vocabulary import CodedIds, Rows, Vocabulary

__all__ = ["Candidate", "Material", "RoundConfig", "run_round", "train", "tuned_on"]

OLD_EVENTS = 20  # that an old user is expected to have: decides how many old users a round replays


@dataclass(frozen=True, slots=True)
class RoundConfig:
    """How a round trains.

    Parameters
    ----------
    network : shape of a first network; later ones inherit the champion's.
    first : training without a champion. From the first 2,000 events of ml-100k these constants lead to an HR@10 of
        0.091 on the 8,000 that follow, in a quarter of the time in which 400 steps of 32 windows lead to 0.082.
    tuning : training from a champion, little and often; on ml-100k in rounds of 5,000 events these constants
        lift HR@10 on the events that follow from 0.153 (champion left alone) to 0.169.
    replay : events predicted in old windows for each in windows with new ones.
    max_predicted : events predicted in one epoch of tuning, at most half of them in windows with new ones; beyond it a
        random choice is taken, which bounds the time of a round.
    """

    network: NeuMFConfig = field(default_factory=NeuMFConfig)
    first: TrainingConfig = field(default_factory=lambda: TrainingConfig(epochs=12, batch=16, least_steps=150))
    tuning: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(epochs=4, batch=32, negatives=8, popular=0.75, learning_rate=7.0e-4)
    )
    replay: float = 1.0
    max_predicted: int = 18_000


@dataclass(frozen=True, slots=True)
class Material:
    """All that a round reads; shares nothing that changes with the learner.

    Parameters
    ----------
    champion : the version to start from, or None for a first one.
    catalogue : items and their genres.
    histories : each user's events but the held-out ones, oldest first.
    fresh : how many of a user's latest events in ``histories`` the champion has not learnt from; one entry
        for each user there.
    held_out : events kept for the gate.
    popularity : how often each item occurs in ``histories``.
    trends : what trends after the events of ``histories``.
    unseen : some of the new events in ``histories``, which neither the champion nor ``trends_before`` has seen.
    trends_before : what trended before them.
    trained_to, observed_to : numbers of the last event trained on, and of the last one observed.
    may_wait : whether more events would be held out if there were more new ones.
    anchor : the version that the champion is measured by; None where the champion is its own.
    standing : what earlier rounds say of the champion.
    """

    champion: Snapshot | None
    catalogue: Catalogue
    histories: Mapping[str, tuple[Interaction, ...]]
    fresh: Mapping[str, int]
    held_out: tuple[HeldOutEvent, ...]
    popularity: Mapping[str, int]
    trends: TrendingLists
    unseen: tuple[HeldOutEvent, ...]
    trends_before: TrendingLists
    trained_to: int
    observed_to: int
    may_wait: bool = True
    anchor: Snapshot | None = None
    standing: Standing = field(default_factory=Standing)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained version that has not been through the gate, and what it was made from."""

    snapshot: Snapshot
    material: Material
    training: TrainingResult


def run_round(
    material: Material,
    config: RoundConfig,
    generator: np.random.Generator,
    progress: Progress | None = None,
    hooks: TrainingHooks | None = None,
) -> Candidate:
    """Return the candidate of one round; ``hooks`` are for a first one.

    The blend of a later one is learnt from events that the champion has not seen. That of a first one is learnt from
    every second held-out event, and the gate is left the others.

    Raises
    ------
    ValueError
        If there is no champion and no user has two events.
    FloatingPointError
        If training diverges, or weights explode.
    """
    champion = material.champion
    trained_on = (
        material.histories
        if champion is None
        else _round_histories(material, max(1, config.max_predicted // OLD_EVENTS), generator)
    )
    events = events_of(trained_on)
    columns = (events.users, events.items, events.times, events.weights)
    if champion is None:
        snapshot, result = train(
            *columns,
            material.catalogue,
            wanted=events.wanted(),
            network=config.network,
            training=config.first,
            generator=generator,
            progress=progress,
            hooks=hooks,
        )
    else:
        lengths = [len(history) for history in trained_on.values()]
        old_to = np.cumsum(np.array(lengths, dtype=np.int64)) - [material.fresh[user_id] for user_id in trained_on]
        is_fresh = np.arange(len(events)) >= np.repeat(old_to, lengths)
        snapshot, result = tuned_on(
            champion,
            material.catalogue,
            *columns,
            is_fresh,
            config,
            generator,
            progress,
            material.histories,
            wanted=events.wanted(),
        )
    require_not_diverged(champion, snapshot)
    if champion is not None:
        ranker = Ranker(champion)
        blend = learnt_blend(ranker, material.trends_before.signals(ranker.items), material.unseen, generator)
        return Candidate(snapshot.with_blend(blend), material, result)
    ranker = Ranker(snapshot)
    blend = learnt_blend(ranker, material.trends.signals(ranker.items), material.held_out[::2], generator)
    return Candidate(snapshot.with_blend(blend), replace(material, held_out=material.held_out[1::2]), result)


def _round_histories(material: Material, n: int, generator: np.random.Generator) -> dict[str, tuple[Interaction, ...]]:
    """Return the histories of all users with new events and of ``n`` random others.

    A round cannot replay more events than these users have. More users would take time in proportion to the learner's
    memory, and teach nothing.
    """
    fresh = [user_id for user_id in material.histories if material.fresh[user_id]]
    others = [user_id for user_id in material.histories if not material.fresh[user_id]]
    replayed = [others[place] for place in generator.permutation(len(others))[:n]]
    return {user_id: material.histories[user_id] for user_id in (*fresh, *replayed)}


def train(
    users: Iterable[str] | CodedIds,
    items: Iterable[str] | CodedIds,
    times: ArrayLike,
    weights: ArrayLike,
    catalogue: Catalogue,
    *,
    wanted: ArrayLike | None = None,
    network: NeuMFConfig,
    training: TrainingConfig,
    generator: np.random.Generator,
    progress: Progress | None = None,
    hooks: TrainingHooks | None = None,
) -> tuple[Snapshot, TrainingResult]:
    """Train a first version on events given as columns of equal length, in any order.

    Items of the catalogue that nobody touched get rows after the training, from their genres.

    Parameters
    ----------
    users, items : ids.
    times : int64, milliseconds.
    weights : float32, 0..1.
    catalogue : items and genres; an item it does not hold has no genres.
    wanted : float32, how much an event counts as one that the user wanted, 0..1; all count in full if None.
    network, training : shape, and how to train.
    generator : of everything random.
    progress : called after each step.
    hooks : checkpoints to keep or to continue from; this function adds texts and score.

    Raises
    ------
    ValueError
        If no user has two events, or a checkpoint is of another training.
    FloatingPointError
        If training diverges.
    """
    vocabularies = _VersionVocabularies(None, catalogue)
    sequences = vocabularies.admit(users, items, times, weights, wanted=wanted, repeats=network.repeats)
    held_out = None
    if training.patience:
        held_out, sequences = ValidationEvents.of(sequences, generator)
    n_items = max(len(vocabularies.items), len(catalogue.items))
    shape = replace(network, neighbours=width_for(n_items, network.neighbours))
    fitted = NeuMF(shape, len(vocabularies.users), vocabularies.item_genres(), torch_generator(generator))
    score = held_out.hit_rate if held_out else None
    hooks = replace(
        hooks or TrainingHooks(),
        texts=vocabularies.texts(shape.text_width, np.arange(len(vocabularies.items))),
        score=score,
    )
    result = fit(fitted, sequences, training, generator, progress, hooks)
    return vocabularies.finished(fitted, generator), result


class _VersionVocabularies:
    """The vocabularies of a version that is being made."""

    def __init__(self, parent: Snapshot | None, catalogue: Catalogue) -> None:
        self.parent = parent
        self.catalogue = catalogue
        self.users = Vocabulary(parent.users if parent else ())
        self.items = Vocabulary(parent.items if parent else ())
        self.genres = Vocabulary(parent.genres if parent else ())
        self.genres.admit(catalogue.genres())
        self._item_genres: NDArray[np.float32] | None = None

    def admit(
        self,
        users: Iterable[str] | CodedIds,
        items: Iterable[str] | CodedIds,
        times: ArrayLike,
        weights: ArrayLike,
        fresh: ArrayLike | None = None,
        wanted: ArrayLike | None = None,
        *,
        repeats: bool,
    ) -> Sequences:
        """Give rows to new ids and return the events as sequences."""
        rows = self.users.admit(users), self.items.admit(items)
        return Sequences.of(*rows, times, weights, fresh, wanted, repeats=repeats)

    def known(self, histories: Mapping[str, tuple[Interaction, ...]]) -> Sequences:
        """Return the events of histories with items that have rows, their users numbered as they come."""
        events = events_of(histories)
        items = self.items.rows(events.items)
        has_row = items >= 0
        return Sequences.of(events.users.codes[has_row], items[has_row], events.times[has_row], events.weights[has_row])

    def item_genres(self) -> NDArray[np.float32]:
        """Return float32 (N, G); an item that has left the catalogue keeps the genres it had."""
        if self._item_genres is not None and len(self._item_genres) == len(self.items):
            return self._item_genres  # items only ever come
        entries = [self.catalogue.find(item_id) for item_id in self.items.ids]
        matrix = genre_matrix([entry.genres if entry else () for entry in entries], self.genres.ids)
        if self.parent is not None:
            before = self.parent.weights["item_genres"]
            gone = [row for row in range(len(before)) if entries[row] is None]
            matrix[gone, : before.shape[1]] = before[gone]
        self._item_genres = matrix
        return matrix

    def texts(self, width: int, rows: Rows) -> NDArray[np.float32] | None:
        """Return the text vectors of items, float32 (R, width); None where all are zero."""
        ids = self.items.ids
        entries = [self.catalogue.find(ids[row]) for row in rows.tolist()]
        found = text_vectors((item_text(entry) if entry else "" for entry in entries), width)
        return found if found.any() else None

    def finished(self, network: NeuMF, generator: np.random.Generator) -> Snapshot:
        """Give rows to the catalogue's untouched items and return the version, which takes the network's weights."""
        self.items.admit(self.catalogue.items)
        network.grow(len(self.users), self.item_genres(), torch_generator(generator))
        return network.into_snapshot(self.items.ids, self.users.ids, self.genres.ids)


def tuned_on(
    champion: Snapshot,
    catalogue: Catalogue,
    users: Iterable[str] | CodedIds,
    items: Iterable[str] | CodedIds,
    times: ArrayLike,
    weights: ArrayLike,
    fresh: ArrayLike,
    config: RoundConfig,
    generator: np.random.Generator,
    progress: Progress | None = None,
    remembered: Mapping[str, tuple[Interaction, ...]] | None = None,
    *,
    wanted: ArrayLike | None = None,
) -> tuple[Snapshot, TrainingResult]:
    """Fine-tune a version on events given as columns, in any order; it has learnt from those that are not ``fresh``.

    Where the log has grown enough, the long-term taste is made anew from all histories that are ``remembered``.
    """
    vocabularies = _VersionVocabularies(champion, catalogue)
    sequences = vocabularies.admit(users, items, times, weights, fresh, wanted, repeats=champion.config.repeats)
    return _tuned(vocabularies, champion, sequences, remembered, config, generator, progress)


def _tuned(
    vocabularies: _VersionVocabularies,
    champion: Snapshot,
    sequences: Sequences,
    remembered: Mapping[str, tuple[Interaction, ...]] | None,
    config: RoundConfig,
    generator: np.random.Generator,
    progress: Progress | None,
) -> tuple[Snapshot, TrainingResult]:
    """Warm-start from the champion and train on each user's latest events, as many as are new.

    Where nobody has two events yet there is nothing to train on: new rows are all that the version gains.
    """
    network = NeuMF.of(champion)
    pairs = counted_pairs(sequences, len(vocabularies.items))
    network.grow(len(vocabularies.users), vocabularies.item_genres(), torch_generator(generator), pairs + pairs.T)
    if "evidence" in network.config.parts:
        network.evidence.count(sequences, pairs)
    length = network.config.history_length
    if "taste" in network.config.parts:
        network.taste.wait(int(sequences.fresh.sum()))
        if network.taste.is_due and remembered is not None:
            network.taste.fit(vocabularies.known(remembered), length)
    spans = [_drawn_spans(sequences, length, config, generator) for _ in range(config.tuning.epochs)]
    epochs = [one for one in spans if len(one)]
    if not epochs:
        return vocabularies.finished(network, generator), TrainingResult(0, 0, 0.0, 0)
    result = _fit_part(network, vocabularies, sequences, epochs, config, generator, progress)
    return vocabularies.finished(network, generator), result


def _drawn_spans(sequences: Sequences, length: int, config: RoundConfig, generator: np.random.Generator) -> Spans:
    """Return windows that end in each user's new events, and a random choice of all others."""
    starts, _ = sequences.bounds()
    latest = sequences.latest_spans(length, np.add.reduceat(sequences.fresh, starts, dtype=np.int64))
    latest = latest.taken(generator.permutation(len(latest))).within(max(1, config.max_predicted // 2), least=1)
    predicted = int((latest.ends - latest.begins).sum())
    old = sequences.phased_spans(length, generator)
    n_old = min(round(config.replay * max(1, predicted)), config.max_predicted - predicted)
    return latest.joined(old.taken(generator.permutation(len(old))).within(n_old))


def _fit_part(
    network: NeuMF,
    vocabularies: _VersionVocabularies,
    sequences: Sequences,
    epochs: list[Spans],
    config: RoundConfig,
    generator: np.random.Generator,
    progress: Progress | None,
) -> TrainingResult:
    """Train on the spans of each epoch, and move no other rows than those of the users and items in their windows."""
    inside = np.zeros(len(sequences), dtype=np.bool_)
    for spans in epochs:
        inside |= spans.cover(len(sequences))
    chosen = RowSubset(
        np.unique(sequences.users),
        np.unique(sequences.items),
        np.unique(sequences.users[inside]),
        np.unique(sequences.items[inside]),
    )
    rows = replace(sequences, users=chosen.user_places(sequences.users), items=chosen.item_places(sequences.items))
    part = extract(network, chosen)
    texts = vocabularies.texts(network.config.text_width, chosen.learnt_items)
    pool = np.arange(len(chosen.learnt_items))  # they stand first
    result = fit_spans(part, rows, epochs, config.tuning, generator, progress, TrainingHooks(texts=texts), pool)
    write_back(network, part, chosen)
    return result
