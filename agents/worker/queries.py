"""Reading queries in words: what reads them is made anew, in a thread, whenever the catalogue has changed.

Shared words can be compared seconds after the start. Sentences are encoded once each, which may take minutes for a
large catalogue; until that is done, words answer. What one worker has encoded the others find in Redis.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

from agents.memory import give_back_memory
from agents.worker.refresh import Current, RefreshConfig
from model.intent.encoder import Encoder
from model.intent.intent import Intent, TextCounts
from streams.metrics.caches import CacheLookups
from streams.metrics.collector import Figures
from streams.sentence_weights import encoder_name, find_encoder, load_encoder
from streams.serving.storing_encoder import StoringEncoder
from streams.state.store import State

__all__ = ["QueriesFollower", "QueryReading"]

T = TypeVar("T")
logger = logging.getLogger(__name__)
QueryReading = Literal["auto", "embedding", "tfidf"]
REST = 9.0  # times as long as a making took before the next one: of a core, a tenth goes into it at most
_FINDERS: dict[QueryReading, Callable[[], Encoder | None]] = {
    "auto": find_encoder,
    "embedding": load_encoder,
    "tfidf": lambda: None,
}


class QueriesFollower:
    """Lets queries be read for the catalogue that serves.

    Parameters
    ----------
    reading : what compares a query with the items; "auto" for sentences where the extra is installed, else for words.
    config : how often to look.
    current : the recommender whose reader of queries is replaced.
    state : Redis, where vectors of sentences are kept.
    """

    is_needed_to_serve = False

    def __init__(self, reading: QueryReading, config: RefreshConfig, current: Current, state: State) -> None:
        self._find_encoder = _FINDERS[reading]
        self._state = state
        self._current = current
        self._thread = ThreadPoolExecutor(1, "queries")  # of its own: versions must not wait for it
        self._encoder: Encoder | None = None
        self._of_items: StoringEncoder | None = None
        self._knows_encoder = False
        self._intent: Intent | None = None
        self._rests_until = 0.0
        self._ended = threading.Event()
        self._lookups = CacheLookups(["sentences", "texts"])
        self._texts = TextCounts()  # of all readers
        self.period_s = config.queries_s

    async def refresh(self) -> None:
        """Make a new reader if the catalogue is another one."""
        catalogue = self._current.recommender.catalogue
        is_current = self._intent is not None and self._intent.catalogue is catalogue
        if is_current or not len(catalogue) or time.monotonic() < self._rests_until:
            return
        if not self._knows_encoder:
            self._encoder = await self._off_the_loop(self._warm_encoder)
            if self._encoder is not None:
                loop = asyncio.get_running_loop()
                self._of_items = StoringEncoder(
                    self._encoder, encoder_name(), self._state, loop, self._ended, self._lookups
                )
            self._knows_encoder = True
        if self._encoder is not None and self._intent is None:  # words, until sentences are encoded
            self._serve(await self._off_the_loop(lambda: Intent(catalogue, counts=self._texts)))
        started, earlier = time.monotonic(), self._intent
        self._intent = await self._off_the_loop(
            lambda: Intent(catalogue, self._encoder, earlier, self._texts, self._of_items)
        )
        await self._off_the_loop(give_back_memory)
        self._lookups.note("sentences", hits=self._intent.n_known_sentences)
        took_s = time.monotonic() - started
        self._rests_until = time.monotonic() + REST * took_s
        self._serve(self._intent)
        logger.info("worker.queries %s items are compared by %s, %.1f s", len(catalogue), self._intent.method, took_s)

    def figures(self) -> Figures:
        """Give how often items' sentences had been encoded when a reader was made, and texts been read before."""
        self._lookups.put("texts", hits=self._texts.kept, misses=self._texts.read)
        return self._lookups.figures()

    def stop(self) -> None:
        """Make no more, and end what is being made."""
        self._ended.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _off_the_loop(self, make: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, make)

    def _warm_encoder(self) -> Encoder | None:
        """Return what encodes, its weights in memory: the first text has a tenth of a second as all others have."""
        encoder = self._find_encoder()
        if encoder is not None:
            encoder.encode(["warm"])
        return encoder

    def _serve(self, intent: Intent) -> None:
        self._current.recommender = self._current.recommender.with_queries(intent)
