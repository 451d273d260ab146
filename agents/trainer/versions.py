"""Versions in the registry: the one that serves is loaded, what follows it is stored, and old ones are deleted."""

import asyncio
import logging
import time
from collections.abc import Mapping
from importlib.metadata import version as installed_version

from agents.trainer.config import TrainerConfig
from agents.trainer.pointer import PointerKeeper
from agents.trainer.report import TrainerReport
from model.network.snapshot import Snapshot
from model.training.rounds import Candidate
from streams.availability import SAY_AGAIN_S
from streams.errors import RegistryError, StateError
from streams.records.positions import Offsets, TopicIds
from streams.registry.registry import Registry
from streams.registry.versions import Version
from streams.state.store import ModelPointer, State

__all__ = ["VersionKeeper"]

logger = logging.getLogger(__name__)


class VersionKeeper:
    """Loads and stores versions.

    Parameters
    ----------
    url : of the registry.
    config : what is kept.
    pointer : says which version serves.
    state : says which versions an experiment compares.
    report : told which version is tuned, and why none is.
    """

    def __init__(
        self, url: str, config: TrainerConfig, pointer: PointerKeeper, state: State, report: TrainerReport
    ) -> None:
        self._registry = Registry(url)
        self._config = config
        self._pointer = pointer
        self._state = state
        self._report = report
        self._changes = 0  # versions in a row up to the one that serves that hold changes alone

    async def load(self, current: ModelPointer) -> tuple[Snapshot, Version] | None:
        """Return the content of the version that serves, or None if another serves meanwhile.

        Without the version there is nothing to tune: that is said, and is what ``health`` fails by, until it can be
        loaded or the pointer moves.
        """
        said_at: float | None = None
        while True:
            try:
                snapshot, version, self._changes = await asyncio.to_thread(self._read, current)
            except (RegistryError, ValueError) as error:
                self._report.fault = f"{current.version} serves and cannot be loaded: {error}"
                if said_at is None or time.monotonic() - said_at >= SAY_AGAIN_S:
                    said_at = time.monotonic()
                    logger.error(  # noqa: TRY400 - one line
                        "model.unloadable %s; nothing is learnt until it can be loaded or another serves", error
                    )
            else:
                self._report.fault = None
                self._report.model_version = version.version_id
                return snapshot, version
            await asyncio.sleep(self._config.retry_s)
            if await self._pointer.current() != current:
                self._report.fault = None
                return None

    def begin_anew(self) -> None:
        """Note that no version serves, so the next one is stored whole."""
        self._report.model_version, self._report.anchor, self._changes = None, None, 0

    async def load_anchor(self, anchor: str | None) -> Snapshot | None:
        """Return the content of the version that the serving one is measured by; None where that is itself.

        One that cannot be read is told, and the version that serves is its own anchor from then on.
        """
        self._report.anchor = None
        if anchor is None:
            return None
        try:
            snapshot, _ = await asyncio.to_thread(self._registry.load, anchor)
        except (RegistryError, ValueError) as error:
            logger.error("anchor.unloadable %s; the version that serves is its own anchor", error)  # noqa: TRY400 - one line
            return None
        self._report.anchor = anchor
        return snapshot

    async def find(self, version_id: str) -> Version:
        """Return a version that can serve.

        Raises
        ------
        RegistryError
            If it cannot be read whole.
        """
        _, version = await asyncio.to_thread(self._registry.load, version_id)
        return version

    async def store(
        self, candidate: Candidate, metrics: Mapping[str, float], offsets: Offsets, topic_ids: TopicIds
    ) -> Version:
        """Store a candidate as the child of the version that serves.

        Parameters
        ----------
        metrics : figures of the round.
        offsets : before which it contains everything.
        topic_ids : of the topics that the offsets belong to.

        Raises
        ------
        RegistryError
            If it could not be stored; nothing of it stays.
        """
        version = await asyncio.to_thread(
            self._registry.save,
            candidate.snapshot,
            parent=self._report.model_version,
            metrics=metrics,
            offsets=offsets,
            topic_ids=topic_ids,
            created_ms=time.time_ns() // 1_000_000,
            seed=self._config.seed,
            code_revision=installed_version("reelstream"),
            onto=candidate.material.champion if self._changes + 1 < self._config.whole_every else None,
        )
        self._changes = 0 if version.base is None else self._changes + 1
        self._report.sync_bytes = version.size
        return version

    async def parent_of(self, version_id: str) -> tuple[Version | None, str]:
        """Return the parent that can serve in place of a version, or None and why there is none."""
        return await asyncio.to_thread(
            self._registry.parent_of, version_id, lambda parent: self._registry.load(parent)[1]
        )

    async def prune(self, serving: str) -> None:
        """Delete old versions, but neither the anchor nor one that an experiment compares."""
        try:
            experiment = await self._state.experiment()
            pinned = set() if experiment is None else set(experiment.versions)
            if self._report.anchor is not None:
                pinned.add(self._report.anchor)
            await asyncio.to_thread(self._registry.prune, self._config.keep_versions, serving, pinned)
        except (RegistryError, StateError) as error:  # they may wait for the next round
            logger.warning("registry.not_pruned %s", error)

    def _read(self, current: ModelPointer) -> tuple[Snapshot, Version, int]:
        try:
            snapshot, version = self._registry.load(current.version)
            return snapshot, version, self._registry.changes_since_whole(current.version)
        except RegistryError:
            other = self._registry.elsewhere(current.version, current.uri)
            if other is None:
                raise
            snapshot, version = other.load(current.version)
            return snapshot, version, self._config.whole_every  # what is stored here cannot rest on it
