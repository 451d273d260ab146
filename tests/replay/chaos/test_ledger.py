import pytest

from replay.chaos.expected import Record, RecordAddress
from replay.chaos.ledger import Attempt, Ledger, fingerprint

TS = 1_700_000_000_000


def address(offset, partition=0):
    """Return an address on the first event topic."""
    return RecordAddress("watch-events", partition, offset)


def promised(*offsets, value=b"x"):
    """Return addresses as a producer learns them."""
    return {address(offset): fingerprint(value) for offset in offsets}


def read(*offsets, value=b"x"):
    """Return the records that are read back."""
    return [Record(address(offset), TS, value) for offset in offsets]


def test_what_was_acknowledged_must_be_read_back():
    """A record that is gone, and one with other bytes, are lost; one that nobody acknowledged is not missed."""
    ledger = Ledger()
    ledger.stands(promised(0, 1, 2))
    records = [*read(0), *read(1, value=b"y"), *read(3)]
    lost = []
    assert list(ledger.check(records, lost)) == records
    assert lost == [address(1), address(2)]


def test_an_aborted_record_was_never_promised():
    """Of four attempts only the records of the committed one are missed where none can be read."""
    ledger = Ledger()
    for n, end in enumerate(("committed", "aborted", "hung", "uncertain")):
        ledger.ended(Attempt(n, end, promised(2 * n, 2 * n + 1)))
    lost = []
    assert list(ledger.check([], lost)) == []
    assert lost == [address(0), address(1)]
    assert ledger.counts() == {"committed": 1, "aborted": 1, "hung": 1, "uncertain": 1}


@pytest.mark.parametrize(
    ("end", "found", "different"),
    [
        ("committed", (0, 1), 0),
        ("committed", (0,), 1),
        ("committed", (), 1),
        ("aborted", (), 0),
        ("aborted", (1,), 1),
        ("aborted", (0, 1), 1),
        ("hung", (), 0),
        ("hung", (0, 1), 1),
        ("uncertain", (), 0),
        ("uncertain", (0, 1), 0),
        ("uncertain", (0,), 1),
    ],
)
def test_a_transaction_is_whole_or_gone_by_its_end(end, found, different):
    """Two records of one transaction: both after a commit, none after an abort, both or none where nobody knows."""
    ledger = Ledger()
    ledger.ended(Attempt(7, end, promised(0, 1)))
    list(ledger.check(read(*found), []))
    rows = [row for row in ledger.rows() if row.compared]
    assert [(row.compared, row.different, row.is_info) for row in rows] == [(1, different, False)]
    if different:
        assert rows[0].examples == (f"transaction 7: {len(found)} of 2 records can be read",)


def test_the_films_of_what_did_not_come_to_be_are_ghosts():
    """The film of an aborted or hung attempt is one; that of an attempt whose records are there is none."""
    ledger = Ledger()
    ledger.ended(Attempt(0, "aborted", promised(0), "ghost-0"))
    ledger.ended(Attempt(1, "hung", promised(1), "ghost-1"))
    ledger.ended(Attempt(2, "uncertain", promised(2), "ghost-2"))
    ledger.ended(Attempt(3, "committed", promised(3), "ghost-3"))
    ledger.ended(Attempt(4, "aborted", {}))
    list(ledger.check(read(2, 3), []))
    assert ledger.ghosts() == {"ghost-0", "ghost-1"}


def test_applied_are_the_records_and_not_the_offsets():
    """Of offsets 0, 1, 4 and 9, noted out of order, three are at or before 8; another partition has its own."""
    ledger = Ledger()
    for offset in (0, 4, 9, 1):
        ledger.stands(promised(offset))
    ledger.ended(Attempt(0, "aborted", promised(2, 3)))
    ledger.ended(Attempt(1, "committed", {address(5, partition=1): 1}))
    assert ledger.count_applied({}) == 0
    assert ledger.count_applied({("watch-events", 0): 8}) == 3
    assert ledger.count_applied({("watch-events", 0): 9, ("watch-events", 1): 4, ("rate-events", 0): 3}) == 4
    assert ledger.count_applied({("watch-events", 0): 9, ("watch-events", 1): 5}) == 5
