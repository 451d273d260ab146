"""Forgetting users: their rows go out of the files of the partitions that are ours, and out of what is pending."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition

from agents.archiver.report import ArchiverReport
from agents.archiver.share import Share
from streams.archive.parquet import ArchiveAway, ArchivedFile, EventArchive
from streams.reading.data_requests import DataRequestsFeed
from streams.records.data_requests import Forgetting

__all__ = ["FileForgetter"]

FILES = 16  # of a call; one that must be written anew takes a tenth of a second in an object store
logger = logging.getLogger(__name__)


class FileForgetter:
    """Carries out what workers have decided, once for each partition: a note beside the files says what was done.

    What comes later, or is read again, is left out as it is scanned; ``keep_out`` does that for what is pending.

    Parameters
    ----------
    archive : the files.
    share : which partitions are ours.
    asked : knows who was forgotten.
    prefix : of the topics' names.
    report : told how many forgettings are carried out.
    """

    def __init__(
        self, archive: EventArchive, share: Share, asked: DataRequestsFeed, prefix: str, report: ArchiverReport
    ) -> None:
        self._archive = archive
        self._share = share
        self._asked = asked
        self._prefix = prefix
        self._report = report
        self._known: tuple[tuple[str, Forgetting], ...] = ()
        self._names: frozenset[str] = frozenset()
        self._of_place: dict[tuple[str, int], list[tuple[str, str, int]]] = {}
        self._done: dict[TopicPartition, frozenset[str]] = {}
        self._begun: dict[TopicPartition, _BegunPartition] = {}
        self._listed: Mapping[tuple[str, int], Sequence[ArchivedFile]] | None = None  # in this call

    def keep_out(self) -> None:
        """Leave forgotten users out of everything that is not written yet."""
        self._look()
        for at, scanner in self._share.scanners.items():
            found = self._of_place.get((at.topic, at.partition), ())
            below = _below(one for one in found if one[2] > scanner.begin)
            if below and (scanner.pending or scanner.closed):
                scanner.forget(below)

    def leave(self, gone: Iterable[TopicPartition]) -> None:
        """Let go of partitions that others will own; whoever has them next begins them anew."""
        for at in gone:
            self._done.pop(at, None)
            self._begun.pop(at, None)

    async def carry_out(self) -> None:
        """Write files anew that hold somebody who was forgotten since; after some of them go on in a later call.

        So partitions can be given away in between, for which the group waits 10 s.

        Raises
        ------
        ArchiveAway
            If the store does not answer.
        DataError
            If a file is torn.
        """
        self._look()
        self.leave(self._done.keys() - self._share.scanners.keys())
        self._listed, most = None, FILES
        for at in tuple(self._share.scanners):
            if at not in self._done:
                self._done[at] = await asyncio.to_thread(self._archive.read_forgotten, _name(at))
            if self._names <= self._done[at] and at not in self._begun:
                continue
            most -= await self._carry_out_in(at, most)
            if most <= 0:
                return
        self._report.forgotten = len(self._known)

    async def _carry_out_in(self, at: TopicPartition, most: int) -> int:
        """Go on with a partition, and return how many files of it were looked into."""
        if at not in self._begun:
            self._begun[at] = await self._begin(at)
        begun = self._begun[at]
        some = begun.files[:most]
        try:
            for file in some:
                begun.gone += await asyncio.to_thread(self._archive.forget, file, begun.below)
                begun.files.remove(file)
        except ArchiveAway:
            del self._begun[at]  # so that it is listed anew: the file may be gone
            raise
        if not begun.files:
            done = self._done[at] | begun.names
            await asyncio.to_thread(self._archive.note_forgotten, _name(at), done)
            logger.info("archiver.forgot %s events of %s[%d]", begun.gone, at.topic, at.partition)
            self._done[at] = done
            del self._begun[at]
        return len(some)

    async def _begin(self, at: TopicPartition) -> "_BegunPartition":
        done, names, place = self._done[at], self._names, (at.topic, at.partition)
        below = _below(one for one in self._of_place.get(place, ()) if one[1] not in done)
        if below and self._listed is None:
            self._listed = await asyncio.to_thread(self._archive.partitions)
        files = self._listed.get(place, ()) if below and self._listed is not None else ()
        return _BegunPartition(names, below, [file for file in files if file.first < max(below.values())])

    def _look(self) -> None:
        """Sort who was forgotten by partition, where that has changed."""
        known = self._asked.forgotten.all()
        if known == self._known:
            return
        self._known, self._names, self._of_place = known, frozenset(one.nobody for _, one in known), {}
        for user_id, one in known:
            for place, offset in one.places(self._prefix).items():
                self._of_place.setdefault(place, []).append((user_id, one.nobody, offset))


@dataclass(slots=True)
class _BegunPartition:
    """A partition of which not all files are written anew: for whom, before which offsets, what is left, what went."""

    names: frozenset[str]
    below: Mapping[str, int]
    files: list[ArchivedFile]
    gone: int = 0


def _below(found: Iterable[tuple[str, str, int]]) -> Mapping[str, int]:
    """Return the offset before which rows go, of each user the latest."""
    below: dict[str, int] = {}
    for user_id, _, offset in found:
        below[user_id] = max(offset, below.get(user_id, 0))
    return below


def _name(at: TopicPartition) -> str:
    return f"{at.topic}-{at.partition}.json"
