"""An archive as a log to train on, and what its files cover."""

import pytest

from model.catalogue import Catalogue, Item
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from replay.audit import PartitionCoverage, cover, examine
from replay.datasets.archive import read_archive
from streams.archive.parquet import EventArchive, Scan, to_rows
from streams.errors import DataError
from streams.records.data_requests import Forgetting, Forgotten
from streams.records.records import Action, Origin, Rating, Watch, Withdrawal

DAY = "2023-11-14"


@pytest.fixture
def archive(tmp_path):
    """Return an empty archive in a folder."""
    return EventArchive(str(tmp_path))


def write(archive, topic, partition, first, events, date=DAY):
    """Archive events at consecutive offsets."""
    rows = to_rows([(Origin(topic, partition, first + at, 1), event) for at, event in enumerate(events)])
    return archive.write(Scan(topic, partition, first, first + len(events) - 1, date, [rows]))


def test_watches_and_ratings_weigh_as_in_the_state(archive):
    """A watch weighs its progress and a rating a fifth of its stars, just as ``interaction`` says; order is by time."""
    watch, rating = Watch("a", "u", "i", 7, 0.3), Rating("b", "v", "j", 5, 3.5)
    write(archive, "x-watch-events", 0, 0, [watch])
    write(archive, "x-rate-events", 0, 0, [rating])
    log = read_archive(archive.url, [], "x-")
    rows = log.interactions[["user_id", "item_id", "ts", "kind", "weight"]].itertuples(index=False, name=None)
    expected = [(fact.user_id, fact.interaction()) for fact in (rating, watch)]
    assert list(rows) == [(user, one.item_id, one.ts, one.kind, one.weight) for user, one in expected]
    assert log.interactions["rating"].tolist() == [3.5, 1.5]  # 5 * 0.3 stars
    assert (log.origin.format, log.origin.file, len(log.origin.sha256)) == ("archive", archive.url, 64)


def test_a_watch_is_judged_by_its_progress_and_a_rating_by_those_before_it(archive):
    """Two stars are few for anybody's first rating; a watch of 5 % says no, and counts as no rating."""
    write(archive, "rate-events", 0, 0, [Rating("a", "u", "i", 5, 2.0), Rating("b", "u", "j", 7, 3.0)])
    write(archive, "watch-events", 0, 0, [Watch("c", "u", "k", 6, 0.05), Watch("d", "u", "l", 8, 0.5)])
    assert read_archive(archive.url, []).positive().tolist() == [False, False, True, True]


def test_what_was_taken_back_is_left_out(archive):
    """In files before and after, of that user and topic alone."""
    write(archive, "watch-events", 0, 0, [Watch("a", "u", "i", 5, 1.0), Withdrawal("w", "u", 6, "b")])
    write(archive, "watch-events", 0, 2, [Withdrawal("v", "u", 6, "a"), Watch("b", "u", "j", 7, 1.0)])
    write(archive, "watch-events", 1, 0, [Watch("a", "x", "k", 8, 1.0)])
    write(archive, "rate-events", 0, 0, [Rating("a", "u", "l", 9, 4.0)])
    assert read_archive(archive.url, []).interactions["item_id"].tolist() == ["k", "l"]


def test_a_renamed_item_is_one_item(archive):
    """Events by the ids of before and of now are of the item under its first id, which is in the catalogue once."""
    watches = [Watch(f"e{n}", f"u{n}", item, n, 1.0) for n, item in enumerate(("old", "between", "new", "other"))]
    write(archive, "watch-events", 0, 0, watches)
    known = Catalogue.of([Item("new", "Film", was=("between", "old")), Item("old", "Before")]).under_first_ids()
    log = read_archive(archive.url, known, renames=known.renames)
    assert log.interactions["item_id"].tolist() == ["old", "old", "old", "other"]
    assert {item.item_id: item.title for item in log.catalogue} == {"old": "Film", "other": "other"}


def test_actions_weigh_as_their_kinds_say(archive):
    """A like and a skip of one moment come after a rating; hiding and a kind without a row are left out."""
    own = (
        EventKind("like", 0.8, is_positive=True),
        EventKind("skip", 0.1, is_positive=False),
        EventKind("rate", 0.5, is_positive=True),
    )
    kinds = KindTable.of((*own, *(row for row in DEFAULT_KINDS.rows if row.name != "rate")))
    told = [Action(f"e{n}", "u", f"i{n}", 5, kind) for n, kind in enumerate(("like", "hide", "skip", "view", "unhide"))]
    write(archive, "action-events", 0, 0, told)
    write(archive, "rate-events", 0, 0, [Rating("r", "u", "j", 5, 4.0)])
    write(archive, "watch-events", 0, 0, [Watch("w", "u", "k", 5, 0.05), Watch("x", "u", "l", 5, 0.1)])
    log = read_archive(archive.url, [], kinds=kinds)
    columns = ["item_id", "kind", "weight", "is_positive"]
    assert list(log.interactions[columns].itertuples(index=False, name=None)) == [
        ("k", "watch", 0.05, False),
        ("l", "watch", 0.1, True),
        ("j", "rate", 0.4, True),
        ("i0", "like", 0.8, True),
        ("i2", "skip", 0.1, False),
    ]


