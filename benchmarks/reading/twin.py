"""A made-up log with the marginals of the largest public MovieLens release, in the files that MovieLens has.

Run: ``python -m benchmarks.reading.twin FOLDER [--events 4000000]``. That release has 32,000,204 ratings by 200,948
users of 84,432 films, from 1995 to 2023; it is not ours to carry along. The twin has as many of each, or fewer: users
in proportion to the events, films by their root. Each user rates 20 films or more, half of them some 70 at most, and a
few of them tens of thousands. Some films are rated by half of the users, many by one. Users rate in sittings, several
films in one second, with weeks in between. Half of what a user rates is of the user's own taste, one of 20, so that
there is something to learn. Nothing else is like people: quality says little here, time and memory do.

Users are made in blocks, so that the memory does not grow with the log. The same arguments give the same files.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

EVENTS, USERS, ITEMS = 32_000_204, 200_948, 84_432
MIN_EVENTS = 20  # of a user
LOG_MEDIAN, LOG_SPREAD = np.log(51.0), 1.416  # of the events beyond these: a mean of 139, as there
OFFSET, SLOPE = 267.0, 2.0  # of the popularity by rank: the first film has four ratings in a thousand
TASTES, OWN_TASTE = 20, 0.5
STARS = np.arange(1, 11) / 2.0
SHARES = (0.016, 0.031, 0.016, 0.066, 0.050, 0.196, 0.127, 0.265, 0.088, 0.145)
FIRST_S, LAST_S = 789_652_009, 1_697_164_147  # from January 1995 to October 2023
SAME_SECOND, SAME_SITTING = 0.45, 0.97  # of the gaps between ratings; what is left are gaps between sittings
SITTING_S, PAUSE_S = 12.0, 20 * 86_400.0  # means
EVENTS_PER_BLOCK = 1 << 20
MANY = 400  # events of a user, from which all films are drawn from at once
MAX_ID = 292_757  # of a film
GENRES = (
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
SCHEMA = pa.schema(
    [("userId", pa.int32()), ("movieId", pa.int32()), ("rating", pa.float64()), ("timestamp", pa.int64())]
)
Ints = NDArray[np.int64]


def main() -> None:
    """Write the files, and tell what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where ratings.csv and movies.csv are written")
    parser.add_argument("--events", type=int, default=EVENTS, help="ratings [%(default)s]")
    parser.add_argument("--users", type=int, help="[in proportion to the events]")
    parser.add_argument("--items", type=int, help="films that are rated [by the root of the share of the events]")
    parser.add_argument("--parquet", action="store_true", help="write ratings.parquet instead of ratings.csv")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    share = given.events / EVENTS
    users = given.users or max(1, round(USERS * share))
    items = given.items or max(TASTES, round(ITEMS * share**0.5))
    if given.events < MIN_EVENTS * users or items > given.events or users * (items // 2) < given.events:
        parser.error(
            f"{MIN_EVENTS} events of each user are required, and between twice a user's events and all events as films,"
            f" got {given.events:,} events, {users:,} users and {items:,} films"
        )
    given.folder.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    _write(given.folder, given.events, users, items, given.seed, is_parquet=given.parquet)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{given.events:,} ratings by {users:,} users of {items:,} films in {given.folder}")
    print(f"{time.process_time() - began:.1f} s of processor time, peak {peak:.2f} GB")


def _write(folder: Path, events: int, users: int, items: int, seed: int, *, is_parquet: bool) -> None:
    generator = np.random.default_rng(seed)
    ids = np.sort(generator.permutation(max(MAX_ID, items))[:items]) + 1
    codes: NDArray[np.int32] = ids[generator.permutation(items)].astype(np.int32)  # of each rank: any id
    _write_films(folder / "movies.csv", codes, generator)
    blocks = _blocks(_lengths(events, users, items, generator), items, codes, generator)
    if is_parquet:
        with parquet.ParquetWriter(folder / "ratings.parquet", SCHEMA) as file:
            for block in blocks:
                file.write_batch(block)
        return
    stars = SCHEMA.get_field_index("rating")
    schema = SCHEMA.set(stars, pa.field("rating", pa.string()))
    how = csv.WriteOptions(include_header=False, quoting_style="none")
    with (folder / "ratings.csv").open("wb") as file:
        file.write(b"userId,movieId,rating,timestamp\n")
        with csv.CSVWriter(file, schema, write_options=how) as rows:
            for block in blocks:
                texts = pa.array([f"{one:.1f}" for one in STARS]).take(
                    pa.array(block.column(stars).to_numpy() * 2 - 1).cast(pa.int8())
                )
                rows.write_batch(block.set_column(stars, schema.field(stars), texts))


def _write_films(path: Path, ids: NDArray[np.int32], generator: np.random.Generator) -> None:
    """Write the films in the order of their ids; those of one taste share their first genre."""
    other, year = generator.integers(0, len(GENRES), len(ids)), generator.integers(1920, 2024, len(ids))
    with path.open("w", encoding="ascii") as file:
        file.write("movieId,title,genres\n")
        for rank in np.argsort(ids).tolist():
            genres = "|".join(dict.fromkeys((GENRES[rank % TASTES % len(GENRES)], GENRES[other[rank]])))
            file.write(f"{ids[rank]},Film {rank + 1} ({year[rank]}),{genres}\n")


def _lengths(events: int, users: int, items: int, generator: np.random.Generator) -> Ints:
    """Return how many ratings each user has, int64 (U,): all together as many as are asked for."""
    most = items // 2  # so that even the last ones are found by chance
    wanted = generator.lognormal(LOG_MEDIAN, LOG_SPREAD, users)
    more = np.zeros(users, dtype=np.int64)
    while (left := events - MIN_EVENTS * users - int(more.sum())) > 0:
        room = np.flatnonzero(more < most - MIN_EVENTS)
        share = wanted[room] * (left / wanted[room].sum())
        added = np.floor(share).astype(np.int64)
        added[np.argsort(share - added)[::-1][: left - int(added.sum())]] += 1
        more[room] = np.minimum(more[room] + added, most - MIN_EVENTS)
    return more + MIN_EVENTS


def _blocks(
    lengths: Ints, items: int, ids: NDArray[np.int32], generator: np.random.Generator
) -> Iterator[pa.RecordBatch]:
    """Give the ratings of some users after the other, by user and film as MovieLens has them."""
    chances = np.cumsum((np.arange(items) + 1.0 + OFFSET) ** -SLOPE)
    chances /= chances[-1]
    ends, unmet = np.cumsum(lengths), generator.permutation(items)  # each film is rated once at least
    first = 0
    while first < len(lengths):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + EVENTS_PER_BLOCK, side="right")))
        some = lengths[first:last]
        share = unmet[items * done // ends[-1] : items * ends[last - 1] // ends[-1]]
        user, rank = _rated(some, share, chances, generator)
        films = ids[rank]
        order = np.lexsort((films, user))
        times = _times(some, generator)
        stars = STARS[np.searchsorted(np.cumsum(SHARES), generator.random(len(user)) * sum(SHARES), side="right")]
        columns = ((user[order] + first + 1).astype(np.int32), films[order], stars, times)
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SCHEMA)
        first = last


