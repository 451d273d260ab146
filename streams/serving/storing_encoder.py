"""Encoding the sentences of a catalogue once for all workers, without taking the core from those that answer.

Encoding takes a core for seconds to minutes. Without a store every worker would do that at every start, beside the
lists that it is to answer. A vector is the same wherever it is made: its key says of what, and by which encoder.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.intent.encoder import Encoder
from streams.errors import StreamError
from streams.metrics.caches import CacheLookups
from streams.state.store import State

__all__ = ["StoringEncoder"]

T = TypeVar("T")
Vector = NDArray[np.float32]
KEPT_S = 30 * 86_400  # then a sentence is encoded anew: those of items that are gone do not stay
SENTENCES_PER_CALL = 32  # a tenth of a second of a core
ALONE_S = 60.0  # without Redis, after it did not answer: each question waits for its retries
LOOK_S = 0.5  # how often one who waits looks whether the worker has ended
logger = logging.getLogger(__name__)


class StoringEncoder:
    """Encodes what is not in Redis, in a thread beside the event loop, and keeps it there as float16.

    Between two calls it rests as long as the last one took, so that half a core is left to whoever answers. Without
    Redis it encodes all.

    Parameters
    ----------
    encoder : makes the vectors.
    name : of the encoder.
    state : finds and keeps the vectors.
    loop : that the client of Redis belongs to.
    ended : set when the worker ends, which a catalogue that takes minutes is not to hold up.
    lookups : told how many ``sentences`` were in Redis, and how many were encoded.

    Attributes
    ----------
    width : of the vectors.
    """

    def __init__(
        self,
        encoder: Encoder,
        name: str,
        state: State,
        loop: asyncio.AbstractEventLoop,
        ended: threading.Event,
        lookups: CacheLookups,
    ) -> None:
        self._encoder = encoder
        self._name = name
        self._state = state
        self._loop = loop
        self._ended = ended
        self._lookups = lookups
        self.width = encoder.width
        self._alone_until = 0.0

    def encode(self, sentences: Sequence[str]) -> Vector:
        """Return the vectors of sentences, float32 (n, width), as precise as float16.

        Raises
        ------
        CancelledError
            If the worker has ended.
        """
        vectors = self._kept(list(dict.fromkeys(sentences)))
        wanted = [sentence for sentence, vector in vectors.items() if vector is None]
        self._lookups.note("sentences", hits=len(vectors) - len(wanted))
        for start in range(0, len(wanted), SENTENCES_PER_CALL):
            some = wanted[start : start + SENTENCES_PER_CALL]
            began = time.monotonic()
            made = self._encoder.encode(some).astype("<f2")
            self._lookups.note("sentences", misses=len(some))
            bodies = {self._digest(sentence): one.tobytes() for sentence, one in zip(some, made, strict=True)}
            self._await(self._state.keep_sentence_vectors(bodies, KEPT_S))
            vectors.update(zip(some, made, strict=True))
            self._ended.wait(time.monotonic() - began)
        return np.array([vectors[sentence] for sentence in sentences], dtype=np.float32)

    def _kept(self, sentences: Sequence[str]) -> dict[str, NDArray[np.float16] | None]:
        """Return the vectors that are in Redis, None for each other sentence."""
        bodies = self._await(self._state.sentence_vectors([self._digest(sentence) for sentence in sentences]))
        n_bytes = 2 * self.width
        return {
            sentence: np.frombuffer(body, dtype="<f2") if body is not None and len(body) == n_bytes else None
            for sentence, body in zip(sentences, bodies or [None] * len(sentences), strict=True)
        }

    def _digest(self, sentence: str) -> str:
        return blake2b(f"{self._name}\n{sentence}".encode(), digest_size=16).hexdigest()

    def _await(self, asked: Coroutine[Any, Any, T]) -> T | None:
        """Return the answer of Redis, or None if there is none."""
        if self._ended.is_set():
            asked.close()
            raise asyncio.CancelledError
        if time.monotonic() < self._alone_until:
            asked.close()
            return None
        asking = asyncio.run_coroutine_threadsafe(asked, self._loop)
        while True:
            try:
                return asking.result(LOOK_S)
            except TimeoutError:
                if self._ended.is_set() or not self._loop.is_running():
                    asking.cancel()
                    raise asyncio.CancelledError from None
            except StreamError as error:
                logger.info("sentences.not_kept %s", error)
                self._alone_until = time.monotonic() + ALONE_S
                return None
