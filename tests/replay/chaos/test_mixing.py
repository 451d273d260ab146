import json
from collections import Counter

import pytest

from replay.chaos.expected import judge
from replay.chaos.mixing import CATALOG, CLIENTS, CODECS, Mix, PlainRecords, Transaction, count_events, ghost_film, mix
from replay.chaos.people.asking import DATA_REQUESTS
from replay.chaos.stream import RATES, REQUESTS, WATCHES, StreamConfig, stream

END = 1_700_000_000_000
CONFIG = Mix(20_000, 0.3, seed=3, now_ms=END)


@pytest.fixture(scope="module")
def made():
    """Return the records of a stream of 20,000 events."""
    return list(stream(StreamConfig(20_000, seed=3, ends_ms=END)))


@pytest.fixture(scope="module")
def parcels(made):
    """Return that stream in parcels."""
    return list(mix(made, CONFIG))


def transactions(parcels, end):
    """Return the transactions that end in this way."""
    return [parcel for parcel in parcels if isinstance(parcel, Transaction) and parcel.end == end]


def test_equal_streams_give_equal_parcels(made, parcels):
    """The parcels follow from stream and seed, and another seed gives others."""
    assert list(mix(made, CONFIG)) == parcels
    assert list(mix(made, Mix(20_000, 0.3, seed=4, now_ms=END))) != parcels


def test_every_record_is_sent_for_good_once(made, parcels):
    """Runs and commits together hold the stream, each record as often as it is in it, and films beside them."""
    kept = Counter()
    for parcel in parcels:
        if isinstance(parcel, PlainRecords) or parcel.end == "commit":
            kept.update(record for record in parcel.records if record.topic != CATALOG)
    assert kept == Counter(made)


def test_about_the_share_goes_through_transactions(made, parcels):
    """Three records in ten are committed in transactions of many sizes, one of a single record among them."""
    sizes = [len(transaction.records) for transaction in transactions(parcels, "commit")]
    assert 0.2 < sum(sizes) / len(made) < 0.4
    assert min(sizes) <= 2
    assert max(sizes) > 100


def test_what_is_aborted_comes_again_in_a_later_commit(parcels):
    """The records of each aborted transaction are in the next one that commits."""
    for at, parcel in enumerate(parcels):
        if isinstance(parcel, Transaction) and parcel.end == "abort":
            later = next(one for one in parcels[at:] if isinstance(one, Transaction) and one.end == "commit")
            assert set(parcel.records) <= set(later.records)


def test_each_client_sends_each_codec(parcels):
    """Runs go through all codecs, and transactions through all pairs of client and codec, commits and aborts."""
    assert {parcel.codec for parcel in parcels if isinstance(parcel, PlainRecords)} == set(CODECS)
    pairs = {(client, codec) for client in CLIENTS for codec in CODECS}
    assert {(one.client, one.codec) for one in transactions(parcels, "commit")} == pairs
    assert len({(one.client, one.codec) for one in transactions(parcels, "abort")}) > 5


def test_a_transaction_is_over_several_topics_and_partitions(parcels):
    """Some commits hold records of both event topics, of requests and of the catalogue."""
    topics = [{record.topic for record in one.records} for one in transactions(parcels, "commit")]
    assert any({WATCHES, RATES, REQUESTS} <= held for held in topics)
    assert any(CATALOG in held for held in topics)


def test_ghosts_are_good_records_that_nobody_else_sends(made, parcels):
    """What is not committed carries a film of its own, with events, a request and a forgetting that would count."""
    lost = [*transactions(parcels, "abort"), *transactions(parcels, "hang")]
    assert len(lost) > 10
    assert not [one for one in transactions(parcels, "commit") if one.ghosts]
    for one in lost:
        film = ghost_film(one.number)
        assert [ghost.topic for ghost in one.ghosts][:: len(one.ghosts) - 1] == [CATALOG, REQUESTS]
        assert one.ghosts[0].key.decode() == json.loads(one.ghosts[0].value)["item_id"] == film
        events, gone = one.ghosts[1:-2], one.ghosts[-2]
        assert (gone.topic, json.loads(gone.value)["action"]) == (DATA_REQUESTS, "forget")
        assert count_events(events) == len(events) > 0
        assert all(judge(ghost.topic, ghost.value, END)[0] is None for ghost in one.ghosts[1:])
        assert {json.loads(event.value)["item_id"] for event in events} == {film}
        assert {event.key for event in events} <= {record.key for record in made}


@pytest.mark.parametrize(("events", "hangs"), [(100, 1), (20_000, 1), (300_000, 3)])
def test_some_transactions_hang(events, hangs):
    """At least one transaction hangs, and one for each 100,000 events; without transactions none does."""
    assert Mix(events, 0.3, seed=1, now_ms=END).hangs == hangs
    assert Mix(events, 0.0, seed=1, now_ms=END).hangs == 0


def test_a_hung_transaction_is_there(parcels):
    """The one of 20,000 events comes at about a quarter of them, and holds nothing but ghosts."""
    (hung,) = transactions(parcels, "hang")
    assert hung.records == ()
    before = sum(
        count_events(one.records)
        for one in parcels[: parcels.index(hung)]
        if isinstance(one, PlainRecords) or one.end == "commit"
    )
    assert 4000 < before < 6000  # a half of 20,000 / 2


def test_without_a_share_there_are_only_runs(made):
    """A share of 0 sends the stream as it is, in its order."""
    parcels = list(mix(made, Mix(20_000, 0.0, seed=3, now_ms=END)))
    assert all(isinstance(parcel, PlainRecords) for parcel in parcels)
    assert [record for parcel in parcels for record in parcel.records] == made


def test_a_share_of_everything_is_refused():
    """Runs must remain, and the message names what is required."""
    with pytest.raises(ValueError, match=r"at least 0 and below 1, got 1\.0"):
        Mix(100, 1.0, seed=1, now_ms=END)
