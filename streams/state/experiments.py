"""An experiment and the modes chosen by hand, as they rest in Redis; docs/reference/redis.md is for readers outside.

Commands write them and workers read them again and again, so what cannot be understood is told in one line.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast, get_args

import orjson

from model.experiment import Arm, Experiment
from model.history import Mode
from streams.errors import StateError
from streams.state.keys import EXPERIMENT, OVERRIDES

__all__ = ["MAX_OVERRIDES", "decode_experiment", "decode_overrides", "encode_experiment"]

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
