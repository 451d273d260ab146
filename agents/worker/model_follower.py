"""Following the model pointer: the version that it names is read, made ready for ranking, and put in place."""

import asyncio
import logging
import time
from concurrent.futures import Executor
from dataclasses import replace

from agents.memory import give_back_memory
from agents.worker.refresh import Current, RefreshConfig
from agents.worker.report import WorkerReport
from model.network.cooccurrence import MAX_DENSE_ITEMS
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.ranking.recommender import Recommender
from model.ranking.retrieval import build_ranker, has_faiss, is_large
from model.vocabulary import Rows
from streams.errors import RegistryError
from streams.registry.registry import FollowedVersion, Registry
from streams.serving.repeats import require_repeats
from streams.settings import Settings
from streams.state.store import ModelPointer, State

__all__ = ["ModelFollower", "ModelLoader"]

logger = logging.getLogger(__name__)


class ModelLoader:
    """Reads versions from the registry and makes them ready for ranking, off the event loop.

    Parameters
    ----------
    settings : where the registry is, and how lists are found in large catalogues.
    threads : between how many an exact ranking is divided.
    thread : where versions are read, one after the other.
    """

    def __init__(self, settings: Settings, threads: int, thread: Executor) -> None:
        self._retrieval = settings.retrieval
        self._keeps_repeats = settings.keep_repeats
        self._registry = Registry(settings.registry)
        self._threads = threads
        self._thread = thread

    async def load(self, pointer: ModelPointer, serving: Recommender) -> tuple[Ranker, FollowedVersion]:
        """Read the version that a pointer names, from what serves where only changes lie between the two.

        Where the registry does not hold it, it is read from where the pointer says that it is.

        Raises
        ------
        RegistryError, ValueError, FloatingPointError
            If it cannot be read, or not be used.
        """
        return await self._off_the_loop(pointer.version, serving, pointer.uri)

    async def load_pinned(self, version: str) -> Ranker:
        """Return the ranker of a version that an arm pins, read whole: it need not be near the one that serves."""
        ranker, _ = await self._off_the_loop(version)
        return ranker

    async def _off_the_loop(
        self, version: str, serving: Recommender | None = None, uri: str = ""
    ) -> tuple[Ranker, FollowedVersion]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._load, version, serving, uri)

    def _load(self, version: str, serving: Recommender | None, uri: str) -> tuple[Ranker, FollowedVersion]:
        before = None if serving is None else serving.ranker
        held = None
        if serving is not None and serving.version is not None and before is not None:
            held = serving.version, before.snapshot
        try:
            followed = self._registry.follow(version, held)
        except RegistryError:
            other = self._registry.elsewhere(version, uri)
            if other is None:
                raise
            followed = other.follow(version, held)
        require_repeats(version, followed.snapshot, keeps=self._keeps_repeats)
        if len(followed.snapshot.items) <= MAX_DENSE_ITEMS:  # the table of all pairs is read, and one form is enough
            followed = replace(followed, snapshot=followed.snapshot.packed())
        ranker = self.ranker(followed.snapshot, before, followed.changed)
        ranker.warm_up()
        give_back_memory()
        return ranker, followed

    def ranker(self, snapshot: Snapshot, before: Ranker | None = None, changed: Rows | None = None) -> Ranker:
        """Return what the settings ask for; where they leave it open and faiss is missing, rank exactly and say so."""
        mode = self._retrieval
        if mode == "auto" and is_large(len(snapshot.items), mode) and not has_faiss():
            logger.warning(
                "model.exact %d items are scored for every list, which may take longer than the budget; "
                "install faiss with pip install 'reelstream[large]'",
                len(snapshot.items),
            )
            mode = "exact"
        return build_ranker(snapshot, mode, threads=self._threads, before=before, changed=changed)


class ModelFollower:
    """Swaps in the version that the pointer names; keeps the old one where the new one cannot be used.

    Parameters
    ----------
    state : Redis, which holds the pointer.
    config : how often to look, and when to try again.
    loader : reads versions.
    current : the recommender whose model is replaced.
    report : where the swap is told, or why there is none.
    """

    is_needed_to_serve = True

    def __init__(
        self, state: State, config: RefreshConfig, loader: ModelLoader, current: Current, report: WorkerReport
    ) -> None:
        self._state = state
        self._loader = loader
        self._current = current
        self._report = report
        self._retry_s = config.retry_s
        self._refused: str | None = None
        self._retry_at = 0.0
        self._why: str | None = None  # why the version that should serve does not
        self.period_s = config.model_s

    async def refresh(self) -> None:
        """Look at the pointer once."""
        pointer = await self._state.current_model()
        if pointer is None:
            await self._look_whether_withdrawn()
        if pointer is None or pointer.version == self._current.recommender.version:
            self._is_loaded()
            return
        if pointer.version == self._refused and time.monotonic() < self._retry_at:
            return
        try:
            ranker, followed = await self._loader.load(pointer, self._current.recommender)
        except (RegistryError, ValueError, FloatingPointError) as error:
            self._refused, self._retry_at = pointer.version, time.monotonic() + self._retry_s
            self._is_unloadable(pointer.version, error)
            return
        self._refused = None
        self._is_loaded()
        is_first = self._current.recommender.version is None  # of this process: no list was of an earlier one meanwhile
        self._current.recommender = self._current.recommender.with_model(ranker, pointer.version)
        self._report_sync(pointer, followed, is_first=is_first)

    async def _look_whether_withdrawn(self) -> None:
        """Let go of a version that was withdrawn; one whose pointer Redis has lost serves on."""
        version = self._current.recommender.version
        if version is None:
            return
        found = await self._state.measured_model()
        if found is not None and found[0] is None:
            self._current.recommender = self._current.recommender.with_model(None, None)
            self._report.model_version = self._report.model_promoted_at = None
            logger.warning("model.withdrawn %s; lists are cold start until another version serves", version)

    def _is_unloadable(self, version: str, error: Exception) -> None:
        """Say which version should serve and cannot; where none is loaded at all, lists are degraded until one is."""
        serving = self._current.recommender.version
        stays = "no version is loaded, lists are degraded" if serving is None else f"{serving} keeps serving"
        logger.error("model.refused %s; %s", error, stays)
        before, self._report.unloaded = self._why, version
        self._why = f"{version} should serve and cannot be loaded, {stays}: {error}"
        if self._report.fault in (None, before):
            self._report.fault = self._why
        if serving is None:
            self._current.recommender = self._current.recommender.without_model()

    def _is_loaded(self) -> None:
        if self._report.fault == self._why:
            self._report.fault = None
        self._report.unloaded = self._why = None

    def _report_sync(self, pointer: ModelPointer, followed: FollowedVersion, *, is_first: bool) -> None:
        report = self._report
        report.model_version, report.model_promoted_at = pointer.version, pointer.promoted_at
        report.sync_bytes = followed.size
        report.sync_ms = 0 if is_first else max(0, time.time_ns() // 1_000_000 - pointer.promoted_at)
        report.patched += followed.changed is not None
        report.loaded += followed.changed is None
        how = "whole" if followed.changed is None else f"{len(followed.changed)} items changed"
        logger.info("model.swapped %s, %s, %s bytes, %s ms late", pointer.version, how, followed.size, report.sync_ms)
