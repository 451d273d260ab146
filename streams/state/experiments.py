"""An experiment and the modes chosen by hand, as they rest in Redis; docs/reference/redis.md is for readers outside.

Commands write them here, by a synchronous client that decodes what it reads. Workers read them again and again, through
``streams.state.store``, so what cannot be understood is told in one line.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast, get_args

import orjson
from redis import Redis

from model.experiment import Arm, Experiment
from model.history import Mode
from streams.errors import StateError
from streams.redis.connection import answered
from streams.state.keys import EXPERIMENT, OVERRIDES

__all__ = [
    "MAX_OVERRIDES",
    "decode_experiment",
    "decode_overrides",
    "encode_experiment",
    "find_experiment",
    "find_override",
    "remove_experiment",
    "remove_override",
    "store_experiment",
    "store_override",
]

MAX_OVERRIDES = 10_000  # every worker holds all of them and reads them again at each look
_SHOWN = 200


def encode_experiment(experiment: Experiment) -> bytes:
    """Return an experiment as JSON, with an object for each arm."""
    return orjson.dumps(asdict(experiment))


def decode_experiment(value: bytes | str) -> Experiment:
    """Return the experiment that a value of the key describes.

    Raises
    ------
    StateError
        If it describes none.
    """
    try:
        fields: Any = orjson.loads(value)
        a, b = Arm(**fields.pop("a")), Arm(**fields.pop("b"))
        return Experiment(**fields, a=a, b=b)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"state: an experiment is required under {EXPERIMENT}, got {value[:_SHOWN]!r}: {error}; "
            "remove it with `reelstream ab stop`"
        ) from error


def decode_overrides(found: Mapping[bytes, bytes]) -> tuple[dict[str, Mode], tuple[str, ...]]:
    """Return the modes chosen by hand, by user id, and what is wrong with each field that chooses none."""
    chosen: dict[str, Mode] = {}
    wrong = []
    for field, value in found.items():
        try:
            user_id, mode = field.decode(), value.decode()
        except UnicodeDecodeError:
            wrong.append(
                f"a user id and a mode as UTF-8 are required under {OVERRIDES}, got {field!r:.80}: {value!r:.80}"
            )
            continue
        if mode in get_args(Mode):
            chosen[user_id] = cast("Mode", mode)
        else:
            wrong.append(
                f"{' or '.join(get_args(Mode))} is required for user {user_id!r} under {OVERRIDES}, got {mode!r}; "
                f"set it with `reelstream mode {user_id} auto`"
            )
    return chosen, tuple(wrong)


def find_experiment(client: Redis) -> Experiment | None:
    """Return the experiment that runs, or None; raise StateError if what is stored describes none."""
    with answered("ab: reading the experiment"):
        found: Any = client.get(EXPERIMENT)
    return None if found is None else decode_experiment(found)


def store_experiment(client: Redis, experiment: Experiment, *, is_replacing: bool = False) -> None:
    """Let an experiment run.

    Parameters
    ----------
    is_replacing : whether one that runs already ends by it.

    Raises
    ------
    StateError
        If one runs already and is not to be replaced.
    """
    ours = encode_experiment(experiment)
    with answered(f"ab: starting {experiment.name}"):
        is_stored = client.set(EXPERIMENT, ours, nx=not is_replacing)
        if not is_stored:  # it may be ours, stored when an answer got lost
            is_stored = client.get(EXPERIMENT) == ours.decode()
    if not is_stored:
        running = find_experiment(client)
        raise StateError(
            f"ab: no running experiment is required, got {running and running.name!r}; "
            "end it first with `reelstream ab stop`, or give --replace"
        )


def remove_experiment(client: Redis) -> Experiment:
    """End the experiment that runs, and return it; whatever lies under its key is gone afterwards.

    Raises
    ------
    StateError
        If none runs, or what was stored described none.
    """
    with answered("ab: ending the experiment"):
        is_other = client.type(EXPERIMENT) not in ("string", "none")
        stored: Any = "" if is_other else client.get(EXPERIMENT)
        client.delete(EXPERIMENT)  # not read and removed in one: repeated, that would find nothing
    if stored is None:
        raise StateError("ab: a running experiment is required, got none; `reelstream ab start` starts one")
    return decode_experiment(stored)


def find_override(client: Redis, user_id: str) -> str | None:
    """Return the mode that was chosen by hand for a user, or None."""
    with answered(f"mode: reading the mode of user {user_id!r}"):
        found: Any = client.hget(OVERRIDES, user_id)
    return None if found is None else str(found)


def store_override(client: Redis, user_id: str, mode: Mode) -> None:
    """Choose a user's mode by hand; raise StateError if it was chosen for too many already."""
    with answered(f"mode: choosing the mode of user {user_id!r}"):
        n: Any = client.hlen(OVERRIDES)
        if n >= MAX_OVERRIDES and not client.hexists(OVERRIDES, user_id):
            raise StateError(
                f"mode: at most {MAX_OVERRIDES:,} users may have a mode chosen by hand, got {n:,} and {user_id!r}; "
                "let the threshold decide for some with `reelstream mode USER auto`"
            )
        client.hset(OVERRIDES, user_id, mode)


def remove_override(client: Redis, user_id: str) -> None:
    """Let the threshold decide a user's mode again."""
    with answered(f"mode: choosing the mode of user {user_id!r}"):
        client.hdel(OVERRIDES, user_id)
