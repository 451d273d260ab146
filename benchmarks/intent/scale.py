"""What reading queries costs for a large catalogue: seconds to make the reader, memory, and milliseconds a query.

    python -m benchmarks.intent.scale --items 100000
    python -m benchmarks.intent.scale --items 100000 --method tfidf

The catalogue is made up: titles of two to five words that a generator draws, one to three genres. Beside the making, a
thread sleeps a millisecond again and again: how late it wakes is what a worker's event loop would feel.
"""

import argparse
import resource
import threading
import time
from typing import Self

import numpy as np
import torch

from model.catalogue import Catalogue, Item
from model.intent.intent import Intent
from streams.sentence_weights import load_encoder

GENRES = ("Action", "Comedy", "Crime", "Drama", "Horror", "Romance", "Sci-Fi", "Thriller", "War", "Western")
WORDS = 20_000  # different words of titles
TEXTS = ("something funny, nothing older than 1990, no horror", "like the one with the submarine", "dark thriller")


def main() -> None:
    """Print what each step costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--method", choices=("embedding", "tfidf"), default="embedding")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as in a worker
    catalogue = _made_up(options.items, np.random.default_rng(0))
    encoder = load_encoder() if options.method == "embedding" else None
    before = _megabytes()
    with _Watch() as watch:
        started = time.perf_counter()
        intent = Intent(catalogue, encoder)
        print(f"{options.items} items, {options.method}: made in {time.perf_counter() - started:.1f} s")
    print(f"memory: {_megabytes() - before:.0f} MB more at its highest; a sleeping thread woke {watch.told()}")
    started = time.perf_counter()
    changed = catalogue.changed(put=[Item("new", "A new film", 2000, ("Drama",))])
    intent = Intent(changed, encoder, intent)
    print(f"one item more: made anew in {time.perf_counter() - started:.1f} s")
    for text in TEXTS:
        started = time.perf_counter()
        intent.read(text)
        print(f"{1000 * (time.perf_counter() - started):.0f} ms: {text}")


class _Watch:
    """Sleeps a millisecond again and again, and notes how late it wakes."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def told(self) -> str:
        """Return the delays in words."""
        late = np.array(self._late) * 1000.0
        return f"{np.percentile(late, 50):.1f} ms late (p99 {np.percentile(late, 99):.1f}, most {late.max():.0f})"

    def _run(self) -> None:
        while not self._ended.is_set():
            started = time.perf_counter()
            time.sleep(0.001)
            self._late.append(time.perf_counter() - started - 0.001)


def _made_up(n: int, generator: np.random.Generator) -> Catalogue:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(generator.choice(letters, generator.integers(3, 10))) for _ in range(WORDS)]
    items = []
    for row in range(n):
        title = " ".join(words[at] for at in generator.integers(0, WORDS, generator.integers(2, 6)))
        genres = tuple(generator.choice(GENRES, generator.integers(1, 4), replace=False).tolist())
        items.append(Item(f"i{row}", title, int(generator.integers(1930, 2024)), genres))
    return Catalogue.of(items)


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