def _rated(
    lengths: Ints, unmet: Ints, chances: NDArray[np.float64], generator: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return users, by their number in the block, and ranks of what they rate, each pair once: two int64 (E,).

    unmet : ranks of films that must be among them.
    """
    items, n = len(chances), int(lengths.sum())
    taste = generator.integers(0, TASTES, len(lengths))
    heavy = np.flatnonzero(lengths >= MANY)
    found = [
        user * items + _without_replacement(int(lengths[user]), int(taste[user]), chances, generator) for user in heavy
    ]
    owners = np.repeat(np.arange(len(lengths)), np.where(lengths < MANY, lengths, 0))
    chosen = generator.permutation(len(owners))[: len(unmet)]
    keys = np.unique(owners[chosen] * items + unmet[: len(chosen)])
    wanted = np.where(lengths < MANY, lengths, 0)
    while (left := wanted - np.bincount(keys // items, minlength=len(lengths))).any():
        drawn = np.repeat(np.arange(len(lengths)), 2 * left)
        rank = np.searchsorted(chances, generator.random(len(drawn)))
        own = rank - rank % TASTES + taste[drawn]
        rank = np.where((generator.random(len(drawn)) < OWN_TASTE) & (own < items), own, rank)
        new = np.setdiff1d(drawn * items + rank, keys)
        new = new[np.lexsort((generator.random(len(new)), new // items))]  # no more than are left, whichever
        counts = np.bincount(new // items, minlength=len(lengths))
        number = np.arange(len(new)) - np.repeat(np.cumsum(counts) - counts, counts)
        keys = np.sort(np.concatenate([keys, new[number < left[new // items]]]))
    keys = np.concatenate([keys, *found])
    assert len(keys) == n, "as many as are asked for"
    return keys // items, keys % items


def _without_replacement(n: int, taste: int, chances: NDArray[np.float64], generator: np.random.Generator) -> Ints:
    """Return ``n`` different ranks by their chances: the first of a race of exponentials [Efraimidis and Spirakis]."""
    chance = np.diff(chances, prepend=0.0)
    chance *= 1.0 - OWN_TASTE
    chance[taste::TASTES] *= 1.0 + TASTES * OWN_TASTE / (1.0 - OWN_TASTE)
    arrival = generator.exponential(size=len(chance)) / chance
    return np.argpartition(arrival, n)[:n]


def _times(lengths: Ints, generator: np.random.Generator) -> Ints:
    """Return seconds, int64 (E,), user after user, in an order that has nothing to do with that of the films."""
    n, ends = int(lengths.sum()), np.cumsum(lengths)
    kind, gaps = generator.random(n), generator.exponential(SITTING_S, n)
    gaps[kind < SAME_SECOND] = 0.0
    gaps[kind >= SAME_SITTING] *= PAUSE_S / SITTING_S
    gaps[ends - lengths] = 0.0
    passed = np.cumsum(gaps)
    passed -= np.repeat(passed[ends - lengths], lengths)
    lasting = passed[ends - 1]
    begins = FIRST_S + generator.random(len(lengths)) * np.maximum(LAST_S - FIRST_S - lasting, 0.0)
    shrunk = np.minimum(1.0, (LAST_S - FIRST_S) / np.maximum(lasting, 1.0))
    owner = np.repeat(np.arange(len(lengths)), lengths)
    times = (begins[owner] + passed * shrunk[owner]).astype(np.int64)
    return times[np.lexsort((generator.random(n), owner))]


if __name__ == "__main__":
    main()
