"""Asks a language model to word lists, each within a time budget; a list without a good answer stays as it is."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import aiohttp
import orjson

from streams.records.records import ListedItem, ListWording, Recommendation
from streams.serving.budget import Breaker
from streams.wording.checking import WordedPlace, WordingError, checked
from streams.wording.endpoint import WordingEndpoint
from streams.wording.prompt import PlaceToWord, messages

__all__ = ["ListWorder"]

logger = logging.getLogger(__name__)
MAX_CONCURRENT = 8  # further lists go out unworded at once: a queue here would only be late
MAX_ANSWER = 1 << 18  # bytes; ten sentences take a few thousand


class ListWorder:
    """Words lists for requests.

    Parameters
    ----------
    endpoint : the model.
    breaker : consulted before each call, so that a model that is away costs nobody the budget again and again.
    """

    def __init__(self, endpoint: WordingEndpoint, breaker: Breaker) -> None:
        self._endpoint = endpoint
        self._breaker = breaker
        self._session: aiohttp.ClientSession | None = None
        self._running = 0

    async def worded(
        self, made: Recommendation, places: Sequence[PlaceToWord], asked: str | None = None
    ) -> Recommendation:
        """Return a list in a model's words and order, or with what was there if it has no good answer in time.

        Never raises for what the model does, and takes no longer than the budget.

        Parameters
        ----------
        made : the list.
        places : what may be told of its places.
        asked : the words of the request, if any.
        """
        if not places:
            return made
        if self._breaker.is_open() or self._running >= MAX_CONCURRENT:
            return replace(made, wording=self._described("skipped"))
        self._running += 1
        try:
            async with asyncio.timeout(self._endpoint.budget_ms / 1000.0):
                body = await self._ask(places, asked)
            answer = checked(body, places, asked)
        except TimeoutError:
            return self._unworded(made, "late", f"over {self._endpoint.budget_ms} ms")
        except WordingError as error:
            return self._unworded(made, "refused", str(error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._unworded(made, "failed", repr(error))
        finally:
            self._running -= 1
        self._breaker.succeeded()
        return replace(made, items=_in_words(made.items, answer), wording=self._described("worded"))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, places: Sequence[PlaceToWord], asked: str | None) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers())
        told = {
            "model": self._endpoint.model,
            "messages": messages(places, asked),
            "temperature": 0.2,
            "response_format": {"type": "json_object"},
        }
        async with self._session.post(self._endpoint.completions, data=orjson.dumps(told)) as response:
            response.raise_for_status()
            body = await response.content.read(MAX_ANSWER + 1)
            while len(body) <= MAX_ANSWER and (more := await response.content.read(MAX_ANSWER + 1 - len(body))):
                body += more
        if len(body) > MAX_ANSWER:
            raise WordingError(f"at most {MAX_ANSWER} bytes are required, got more")
        return body

    def _headers(self) -> Mapping[str, str]:
        key = {"Authorization": f"Bearer {self._endpoint.key}"} if self._endpoint.key else {}
        return {"Content-Type": "application/json"} | key

    def _unworded(self, made: Recommendation, status: str, cause: str) -> Recommendation:
        self._breaker.failed()
        logger.warning("wording.%s %s", status, cause)
        return replace(made, wording=self._described(status))

    def _described(self, status: str) -> ListWording:
        return ListWording(self._endpoint.model, status)


def _in_words(items: Sequence[ListedItem], answer: Sequence[WordedPlace]) -> tuple[ListedItem, ...]:
    """Return the places with other words, in the answer's order unless chance gave one of them its place."""
    words = {place.item_id: place.reason for place in answer}
    listed = {item.item_id: item for item in items}
    is_by_chance = any(item.propensity < 1.0 for item in items)
    order = list(listed) if is_by_chance else [place.item_id for place in answer]
    return tuple(
        replace(listed[item_id], rank=rank, reason=words.get(item_id, listed[item_id].reason))
        for rank, item_id in enumerate(order, 1)
    )
