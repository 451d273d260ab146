"""The archive on local files and in memory: each offset once, whole files only, and clear words about torn ones."""

import itertools
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.archive.parquet import ArchiveAway, EventArchive, Scan, to_rows
from streams.errors import DataError
from streams.records.records import Action, Origin, Rating, Watch, Withdrawal

DAY = "2023-11-14"
TS = 1_700_000_000_000  # 2023-11-14T22:13:20Z
NUMBERS = itertools.count()


@pytest.fixture(params=["local", "memory"])
def archive(request, tmp_path):
    """Return an empty archive on each kind of store."""
    return EventArchive(str(tmp_path / "events") if request.param == "local" else in_memory())


def in_memory():
    """Return the URL of a store in memory that nobody has used."""
    return f"memory://archive-{next(NUMBERS)}"


def event_at(offset, topic="w", partition=0):
    """Return the event of an offset: in turn a watch, a rating with a rec_id, and an action."""
    ids = (f"e{offset}", f"u{offset % 3}", f"i{offset % 5}", TS + offset)
    facts = (Watch(*ids, 0.25), Rating(*ids, 3.5, f"r{offset}"), Action(*ids, "like"))
    return Origin(topic, partition, offset, TS + offset), facts[offset % 3]


def scan(first, last, topic="w", partition=0, date=DAY, offsets=None):
    """Return a range with an event at each offset, or only at the given ones."""
    events = [event_at(at, topic, partition) for at in (range(first, last + 1) if offsets is None else offsets)]
    return Scan(topic, partition, first, last, date, [to_rows(events)] if events else [], 0, 0)


def read_all(archive, *args, **options):
    """Return every event that an archive gives, in its order."""
    return [event for batch in archive.read_events(*args, **options) for event in batch]


def test_what_is_written_is_read(archive):
    """Events of each topic come back as they were, with their origins, in batches of the asked size."""
    archive.write(scan(0, 6))
    assert read_all(archive) == [event_at(at) for at in range(7)]
    assert [len(batch) for batch in archive.read_events(most=3)] == [3, 3, 1]


def test_a_withdrawal_is_a_row_and_gives_two_ids(archive):
    """It comes back as it was; an event is found by its offset; and of ids its own and its event's are remembered."""
    origin, back = Origin("w", 0, 7, TS + 7), Withdrawal("w7", "u1", TS, "e1")
    archive.write(Scan("w", 0, 0, 7, DAY, [to_rows([event_at(1), event_at(2), (origin, back)])], 0, 0))
    assert read_all(archive) == [event_at(1), event_at(2), (origin, back)]
    assert archive.find(Origin("w", 0, 2)) == event_at(2)
    assert [archive.find(Origin("w", 0, at)) for at in (3, 8)] == [None, None]
    assert archive.newest(archive.list(), 3) == (("u2", "e2"), ("u1", "e1"), ("u1", "w7"))


def test_files_of_the_first_format_are_read(archive):
    """What was written before there were withdrawals has no column of them."""
    path = archive.write(scan(0, 4)).path
    with archive._files.open(path) as file:
        table = pq.read_table(file)
    about = table.schema.metadata[b"reelstream"].replace(b'"format":2', b'"format":1')
    earlier = table.drop_columns("withdraws").replace_schema_metadata({"reelstream": about})
    with archive._files.open(path, "wb") as file:
        pq.write_table(earlier, file)
    assert read_all(archive) == [event_at(at) for at in range(5)]
    [whole] = archive.rows(archive.list(), ("offset", "withdraws"))
    assert whole.column("withdraws").to_pylist() == [None] * 5


def test_an_empty_archive_has_nothing(archive):
    """Where nothing was written there is no file, no end and no event, and that is no error."""
    assert (archive.list(), archive.ends(), read_all(archive), archive.strays()) == ((), {}, [], ())


def test_partitions_come_one_after_the_other_in_offset_order(archive):
    """Whatever the order of writing and the days, each partition's events ascend and are not mixed with another's."""
    archive.write(scan(10, 12, "w", 1, "2023-11-16"))
    archive.write(scan(0, 1, "w", 10))
    archive.write(scan(0, 9, "w", 1, "2023-11-17"))
    archive.write(scan(5, 5, "r", 0))
    places = [(origin.topic, origin.partition, origin.offset) for origin, _ in read_all(archive)]
    assert places == [("r", 0, 5), *(("w", 1, at) for at in range(13)), ("w", 10, 0), ("w", 10, 1)]
    assert archive.ends() == {"r": {0: 6}, "w": {1: 13, 10: 2}}


