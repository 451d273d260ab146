"""What a language model is told of a list: the places with their true reasons, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from model.because import ReasonKind

__all__ = ["PlaceToWord", "messages"]

_TASK = """You rewrite the reasons of a recommendation list as short, friendly sentences.
You get a JSON object with the places of the list. Answer with one JSON object and nothing else:
{"items": [{"item_id": "...", "title": "...", "kind": "...", "reason": "..."}]}
Rules: name each item of the list exactly once, with its item_id, title and kind unchanged.
Put the items in the order in which you would show them.
A reason has at most 140 characters, and says in other words what the given reason says.
Name no item, person or fact that is not in the place itself."""


@dataclass(frozen=True, slots=True)
class PlaceToWord:
    """One place of a list, as a model sees it.

    Parameters
    ----------
    item_id, title, genres : the item.
    kind, reason : why it is there, and the sentence that is shown without a model.
    """

    item_id: str
    title: str
    genres: tuple[str, ...]
    kind: ReasonKind
    reason: str


def messages(places: Sequence[PlaceToWord], asked: str | None = None) -> list[dict[str, Any]]:
    """Return the messages of one chat completion.

    Parameters
    ----------
    places : of the list, in its order.
    asked : the words of the request, where it had some.
    """
    told: dict[str, Any] = {"items": places}
    if asked:
        told["asked"] = asked
    return [{"role": "system", "content": _TASK}, {"role": "user", "content": orjson.dumps(told).decode()}]
