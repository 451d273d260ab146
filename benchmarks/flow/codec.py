"""What validation costs: records decoded and encoded per second, beside bare orjson on the same bytes.

    python benchmarks/flow/codec.py [--records 200000]

One process, one thread; each figure is the best of five passes over the records.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from streams.records.codec import decode_rating, decode_watch, encode
from streams.records.records import ListedItem, Rating, Recommendation, Watch

PASSES = 5


def rate(function: Callable[[Any], object], values: Iterable[object]) -> float:
    """Return calls per second: the best of five passes."""
    values = list(values)
    best = float("inf")
    for _ in range(PASSES):
        began = time.perf_counter()
        for value in values:
            function(value)
        best = min(best, time.perf_counter() - began)
    return len(values) / best


def line(name: str, ours: float, bare: float) -> str:
    """Return one row: our rate, orjson's, and our time per record."""
    return f"{name:<24}{ours:>14,.0f}/s{bare:>14,.0f}/s{1e6 / ours:>10.2f} us"


def recommendation(n: int) -> Recommendation:
    """Return a list of ten."""
    items = tuple(ListedItem(str(n + rank), rank, 1.0 / rank, "neumf", "Because of a film") for rank in range(1, 11))
    trigger = {"topic": "watch-events", "partition": 0, "offset": n, "event_id": f"e{n}", "timestamp": n}
    return Recommendation("0" * 24, f"u{n}", n, "personalized", "v000012-1a2b3c4d", 10, items, trigger, n, n, n)


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    n = parser.parse_args().records
    start = 1_700_000_000_000
    watches = [Watch(f"e{k}", f"u{k % 6040}", str(k % 3706), start + k, (k % 100) / 100.0) for k in range(n)]
    ratings = [Rating(f"e{k}", f"u{k % 6040}", str(k % 3706), start + k, 0.5 + (k % 10) / 2) for k in range(n)]
    lists = [recommendation(k) for k in range(n // 10)]
    print(f"{n:,} records, {len(encode(watches[0]))} bytes a watch, {len(encode(lists[0]))} bytes a list of ten")
    print(f"{'':<24}{'codec':>16}{'bare orjson':>16}{'a record':>13}")
    events: tuple[tuple[str, Callable[[Any], object], Sequence[object]], ...] = (
        ("decode watch", decode_watch, watches),
        ("decode rating", decode_rating, ratings),
    )
    for name, decode, records in events:
        values = [encode(record) for record in records]
        print(line(name, rate(decode, values), rate(orjson.loads, values)))
    print(line("encode watch", rate(encode, watches), rate(orjson.dumps, watches)))
    print(line("encode list of ten", rate(encode, lists), rate(orjson.dumps, lists)))


if __name__ == "__main__":
    main()