def test_bad_records_count_for_the_end_and_have_no_row(archive):
    """A range of ten offsets with two events ends at 10, as does one without any event at 15."""
    archive.write(scan(0, 9, offsets=[2, 3]))
    archive.write(scan(10, 14, offsets=[]))
    assert [origin.offset for origin, _ in read_all(archive)] == [2, 3]
    assert archive.ends() == {"w": {0: 15}}


def test_a_run_of_files_ends_at_the_first_gap(archive):
    """Files of 0-9, 8-14 and 16-20 go on from 3 to 15, from 15 nowhere, from 16 to 21, and from no file nowhere."""
    for first, last in ((0, 9), (8, 14), (16, 20)):
        archive.write(scan(first, last))
    assert [archive.unbroken({("w", 0): begin})["w", 0] for begin in (3, 15, 16)] == [15, 15, 21]
    assert archive.unbroken({("w", 1): 7}) == {("w", 1): 7}


def test_a_reader_chooses_its_part(archive):
    """First offsets, ends, topics and partitions each leave out what they say; offsets of others do not matter."""
    for topic, partition in itertools.product("rw", (0, 1)):
        archive.write(scan(0, 9, topic, partition))

    def offsets(*args, **options):
        return [origin.offset for origin, _ in read_all(archive, *args, topics=["w"], partitions=[1], **options)]

    assert offsets() == list(range(10))
    assert offsets({"w": {1: 7}, "r": {1: 9}}) == [7, 8, 9]
    assert offsets({"w": {1: 7}}, below={"w": {1: 8}}) == [7]
    assert offsets({"w": {1: 10}}) == []
    assert offsets(below={"w": {1: 0}}) == []
    assert {origin.topic for origin, _ in read_all(archive, topics=["r"])} == {"r"}
    assert {origin.partition for origin, _ in read_all(archive, partitions=[0])} == {0}


def test_the_same_range_again_replaces_it(archive):
    """A range that is written twice is one file with the same events, and nothing else is left behind."""
    assert archive.write(scan(0, 4)) == archive.write(scan(0, 4))
    assert len(archive.list()) == 1
    assert read_all(archive) == [event_at(at) for at in range(5)]
    assert archive.strays() == ()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=12),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(1, 7),
)
def test_overlapping_files_give_each_offset_once(ranges, start, end, most):
    """However files overlap, the offsets that any of them scanned come once each, ascending, within the bounds."""
    archive = EventArchive(in_memory())
    for first, length in ranges:
        archive.write(scan(first, first + length - 1))
    covered = {at for first, length in ranges for at in range(first, first + length)}
    found = [origin.offset for origin, _ in read_all(archive, {"w": {0: start}}, below={"w": {0: end}}, most=most)]
    assert found == sorted(at for at in covered if start <= at < end)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), min_size=1, max_size=6), st.integers(0, 50))
def test_the_newest_ids_are_the_last_ones_read(ranges, n):
    """The newest n ids are those of the last n events that reading everything gives."""
    archive = EventArchive(in_memory())
    for first, length in ranges:
        archive.write(scan(first, first + length - 1))
    ids = [(fact.user_id, fact.event_id) for _, fact in read_all(archive)]
    assert archive.newest(archive.list(), n) == tuple(ids[len(ids) - min(n, len(ids)) :])


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_a_torn_file_is_refused(data):
    """A file that was cut anywhere is a DataError that names it, says that it is torn and what cures it."""
    archive = EventArchive(in_memory())
    file = archive.write(scan(0, 99))
    store = fsspec.filesystem("memory")
    content = store.cat_file(file.path)
    store.pipe_file(file.path, content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError, match=r"000000000000-000000000099\.parquet .* torn or was changed: copy it again"):
        read_all(archive)


