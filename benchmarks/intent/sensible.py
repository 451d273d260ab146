"""How often the first five films answer a query as a person would expect.

    python -m benchmarks.intent.sensible ml-1m.zip
    python -m benchmarks.intent.sensible ml-1m.zip --method tfidf --lists
    python -m benchmarks.intent.sensible ml-1m.zip --weights query=0.5 query_genres=1

A query is answered sensibly if at least four of the five fit it and none breaks what it forbids or its years. The lists
are those that a recommender makes for a request; whoever asks has no history, no version serves, and what trends is the
number of events of the log.
"""

import argparse
import time

from benchmarks.intent.queries import FRESH, OURS, Query
from model.catalogue import Item
from model.history import Profile
from model.intent.intent import Intent
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.wishes.wishes import Wishes
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from streams.sentence_weights import load_encoder

N = 5
MIN_FITTING = 4
TRENDING = 500  # items of trending that a worker keeps in memory
Weights = tuple[tuple[str, float], ...]


def main() -> None:
    """Print both tables and their counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="a log of MovieLens")
    parser.add_argument("--method", choices=("embedding", "tfidf"), default="embedding")
    parser.add_argument("--lists", action="store_true", help="print the five films of each query")
    parser.add_argument("--table", choices=("ours", "fresh", "both"), default="both")
    parser.add_argument("--weights", nargs="*", default=[], metavar="NAME=WEIGHT", help="instead of the defaults")
    options = parser.parse_args()
    weights = tuple((name, float(weight)) for name, _, weight in (one.partition("=") for one in options.weights))
    dataset = read_dataset(options.log)
    started = time.perf_counter()
    intent = Intent(dataset.catalogue, load_encoder() if options.method == "embedding" else None)
    print(f"{len(dataset.catalogue)} items read by {options.method} in {time.perf_counter() - started:.1f} s")
    recommender = _recommender(dataset).with_queries(intent)
    for name, table in (("ours", OURS), ("fresh", FRESH)):
        if options.table in (name, "both"):
            n = sum(_judged(recommender, query, weights, shows=options.lists) for query in table)
            print(f"{name}: {n} of {len(table)} sensible ({100 * n / len(table):.1f} %)")


def _recommender(dataset: Dataset) -> Recommender:
    """Return a recommender without a version, for which the log's most popular items trend."""
    counts = dataset.interactions["item_id"].value_counts().head(TRENDING)
    trending = Trending.of([(str(item_id), float(n)) for item_id, n in counts.items()])
    return Recommender(dataset.catalogue, ContentIndex(dataset.catalogue), trending, ColdStart(), ModeConfig())


def _judged(recommender: Recommender, query: Query, weights: Weights, *, shows: bool) -> bool:
    """Print how one query is answered, and return whether it is sensible."""
    started = time.perf_counter()
    asked = recommender.read([Wishes(query=query.text, weights=weights)])
    (made,) = recommender.recommend([Profile("nobody", recent=())], N, asked)
    took_ms = 1000 * (time.perf_counter() - started)
    listed = [recommender.catalogue.items[item.item_id] for item in made.items]
    fitting = [all(set(group.split()) & set(item.genres) for group in query.fits) for item in listed]
    is_sensible = sum(fitting) >= MIN_FITTING and not any(_breaks(item, query) for item in listed)
    print(f"{'yes' if is_sensible else 'NO ':3} {sum(fitting)} {took_ms:4.0f} ms  {query.text}")
    if shows:
        for item, fits in zip(listed, fitting, strict=True):
            print(f"      {'+' if fits else '-'} {item.title} {item.year} {', '.join(item.genres)}")
    return is_sensible


def _breaks(item: Item, query: Query) -> bool:
    """Tell whether an item is what the query forbids, or not of its years."""
    first, last = query.years
    is_late = first is None or (item.year is not None and item.year >= first)
    is_early = last is None or (item.year is not None and item.year <= last)
    return bool(set(query.never.split()) & set(item.genres)) or not (is_late and is_early)


if __name__ == "__main__":
    main()
