"""An archive of events as a recorded log, for training offline.

Events are interactions with the weights that they have in the state. An archive does not know what an item is: the
caller gives the catalogue.
"""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from model.catalogue import Catalogue, Item
from model.feedback import MIN_PROGRESS, are_positive_ratings
from model.kinds import DEFAULT_KINDS, RATE, WATCH, KindTable
from replay.datasets.dataset import Dataset, Provenance
from streams.archive.parquet import ArchivedFile, EventArchive
from streams.errors import DataError
from streams.kafka import topics

__all__ = ["read_archive"]

_STARS = 5.0  # weigh 1, as in `Rating.interaction`
_ORDER = {WATCH: 0, RATE: 1}  # of events at one time; any other kind comes after them
_COLUMNS = ("offset", "user_id", "item_id", "ts", "kind", "progress", "rating")


def read_archive(url: str, items: Iterable[Item], prefix: str = "", kinds: KindTable = DEFAULT_KINDS) -> Dataset:
    """Read the archived events of an installation.

    Parameters
    ----------
    url : where the archive is, see ``EventArchive``.
    items : what the catalogue describes; an item that only events mention gets its id as title.
    prefix : topic prefix of the installation.
    kinds : of events that there are; an event of another kind, or one that only hides an item, is left out.

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
    names = [prefix + topic for topic in topics.EVENTS]
    files = {at: files for at, files in archive.partitions().items() if at[0] in names}
    tables = list(_tables(archive, files))
    if not sum(table.num_rows for table in tables):
        raise DataError(f"archive: {archive.url} must hold events of {', '.join(names)}, got none")
    interactions = _interactions(pa.concat_tables(tables), kinds)
    described = {item.item_id: item for item in items}
    mentioned = interactions["item_id"].unique()
    catalogue = Catalogue.of([*described.values(), *(Item(one, one) for one in mentioned if one not in described)])
    return Dataset("archive", catalogue, interactions, Provenance("archive", archive.url, _digest(files)))


def _tables(archive: EventArchive, files: dict[tuple[str, int], tuple[ArchivedFile, ...]]) -> Iterator[pa.Table]:
    for (_, partition), own in files.items():
        for table in archive.rows(own, _COLUMNS):
            yield table.append_column("partition", pa.array(np.full(table.num_rows, partition, np.int32)))


def _interactions(table: pa.Table, kinds: KindTable) -> pd.DataFrame:
    rows = {row.name: row for row in kinds.rows if row.effect is None}
    table = table.filter(pc.is_in(table.column("kind"), pa.array(list(rows))))
    kind = pd.Series(table.column("kind").to_numpy(), dtype=object)
    told = {WATCH: table.column("progress").to_numpy(), RATE: table.column("rating").to_numpy() / _STARS}
    share = np.select([kind == name for name in told], list(told.values()), 1.0)
    weight = kind.map({name: row.weight for name, row in rows.items()}).to_numpy(np.float64) * share
    may_be = kind.map({name: row.is_positive for name, row in rows.items()}).to_numpy(np.bool_)
    is_positive = may_be & ~(told[WATCH] < MIN_PROGRESS)  # progress is not a number where there is no watch
    newer = kind.map(lambda name: _ORDER.get(name, len(_ORDER))).to_numpy(np.int8)
    ts = table.column("ts").to_numpy()
    order = np.lexsort((table.column("offset").to_numpy(), table.column("partition").to_numpy(), newer, ts))
    users, is_rating = _texts(table.column("user_id"), order), (kind == RATE).to_numpy()[order]
    stars = table.column("rating").to_numpy()[order][is_rating]
    is_positive = is_positive[order]
    is_positive[is_rating] &= are_positive_ratings(pd.factorize(users)[0][is_rating], stars)
    columns = {
        "user_id": users,
        "item_id": _texts(table.column("item_id"), order),
        "rating": _STARS * weight[order],
        "ts": ts[order],
        "kind": kind.to_numpy()[order],
        "weight": weight[order],
        "is_positive": is_positive,
    }
    return pd.DataFrame(columns, copy=False)


def _texts(ids: pa.ChunkedArray, order: np.ndarray) -> "pd.Series[str]":
    """Return ids in order, each distinct one held once."""
    encoded = ids.combine_chunks().dictionary_encode()
    names = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
    return pd.Series(names[encoded.indices.to_numpy()[order]], dtype=object)


def _digest(files: dict[tuple[str, int], tuple[ArchivedFile, ...]]) -> str:
    ranges = [f"{file.topic} {file.partition} {file.first} {file.last}\n" for own in files.values() for file in own]
    return hashlib.sha256("".join(ranges).encode()).hexdigest()