def test_a_flipped_bit_in_the_data_is_refused(tmp_path):
    """Each bit of a data page is covered by its checksum, so one that flipped on the disk is no event."""
    archive = EventArchive(str(tmp_path))
    file = archive.write(scan(0, 99))
    column = pq.ParquetFile(file.path).metadata.row_group(0).column(0)
    content = bytearray(Path(file.path).read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    Path(file.path).write_bytes(content)
    with pytest.raises(DataError, match="torn or was changed"):
        read_all(archive)


@pytest.mark.parametrize("name", ["000000000000-000000000005.parquet", "000000000001-000000000004.parquet"])
def test_a_renamed_file_is_refused(tmp_path, name):
    """A file whose name says another range than its content is refused, since the name decides what is read again."""
    archive = EventArchive(str(tmp_path))
    path = Path(archive.write(scan(0, 4)).path)
    path.rename(path.with_name(name))
    with pytest.raises(DataError, match="in a file that is named and holds"):
        read_all(archive)


def test_a_file_of_somebody_else_is_refused(tmp_path):
    """A Parquet file that no archiver wrote, at the place of one, is not read as events."""
    archive = EventArchive(str(tmp_path))
    path = archive.write(scan(0, 4)).path
    pq.write_table(pa.table({"offset": [0, 1]}), path)
    with pytest.raises(DataError, match="a file that no archiver wrote"):
        read_all(archive)


def test_a_newer_format_is_refused(tmp_path):
    """A file of format 3 says to upgrade."""
    archive = EventArchive(str(tmp_path))
    path = archive.write(scan(0, 4)).path
    pq.write_table(pa.table({"offset": [0]}).replace_schema_metadata({"reelstream": b'{"format":3}'}), path)
    with pytest.raises(DataError, match="must have format 1 to 2, got 3; a newer Reelstream wrote it, upgrade"):
        read_all(archive)


def test_other_files_are_not_read(tmp_path):
    """What a killed writer left, and whatever else lies there, is a stray and no part of the archive."""
    archive = EventArchive(str(tmp_path))
    path = Path(archive.write(scan(0, 4)).path)
    left = path.with_name(f".{path.name}.0123456789abcdef")
    left.write_bytes(b"half a file")
    (tmp_path / "README").write_text("ours")
    assert [file.path for file in archive.list()] == [str(path)]
    assert sorted(archive.strays()) == sorted([str(left), str(tmp_path / "README")])
    assert len(read_all(archive)) == 5


def test_a_store_that_refuses_is_away(tmp_path):
    """Where the folder cannot be made the error is one that may pass, names the path, and leaves nothing behind."""
    (tmp_path / "events").write_text("a file, not a folder")
    archive = EventArchive(str(tmp_path / "events"))
    with pytest.raises(ArchiveAway, match=r"archive: .*000000000004\.parquet must be writable .* got .*"):
        archive.write(scan(0, 4))
    (tmp_path / "events").unlink()
    archive.write(scan(0, 4))
    assert len(read_all(archive)) == 5


def test_an_unknown_store_is_a_data_error():
    """A URL whose protocol nobody knows is refused when the archive is opened."""
    with pytest.raises(
        DataError, match="a folder or an fsspec URL with its driver installed is required, got 'nix://x'"
    ):
        EventArchive("nix://x")


def test_pandas_reads_the_folder(tmp_path):
    """The folder is one table for pandas; topic, date and partition are columns made of the folders' names."""
    import pandas as pd  # noqa: PLC0415 - only this test reads as users do

    archive = EventArchive(str(tmp_path))
    archive.write(scan(0, 4, "watch-events", 3))
    archive.write(scan(0, 1, "rate-events", 1, "2023-11-15"))
    table = pd.read_parquet(tmp_path)
    assert len(table) == 7
    assert table.groupby(["topic", "date", "partition"], observed=True).size().to_dict() == {
        ("rate-events", "2023-11-15", 1): 2,
        ("watch-events", "2023-11-14", 3): 5,
    }
    assert list(table.columns) == [
        *("offset", "timestamp", "event_id", "user_id", "item_id", "ts", "kind", "progress", "rating", "rec_id"),
        "withdraws",
        *("topic", "date", "partition"),
    ]


def test_a_full_disk_is_a_store_that_is_away_and_leaves_nothing(small_disk):
    """On a disk without room for the file the store is away, and neither a part of it nor a folder stays."""
    (small_disk.path / "other").write_bytes(b"x" * 64_000)
    archive = EventArchive(str(small_disk.path / "events"))
    scan = Scan("watch-events", 0, 0, 9, "2023-11-14", (), topic_id="a6adcc80-7be3-4a3e-beed-338d97ea6dd7")
    with pytest.raises(ArchiveAway, match="No space left on device"):
        archive.write(scan)
    assert [path.name for path in small_disk.path.iterdir()] == ["other"]
    small_disk.grow()
    file = archive.write(scan)
    assert (archive.topic_id([file]), archive.topic_id([])) == (scan.topic_id, None)