def test_equal_times_are_ordered_as_in_the_state(archive):
    """Of one moment a watch comes before a rating, and of one kind the lower partition and offset."""
    write(archive, "rate-events", 0, 0, [Rating(f"r{n}", "u", f"r{n}", 1, 1.0) for n in range(2)])
    write(archive, "watch-events", 1, 0, [Watch("w2", "v", "w2", 1, 1.0)])
    write(archive, "watch-events", 0, 5, [Watch(f"w{n}", "u", f"w{n}", 1, 1.0) for n in range(2)])
    assert read_archive(archive.url, []).interactions["item_id"].tolist() == ["w0", "w1", "w2", "r0", "r1"]


def test_an_overlap_is_read_once(archive):
    """Events that two files hold are in the log once."""
    events = [Watch(f"e{n}", "u", f"i{n}", n, 1.0) for n in range(10)]
    write(archive, "watch-events", 0, 0, events[:6])
    write(archive, "watch-events", 0, 3, events[3:])
    assert read_archive(archive.url, []).interactions["ts"].tolist() == list(range(10))


def test_the_catalogue_is_the_given_one_and_what_events_name(archive):
    """Described items keep title and genres, also where nobody touched them; another gets its id as title."""
    write(archive, "watch-events", 0, 0, [Watch("a", "u", "i", 1, 1.0), Watch("b", "u", "new", 2, 1.0)])
    described = [Item("i", "Heat", 1995, ("Crime",)), Item("idle", "Idle")]
    log = read_archive(archive.url, described)
    assert tuple(log.catalogue) == (*described, Item("new", "new"))


def test_nothing_of_this_installation_is_an_error(archive):
    """An archive that holds only another prefix's events names the topics that were looked for."""
    write(archive, "other-watch-events", 0, 0, [Watch("a", "u", "i", 1, 1.0)])
    with pytest.raises(DataError, match="must hold events of x-watch-events, x-rate-events, x-action-events, got none"):
        read_archive(archive.url, [], "x-")


def test_coverage_tells_gaps_and_overlaps(archive):
    """Ranges 0-4, 3-9, 5-6 and 12-13 leave 10-11 out and have 3-4 and 5-6 twice; next is 14."""
    for first, last, date in ((0, 4, DAY), (3, 9, DAY), (5, 6, DAY), (12, 13, "2023-11-15")):
        write(archive, "w", 1, first, [Watch(f"e{n}", "u", "i", 1, 1.0) for n in range(first, last + 1)], date)
    assert cover(archive, {"w"}) == (
        PartitionCoverage("w", 1, 4, 0, 14, ((10, 11),), ((3, 4), (5, 6)), (DAY, "2023-11-15")),
    )
    counts = [counts["events"] for _, counts in examine(archive, {"w"})]
    assert counts == [5, 5, 0, 2]  # each offset where it was scanned first: 0-4, 5-9, none, 12-13


def test_a_torn_file_is_one_finding_of_many(archive):
    """Examining goes on after a torn file, which comes with its error in place of counts."""
    files = [write(archive, "w", at, 0, [Watch("a", "u", "i", 1, 1.0)]) for at in range(3)]
    with open(files[1].path, "ab") as torn:  # noqa: PTH123 - the archive's path is a string
        torn.write(b"more")
    found = [counts if isinstance(counts, dict) else type(counts) for _, counts in examine(archive, {"w"})]
    whole = {"events": 1, "rejected": 0, "duplicates": 0}
    assert found == [whole, DataError, whole]


def test_a_guests_events_are_the_accounts(archive):
    """They stand in the account's history by time, and a guest's rating is judged by the guest's own before it."""
    mine = [Rating(f"a{n}", "ann", f"a{n}", 10 + n, 1.0) for n in range(5)]
    guests = [Rating(f"g{n}", "guest", f"g{n}", n, 5.0) for n in (1, 2, 3, 4, 6)]
    write(archive, "rate-events", 0, 0, [*mine, Rating("b", "ann", "last", 20, 4.0)])
    write(archive, "rate-events", 1, 0, [*guests, Rating("h", "guest", "late", 19, 4.0)])
    log = read_archive(archive.url, [], accounts={"guest": "ann", "nobody": "ben"})
    assert set(log.interactions["user_id"]) == {"ann"}
    assert log.interactions["item_id"].tolist()[-3:] == ["a4", "late", "last"]
    assert log.positive().tolist()[-2:] == [False, True]  # 4 stars: below a mean of 5, above one of 1


def test_rows_before_a_forgetting_are_left_out(archive):
    """Of that user and partition alone; what comes after it, under an id that was taken back before, counts."""
    before = [Watch("a", "ann", "old", 1, 1.0), Watch("a", "ben", "his", 1, 1.0), Withdrawal("w", "ann", 2, "b")]
    write(archive, "x-watch-events", 0, 0, [*before, Watch("b", "ann", "again", 3, 1.0)])
    write(archive, "x-watch-events", 1, 0, [Watch("c", "ann", "other", 4, 1.0)])
    write(archive, "x-rate-events", 0, 0, [Rating("r", "ann", "rated", 5, 4.0)])
    forgotten = Forgotten()
    first = Forgetting("one", 7, 0, {"watch-events": (1, 0), "rate-events": (1, 1)})
    forgotten.put("ann", [first, Forgetting("two", 8, 0, {"watch-events": (3, 0), "rate-events": (0, 0)})])
    log = read_archive(archive.url, [], "x-", forgotten=forgotten)
    assert log.interactions["item_id"].tolist() == ["his", "again", "other"]
