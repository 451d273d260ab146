"""How often the first five films answer a query as a person would expect.

Run it from the project's root: ``python -m benchmarks.intent.sensible ml-1m.zip``. A query is answered sensibly if at
least four of the five fit it and none breaks what it forbids or its years. The one who asks is nobody: no history, no
trained version; popularity is the number of events of the log.
"""

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.intent.queries import FRESH, OURS, Query
from model.catalogue import Item
from model.intent.intent import Intent
from model.wishes.query import ReadQuery
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from streams.sentence_weights import load_encoder

N = 5
MIN_FITTING = 4
ALPHA_GENRE, ALPHA_POPULARITY, ALPHA_EMBEDDING = 1.5, 1.0, 1.0  # popularity stands for what a model would say


def main() -> None:
    """Print both tables and their counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", help="a log of MovieLens")
    parser.add_argument("--method", choices=("embedding", "tfidf"), default="embedding")
    parser.add_argument("--lists", action="store_true", help="print the five films of each query")
    parser.add_argument("--table", choices=("ours", "fresh", "both"), default="both")
    options = parser.parse_args()
    dataset = read_dataset(options.log)
    catalogue = dataset.catalogue
    started = time.perf_counter()
    intent = Intent(catalogue, load_encoder() if options.method == "embedding" else None)
    print(f"{len(catalogue)} items read by {options.method} in {time.perf_counter() - started:.1f} s")
    popularity = _popularity(dataset)
    for name, table in (("ours", OURS), ("fresh", FRESH)):
        if options.table in (name, "both"):
            n = sum(_judged(intent, query, popularity, shows=options.lists) for query in table)
            print(f"{name}: {n} of {len(table)} sensible ({100 * n / len(table):.1f} %)")


def first_items(intent: Intent, read: ReadQuery, popularity: NDArray[np.float32], n: int) -> list[Item]:
    """Return the best items of a query that was read."""
    items = tuple(intent.catalogue)
    bonus = np.array([sum(read.genre_weights.get(g, 0.0) for g in item.genres) for item in items], np.float32)
    scores = ALPHA_GENRE * bonus + ALPHA_POPULARITY * popularity + ALPHA_EMBEDDING * read.item_scores
    first, last = read.years
    allowed = [
        item.item_id not in read.like
        and not set(read.never) & set(item.genres)
        and ((first is None and last is None) or item.year is not None)
        and (first is None or (item.year or 0) >= first)
        and (last is None or (item.year or 0) <= last)
        for item in items
    ]
    order = np.argsort(np.where(allowed, -scores, np.inf), kind="stable")
    return [items[row] for row in order[:n] if allowed[row]]


def _popularity(dataset: Dataset) -> NDArray[np.float32]:
    """Return the events of each item, in shares of the most, in the catalogue's order."""
    counts = dataset.interactions["item_id"].value_counts()
    of_items = np.array([counts.get(item.item_id, 0) for item in dataset.catalogue], dtype=np.float32)
    return np.asarray(of_items / of_items.max())


def _judged(intent: Intent, query: Query, popularity: NDArray[np.float32], *, shows: bool) -> bool:
    started = time.perf_counter()
    read = intent.read(query.text)
    listed = first_items(intent, read, popularity, N)
    fitting = [all(set(group.split()) & set(item.genres) for group in query.fits) for item in listed]
    broken = [item for item in listed if _breaks(item, query)]
    is_sensible = sum(fitting) >= MIN_FITTING and not broken
    took_ms = 1000 * (time.perf_counter() - started)
    print(f"{'yes' if is_sensible else 'NO ':3} {sum(fitting)} {took_ms:4.0f} ms  {query.text}")
    if shows:
        print(f"      {dict(read.genre_weights)} {read.years} never {read.never} like {read.like} unread {read.unread}")
        for item, fits in zip(listed, fitting, strict=True):
            print(f"      {'+' if fits else '-'} {item.title} {item.year} {', '.join(item.genres)}")
    return is_sensible


def _breaks(item: Item, query: Query) -> bool:
    first, last = query.years
    is_late = first is None or (item.year is not None and item.year >= first)
    is_early = last is None or (item.year is not None and item.year <= last)
    return bool(set(query.never.split()) & set(item.genres)) or not (is_late and is_early)


if __name__ == "__main__":
    main()
