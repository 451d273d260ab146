"""An archive of events as a recorded log, for training offline.

Events are interactions with the weights that they have in the state. An archive does not know what an item is: the
caller gives the catalogue.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from model.catalogue import Catalogue, Item
from model.feedback import MIN_PROGRESS, are_positive_ratings
from model.kinds import DEFAULT_KINDS, RATE, WATCH, KindTable
from model.renames import NO_RENAMES, Renames
from model.vocabulary import CodedIds
from replay.datasets.dataset import Dataset, Provenance
from streams.archive.parquet import ArchivedFile, EventArchive, kept_rows
from streams.errors import DataError
from streams.kafka.topics import event_topics
from streams.records.data_requests import Forgotten
from streams.records.positions import TopicPartition

__all__ = ["read_archive"]

Files = Mapping[TopicPartition, tuple[ArchivedFile, ...]]
Below = Mapping[TopicPartition, Mapping[str, int]]  # of each user the offset before which rows are forgotten
NOBODYS: Mapping[str, str] = MappingProxyType({})
_STARS = 5.0  # weigh 1, as in `Rating.interaction`
_ORDER = {WATCH: 0, RATE: 1}  # of events at one time; any other kind comes after them
_CODED = ("user_id", "item_id", "kind")
_READ = ("offset", *_CODED, "ts", "progress", "rating")
_ALWAYS = (*_READ, "withdraws")
_COLUMNS = (*_ALWAYS, "event_id")  # where events were taken back


def read_archive(
    url: str,
    items: Iterable[Item],
    prefix: str = "",
    kinds: KindTable = DEFAULT_KINDS,
    renames: Renames = NO_RENAMES,
    accounts: Mapping[str, str] = NOBODYS,
    forgotten: Forgotten | None = None,
) -> Dataset:
    """Read the archived events of an installation.

    Parameters
    ----------
    url : where the archive is, see ``EventArchive``.
    items : what the catalogue describes, by first ids; an item that only events mention gets its id as title.
    prefix : topic prefix of the installation.
    kinds : of events that there are; an event of another kind, or one that only hides an item, is left out, and so is
        one that was taken back.
    renames : other ids of the items; an event that names one is of the item under its first.
    accounts : guests with the accounts whose history theirs is; each rating is judged by the guest's own all the same.
    forgotten : who was forgotten; what such a user did before counts for nobody here, so it is left out. An archiver
        takes it out of the files when it comes to it.

    Returns
    -------
    A log whose interactions have three more columns: ``kind`` (str objects), ``weight`` (float64, 0..1) and
    ``is_positive`` (bool; of a rating by its kind alone), as in the state; ``rating`` is the weight in stars, and so
    may be below 0.5. The order is that of the state: by event time, a watch before a rating and that before other
    kinds, then as recorded. ``origin.sha256`` is over the names of the files.

    Raises
    ------
    DataError
        If the archive holds no event of these topics, cannot be read, or has a torn file.
    """
    archive = EventArchive(url)
    names = event_topics(prefix)
    files = archive.partitions(names)
    below = {} if forgotten is None else forgotten.below(prefix)
    tables = list(_tables(archive, files, below))
    if not sum(table.num_rows for table in tables):
        raise DataError(f"archive: {archive.url} must hold events of {', '.join(names)}, got none")
    interactions = _interactions(pa.concat_tables(tables).unify_dictionaries(), kinds, renames, accounts)
    described = {item.item_id: item for item in items}
    mentioned = interactions["item_id"].unique()
    catalogue = Catalogue.of([*described.values(), *(Item(one, one) for one in mentioned if one not in described)])
    return Dataset("archive", catalogue, interactions, Provenance("archive", archive.url, _digest(files)))


def _tables(archive: EventArchive, files: Files, below: Below) -> Iterator[pa.Table]:
    """Give what is read of each file, each distinct id held once."""
    taken = _taken_back(archive, files, below)
    for at, own in files.items():
        topic, partition = at
        for table in _remembered(archive, own, _COLUMNS if taken.get(topic) else _ALWAYS, below.get(at)):
            kept = _standing(table, taken.get(topic)).select(_READ)
            for name in _CODED:
                encoded = kept.column(name).dictionary_encode()
                kept = kept.set_column(kept.column_names.index(name), name, encoded)
            yield kept.append_column("partition", pa.array(np.full(kept.num_rows, partition, np.int32)))


def _taken_back(archive: EventArchive, files: Files, below: Below) -> dict[str, set[tuple[str, str]]]:
    """Return user and id of the events that were taken back, of each topic."""
    taken: dict[str, set[tuple[str, str]]] = {}
    for at, own in files.items():
        for table in _remembered(archive, own, ("offset", "user_id", "withdraws"), below.get(at)):
            named = table.filter(pc.is_valid(table.column("withdraws")))
            pairs = zip(named.column("user_id").to_pylist(), named.column("withdraws").to_pylist(), strict=True)
            taken.setdefault(at[0], set()).update(pairs)
    return taken


def _remembered(
    archive: EventArchive, files: tuple[ArchivedFile, ...], columns: Sequence[str], below: Mapping[str, int] | None
) -> Iterator[pa.Table]:
    """Give the rows of a partition that were not forgotten."""
    tables = archive.rows(files, columns)
    return (kept_rows(table, below) for table in tables) if below else tables


def _standing(table: pa.Table, taken: set[tuple[str, str]] | None) -> pa.Table:
    """Return the rows of a topic without withdrawals, and without what they take back."""
    if not taken:
        return table  # which has no withdrawals
    ids = zip(table.column("user_id").to_pylist(), table.column("event_id").to_pylist(), strict=True)
    stands = pa.array([pair not in taken for pair in ids], pa.bool_())
    return table.filter(pc.and_(stands, pc.is_null(table.column("withdraws"))))


def _interactions(table: pa.Table, kinds: KindTable, renames: Renames, accounts: Mapping[str, str]) -> pd.DataFrame:
    rows = {row.name: row for row in kinds.rows if row.effect is None}
    kind = _coded(table.column("kind"))
    is_known = np.array([name in rows for name in kind.ids], dtype=np.bool_)[kind.codes]
    if not is_known.all():
        table = table.filter(pa.array(is_known))
        kind = kind.taken(is_known)
    found = [rows.get(name, rows[RATE]) for name in kind.ids]  # what is of no known kind is gone
    is_watch, is_rating = (np.array([name == one for name in kind.ids], dtype=np.bool_)[kind.codes] for one in _ORDER)
    progress, stars = (table.column(name).to_numpy() for name in ("progress", "rating"))
    weight = np.array([row.weight for row in found], dtype=np.float64)[kind.codes]
    weight *= np.where(is_watch, progress, np.where(is_rating, stars / _STARS, 1.0))
    is_positive = np.array([row.is_positive for row in found], dtype=np.bool_)[kind.codes]
    is_positive &= ~(progress < MIN_PROGRESS)  # progress is not a number where there is no watch
    newer = np.array([_ORDER.get(name, len(_ORDER)) for name in kind.ids], dtype=np.int8)[kind.codes]
    ts = table.column("ts").to_numpy()
    order = np.lexsort((table.column("offset").to_numpy(), table.column("partition").to_numpy(), newer, ts))
    users, items = (_coded(table.column(name)).taken(order) for name in ("user_id", "item_id"))
    is_rating, is_positive = is_rating[order], is_positive[order]
    is_positive[is_rating] &= are_positive_ratings(pd.factorize(users.codes)[0][is_rating], stars[order][is_rating])
    columns = {
        "user_id": _texts(users, lambda user: accounts.get(user, user)),
        "item_id": _texts(items, renames.first_id),
        "rating": _STARS * weight[order],
        "ts": ts[order],
        "kind": _texts(kind.taken(order)),
        "weight": weight[order],
        "is_positive": is_positive,
    }
    return pd.DataFrame(columns, copy=False)


def _coded(ids: pa.ChunkedArray) -> CodedIds:
    whole = ids.combine_chunks()
    return CodedIds(whole.indices.to_numpy().astype(np.int32, copy=False), tuple(whole.dictionary.to_pylist()))


def _texts(ids: CodedIds, named: Callable[[str], str] = lambda one: one) -> "pd.Series[str]":
    """Return ids by other names, each distinct one held once."""
    names = np.asarray([named(one) for one in ids.ids], dtype=object)
    return pd.Series(names[ids.codes], dtype=object)


def _digest(files: Files) -> str:
    ranges = [f"{file.topic} {file.partition} {file.first} {file.last}\n" for own in files.values() for file in own]
    return hashlib.sha256("".join(ranges).encode()).hexdigest()
