"""Rows of forgotten users leave the files some at a time, without a broker."""

import asyncio

import orjson
from aiokafka import TopicPartition

from agents.archiver.forgetting import FILES, FileForgetter
from agents.archiver.report import ArchiverReport
from agents.archiver.share import Share
from streams.archive.parquet import EventArchive
from streams.archive.scanning import LastIds, Scanner
from streams.reading.data_requests import DataRequestsFeed
from streams.records.data_requests import DataRequest
from streams.records.decoding import RawRecord
from streams.records.records import Origin
from streams.settings import Settings

AT = TopicPartition("watch-events", 0)


def records(first, end):
    """Return a watch of ann or ben at each offset."""
    users = {at: ("ann", "ben")[at % 2] for at in range(first, end)}
    return [
        RawRecord(
            Origin(AT.topic, 0, at, 1000),
            user.encode(),
            orjson.dumps({"event_id": f"e{at}", "user_id": user, "item_id": "i", "ts": 1, "progress": 1}),
        )
        for at, user in users.items()
    ]


def users_of(scans):
    """Return whose rows wait to be written."""
    return {user for scan in scans for rows in scan.rows for user in rows.column("user_id").to_pylist()}


def test_files_are_written_anew_some_at_a_time(tmp_path):
    """A call looks into a bounded number of files; what comes later is left out while it is old enough."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path))
    archive, share, report = EventArchive(str(tmp_path / "archive")), Share(None), ArchiverReport()
    asked = DataRequestsFeed(settings)
    forgetter = FileForgetter(archive, share, asked, "", report)
    share.scanners[AT] = scanner = Scanner(AT.topic, 0, 0, "", LastIds())
    n = 2 * (FILES + 4)
    for first in range(0, n, 2):
        scanner.add(records(first, first + 2))
        scanner.close()
        archive.write(scanner.closed.popleft())
    asked.note(0, DataRequest("ann", "f-1", 7).answered(0, {"watch-events": (n + 1,)}))
    asked.note(0, DataRequest("ben", "f-2", 7).answered(0, {"watch-events": (2,)}))

    def left():
        return sum(archive.read(file).num_rows for file in archive.list())

    asyncio.run(forgetter.carry_out())
    assert (left(), report.forgotten) == (n - FILES - 1, 0)
    scanner.add(records(n, n + 4))
    forgetter.keep_out()
    asyncio.run(forgetter.carry_out())
    assert (left(), report.forgotten) == (n // 2 - 1, 2)
    scanner.close()
    assert users_of(scanner.closed) == {"ann", "ben"}
    assert sum(rows.num_rows for scan in scanner.closed for rows in scan.rows) == 3
    assert len(archive.read_forgotten("watch-events-0.json")) == 2
