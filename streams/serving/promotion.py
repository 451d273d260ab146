"""The one way for a version to serve, or to be withdrawn, whoever decides it: the trainer, the guard or a person.

Steps: 1 move the pointer, if what is expected serves, and store what is to be announced in the same call; 2 put it into
the history, and announce it until the cluster holds it; 3 remove what was stored. Who is killed in between leaves the
decision beside the pointer, and the next trainer or scorekeeper that starts announces it; now and then one is announced
twice. A move that another one overtakes before Kafka has taken its record is not announced any more, as it does not
serve. So a version may have served for a moment without a record. Of two moves within one announcement the records may
come in the other order.

The pointer's standing says what a version is measured by (``model.training.standing``). A move without one makes the
version its own anchor. So a version that a person chooses is the next yardstick. Whether a version should serve is
decided elsewhere.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from streams.records.records import ModelVersion
from streams.registry.versions import Version
from streams.state.pointer import ANY_VERSION, ModelPointer, ModelStanding
from streams.state.store import State

__all__ = ["GUARD", "Announce", "Promotion", "decide", "pointer_to", "withdraw"]

GUARD = "scorekeeper"  # by which the drift guard's decisions are known
Announce = Callable[[ModelVersion], Awaitable[None]]


def decide(
    version: Version,
    status: Literal["promoted", "rolled_back"],
    cause: str | None = None,
    metrics: Mapping[str, float] | None = None,
    *,
    by: str,
) -> ModelVersion:
    """Return the decision, made now, that a version serves.

    Parameters
    ----------
    cause : why, in words; without one a person who decided has not said it.
    metrics : the figures it was decided by; the version's own by default.
    by : who decides: a role, or a person.
    """
    figures = dict(version.metrics if metrics is None else metrics)
    return ModelVersion(version.version_id, status, version.parent, version.uri, _now_ms(), figures, cause, by)


def withdraw(serving: ModelPointer, cause: str, metrics: Mapping[str, float], *, by: str) -> ModelVersion:
    """Return the decision, made now, that a version serves no more and nothing else does."""
    return ModelVersion(serving.version, "withdrawn", None, None, _now_ms(), metrics, cause, by)


class Promotion:
    """Lets versions serve, for one process.

    Parameters
    ----------
    state : with its functions installed.
    announce : returns when the cluster holds the record; raises TopicError where it does not take it.
    """

    def __init__(self, state: State, announce: Announce) -> None:
        self._state = state
        self._announce = announce

    async def serve(
        self,
        decision: ModelVersion,
        expected: ModelPointer | str | None = ANY_VERSION,
        standing: ModelStanding | None = None,
    ) -> bool:
        """Let a version serve as it was decided, and announce it; after any error it may be asked for again.

        Parameters
        ----------
        decision : as ``decide`` or ``withdraw`` returns it.
        expected : what must serve until now, see ``State.move_model``.
        standing : what the version is measured by; by default itself.

        Returns
        -------
        Whether it serves: False, with nothing announced, where somebody else has chosen another version.

        Raises
        ------
        StateError
            If Redis does not answer.
        TopicError
            If it serves, and could not be announced yet.
        """
        # Step 1
        if not await self._state.move_model(pointer_to(decision), expected, decision, standing):
            return False
        await self._tell(decision)
        return True

    async def finish(self) -> ModelVersion | None:
        """Announce what serves and was not announced yet, and return it; None where there is no such thing.

        Raises
        ------
        StateError, TopicError
            As for ``serve``.
        """
        decision = await self._state.unannounced()
        if decision is not None:
            await self._tell(decision)
        return decision

    async def _tell(self, decision: ModelVersion) -> None:
        # Step 2
        await self._state.note_decision(decision)
        await self._announce(decision)
        # Step 3
        await self._state.note_announced(decision)


def pointer_to(decision: ModelVersion) -> ModelPointer:
    """Return the pointer to the version that a decision lets serve, since the decision; to none if it withdraws one."""
    if decision.status == "withdrawn":
        return ModelPointer("", "", decision.ts)
    return ModelPointer(str(decision.version), str(decision.uri), decision.ts)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
