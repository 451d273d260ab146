"""What is wrong with a request, or with us, as RFC 9457 has it: one JSON form for every error, and never a trace."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from streams.errors import (
    ClusterAway,
    NotAnnounced,
    RecordError,
    RegistryError,
    StateAway,
    StreamError,
    TopicError,
    VersionOvertaken,
)

__all__ = [
    "PROBLEM_TYPE",
    "Problem",
    "ProblemError",
    "add_handlers",
    "problem_of",
    "problems",
    "rendered",
    "too_soon",
]

PROBLEM_TYPE = "application/problem+json"
RETRY_S = 2  # a server that restarts is back by then
_TITLES = {
    400: "Bad request",
    401: "A key is required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "JSON is required",
    421: "Another host",
    422: "Not as documented",
    429: "Too many requests",
    500: "Internal error",
    501: "Not there yet",
    503: "Not available for now",
    504: "Took too long",
}
_FOUND_BY_ROUTES = {
    404: "a path of this API is required; /openapi.json names all of them",
    405: "a method that this path has is required; the header Allow names them",
}
_LATE = "an answer in time is required, got none; ask again, or for less"
_NO_REGISTRY = "models that can be read are required, got none; the log of the api says why"
_TORN = "a version that is stored, and whole, is required; /models names those there are, and the log what is torn"
_TOLD: dict[type[Exception], int] = {RecordError: 422, RegistryError: 404, VersionOvertaken: 409}  # in its own words
_OURS: dict[type[Exception], tuple[int, str]] = {  # the first that fits; what it says, addresses too, is for our log
    StateAway: (503, "an answer of Redis is required, got none; ask again"),
    NotAnnounced: (503, "an answer of Kafka is required, got none; the version serves, and is announced later"),
    ClusterAway: (503, "an answer of Kafka is required, got none; ask again"),
    TopicError: (503, "topics as this version needs them are required, got others; the log of the api has it"),
    StreamError: (500, "what is needed for an answer is required, got a fault of ours; the log of the api has it"),
}
_SAY_AGAIN_S = 5.0  # while a server is away every request finds it out
_said_at: dict[str, float] = {}
logger = logging.getLogger(__name__)


class Problem(BaseModel):
    """A problem."""

    type: str = Field(description="`about:blank`: the status says what kind of problem it is.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="Where, what was required, what was got, and the cure where one exists.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="Each thing that is wrong, where there are several: where, and what was required."
    )


class ProblemError(Exception):
    """A problem that a road has found; becomes its answer.

    Parameters
    ----------
    status, detail : of the problem.
    headers, more : further headers, and further members of the body.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.more = dict(more or {})


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how the document describes these statuses, and 500, as FastAPI takes it."""
    described = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": described} for status in sorted({*statuses, 500})}


def rendered(error: ProblemError, path: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a problem."""
    body = {
        "type": "about:blank",
        "title": _TITLES.get(error.status, "Problem"),
        "status": error.status,
        "detail": error.detail,
        "instance": path,
        **error.more,
    }
    return error.status, {"content-type": PROBLEM_TYPE, **error.headers}, orjson.dumps(body, default=str)


def problem_of(error: Exception) -> ProblemError:
    """Return the problem that an error is, without our addresses; what is ours is logged.

    Of an error that nobody foresaw it is told only that it happened; whoever catches it logs it.
    """
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        return ProblemError(error.status_code, _FOUND_BY_ROUTES.get(error.status_code, error.detail), error.headers)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    return _of_stream(error)


def _of_stream(error: Exception) -> ProblemError:
    """Return the problem that an error is which has no status of its own."""
    if isinstance(error, TimeoutError):
        return ProblemError(504, _LATE)
    if isinstance(error, RegistryError) and str(error).startswith("registry"):  # it names its place
        unreadable = isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError)
        _log(error, 503 if unreadable else 404)
        return (
            ProblemError(503, _NO_REGISTRY, {"retry-after": str(RETRY_S)}) if unreadable else ProblemError(404, _TORN)
        )
    for kind, status in _TOLD.items():
        if isinstance(error, kind):
            return ProblemError(status, str(error))
    for kind, (status, detail) in _OURS.items():
        if isinstance(error, kind):
            _log(error, status)
            headers = {"retry-after": str(RETRY_S)} if status == 503 else None  # noqa: PLR2004 - waiting may cure it
            return ProblemError(status, detail, headers)
    return ProblemError(500, "an answer is required, got an error that nobody foresaw; the log of the api has it")


def _log(error: Exception, status: int) -> None:
    """Log a fault of ours, each kind now and then."""
    kind, now = type(error).__name__, time.monotonic()
    if now - _said_at.get(kind, -_SAY_AGAIN_S) >= _SAY_AGAIN_S:
        _said_at[kind] = now
        logger.log(logging.ERROR if status == 500 else logging.WARNING, "api.fault %s", error)  # noqa: PLR2004 - ours


def too_soon(wait_s: float) -> ProblemError:
    """Return the problem of a key that asks too often."""
    detail = f"requests no faster than this key's rate are required; the next is taken in {wait_s:.3f} s"
    return ProblemError(429, detail, {"retry-after": str(max(1, math.ceil(wait_s)))})


def add_handlers(app: FastAPI, roads: Sequence[APIRoute]) -> None:
    """Let every error of an application with these roads be answered with its problem."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status == 405:  # noqa: PLR2004 - a route knows its own methods, not those of others on its path
            problem.headers["allow"] = ", ".join(sorted(_methods(roads, request.url.path)))
        status, headers, body = rendered(problem, request.url.path)
        return Response(body, status, headers, media_type=PROBLEM_TYPE)

    for kind in (ProblemError, HTTPException, RequestValidationError, StreamError, TimeoutError, Exception):
        app.add_exception_handler(kind, answer)


def _methods(roads: Sequence[APIRoute], path: str) -> set[str]:
    """Return the methods of a path: of the roads that are called so, else of those whose pattern it fits."""
    fitting = [road for road in roads if road.path_regex.match(path)]
    named = [road for road in fitting if road.path == path] or fitting
    return {method for road in named for method in road.methods or ()}


def _of_validation(error: RequestValidationError) -> ProblemError:
    wrong = [
        {"where": ".".join(map(str, one["loc"])), "required": one["msg"], "got": _short(one.get("input"))}
        for one in error.errors()
    ]
    first = wrong[0]
    detail = f"{first['where']}: {first['required']}, got {first['got']}"
    return ProblemError(422, detail, more={"errors": wrong})


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - as the messages of records do
