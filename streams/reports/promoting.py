"""Letting a version serve because a person says so: on the command line, over HTTP or on the page.

The version is loaded first, with every check that a worker makes.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from streams.errors import NotAnnounced, RegistryError, TopicError, VersionOvertaken
from streams.kafka.model_versions import announce_in_thread
from streams.redis.connection import connect, connect_to_read
from streams.registry.registry import Registry
from streams.registry.versions import VersionStore
from streams.reports.versions import NO_PARENT, NO_VERSION
from streams.serving.promotion import Promotion, decide
from streams.serving.repeats import require_repeats
from streams.settings import Settings
from streams.state.pointer import ANY_VERSION, ModelPointer, find_pointer
from streams.state.store import State

__all__ = ["ServedVersion", "promote_version", "roll_back"]


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """The version that serves now, where it is kept, and the one that served before."""

    previous: str | None
    current: str
    uri: str


async def promote_version(settings: Settings, version_id: str, by: str, cause: str | None = None) -> ServedVersion:
    """Serve a stored version, whatever the gate said of it.

    Parameters
    ----------
    settings : where it is.
    version_id : which one.
    by : who wants it.
    cause : why, in their words.

    Raises
    ------
    RegistryError
        If it cannot be loaded, before anything changes.
    StateError
        If Redis does not answer.
    NotAnnounced
        If it serves, and Kafka could not be told.
    """
    return await _serve(settings, version_id, "promoted", _pointer(settings), (by, cause))


async def roll_back(settings: Settings, version_id: str | None, by: str, cause: str | None = None) -> ServedVersion:
    """Serve an older version again, by default the parent of the one that serves; raises as ``promote_version``.

    Raises
    ------
    VersionOvertaken
        If the parent is meant and another version was chosen meanwhile.
    """
    before = _pointer(settings)
    if version_id is not None:
        return await _serve(settings, version_id, "rolled_back", before, (by, cause))
    if before is None:
        raise RegistryError(f"model: {NO_VERSION}")
    parent = VersionStore(settings.registry).read(before.version).parent
    if parent is None:
        raise RegistryError(f"model: {NO_PARENT.format(current=before.version)}")
    return await _serve(settings, parent, "rolled_back", before, (by, cause), is_only_instead=True)


async def _serve(
    settings: Settings,
    version_id: str,
    status: Literal["promoted", "rolled_back"],
    before: ModelPointer | None,
    wish: tuple[str, str | None],
    *,
    is_only_instead: bool = False,
) -> ServedVersion:
    """Let a version serve that can be loaded, and say so; where it is only to serve instead of another, of that one.

    ``wish`` says who wants it, and why.
    """
    by, cause = wish
    snapshot, version = Registry(settings.registry).load(version_id)
    require_repeats(version_id, snapshot, keeps=settings.keep_repeats)
    decision = decide(version, status, cause, by=by)
    client = connect(settings.redis, prefix=settings.prefix)
    try:
        state = State(client)
        await state.install()
        promotion = Promotion(state, partial(announce_in_thread, settings))
        serves = await promotion.serve(decision, before if is_only_instead else ANY_VERSION)
    except TopicError as error:
        raise NotAnnounced(
            f"{error}; the pointer was moved, which workers follow: the trainer and the scorekeeper announce it when "
            f"they start, or `reelstream model promote {decision.version}` does"
        ) from error
    finally:
        await client.aclose()
    if not serves:
        raise VersionOvertaken(
            f"model: {before and before.version} must serve until its parent does, got another version that was chosen "
            "meanwhile; see `reelstream model list`"
        )
    return ServedVersion(None if before is None else before.version, version.version_id, version.uri)


def _pointer(settings: Settings) -> ModelPointer | None:
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        return find_pointer(client)
