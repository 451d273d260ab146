"""Whatever anybody sends: one event or one refusal each, in bounded time and memory, and nobody else's keys.

The invariants themselves are asserted by the targets of ``tests.hostile``, which the fuzzer drives too.
"""

import random
import time
import tracemalloc

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.records.decoding import RawRecord, decode_batch
from streams.records.records import Origin, Rating, Watch
from streams.records.times import LATEST_MS
from tests.hostile.choices import IDS, LITERALS
from tests.hostile.records import GOOD, KEYS, KINDS, check_decoding, decode
from tests.hostile.state_calls import StateTarget

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**65) | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
RECORDED = st.sampled_from([0, -1, 1, 1_700_000_000_000, LATEST_MS, 2**63 - 1])
EVERY_KEY = st.sampled_from(KEYS) | st.binary(max_size=8)
MEBIBYTE = 2**20


def dumped(value):
    """Return JSON as a careless producer writes it: with NaN, infinities and integers of any size."""
    if isinstance(value, dict):
        return b"{" + b",".join(dumped(str(key)) + b":" + dumped(one) for key, one in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(dumped, value)) + b"]"
    if isinstance(value, float | int) and not isinstance(value, bool):
        return repr(value).replace("nan", "NaN").replace("inf", "Infinity").encode()
    try:
        return orjson.dumps(value)
    except TypeError:  # half a surrogate pair, which has no UTF-8
        return b'"\\ud800"'


@pytest.mark.parametrize("kind", KINDS)
@given(key=EVERY_KEY, value=st.none() | st.binary(max_size=300), recorded=RECORDED)
def test_any_bytes_are_one_noun_or_one_refusal(kind, key, value, recorded):
    """Random keys and values on each topic never raise, and what is accepted keeps its contract."""
    check_decoding(kind, key, value, recorded)


@pytest.mark.parametrize("kind", KINDS)
@given(key=EVERY_KEY, value=JSON, recorded=RECORDED)
def test_any_json_is_one_noun_or_one_refusal(kind, key, value, recorded):
    """Any JSON, and what some producers take for it, never raises."""
    check_decoding(kind, key, dumped(value), recorded)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_change_of_a_good_record_is_one_noun_or_one_refusal(kind, data):
    """Fields dropped, doubled, retyped or filled with odd ids, and then bytes cut, put in or changed."""
    fields = [(dumped(name), dumped(value)) for name, value in GOOD[kind].items()]
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(fields) - 1))
        odd = data.draw(st.sampled_from(LITERALS) | JSON.map(dumped))
        change = data.draw(st.sampled_from(["put", "double", "drop"]))
        if change == "drop" and len(fields) > 1:
            del fields[place]
        else:
            fields[place : place + (change == "put")] = [(fields[place][0], odd)]
    value = b"{" + b",".join(name + b":" + one for name, one in fields) + b"}"
    at, cut = data.draw(st.integers(0, len(value))), data.draw(st.integers(0, 3))
    value = value[:at] + data.draw(st.binary(max_size=3)) + value[at + cut :]
    check_decoding(kind, data.draw(EVERY_KEY), value, data.draw(RECORDED))


@pytest.mark.parametrize("seed", range(4))
def test_the_fuzzers_inputs_are_stood(seed):
    """Three thousand seeded inputs of the fuzz target break no invariant."""
    rng = random.Random(seed)
    for _ in range(3000):
        decode(rng.randbytes(rng.randrange(1, 200)))


WATCH = orjson.dumps(GOOD["watch-events"])
BY_CAUSE = [
    ("a tombstone", None, "empty"),
    ("nothing", b"", "empty"),
    ("10 MB of x", b"x" * 10_000_000, "too_large"),
    ("10 MB that would be good", WATCH[:-1] + b',"pad":"' + b"x" * 10_000_000 + b'"}', "too_large"),
    ("10 MB of zeros", bytes(10_000_000), "too_large"),
    ("200,000 lists deep", b"[" * 200_000, "too_large"),
    ("60,000 lists deep", b"[" * 60_000, "not_json"),
    ("12,000 objects deep", b'{"a":' * 12_000, "not_json"),
    ("1,100 lists deep and closed again", b"[" * 1_100 + b"]" * 1_100, "not_json"),
    ("a field 1,000 deep", WATCH.replace(b"0.5", b"[" * 1_000 + b"]" * 1_000), "bad_field"),
    ("a byte order mark", b"\xef\xbb\xbf" + WATCH, "not_json"),
    ("UTF-16", WATCH.decode().encode("utf-16"), "not_json"),
    ("Latin-1", WATCH.replace(b'"u"', b'"\xe9"'), "not_json"),
    ("half a surrogate pair", WATCH.replace(b'"u"', b'"\\ud800"'), "not_json"),
    ("a NUL after it", WATCH + b"\x00", "not_json"),
    ("two records in one", WATCH + WATCH, "not_json"),
    ("lines of JSON", WATCH + b"\n" + WATCH, "not_json"),
    ("NaN", WATCH.replace(b"0.5", b"NaN"), "not_json"),
    ("1e400", WATCH.replace(b"0.5", b"1e400"), "not_json"),
    ("1e308", WATCH.replace(b"0.5", b"1e308"), "bad_field"),
    ("a number of 60,000 digits", WATCH.replace(b"0.5", b"9" * 60_000), "not_json"),
    ("a time beyond 64 bits", WATCH.replace(b"1700000000000", b"9223372036854775808"), "bad_field"),
    ("a time with a fraction", WATCH.replace(b"1700000000000", b"1700000000000.0"), "bad_field"),
    ("a time in text", WATCH.replace(b"1700000000000", b'"1700000000000"'), "bad_field"),
    ("an id with a NUL", WATCH.replace(b'"u"', b'"\\u0000"'), "bad_field"),
    ("an id with a line break", WATCH.replace(b'"u"', b'"u\\nx"'), "bad_field"),
    ("an id with a mark that turns text around", WATCH.replace(b'"u"', b'"\\u202eu"'), "bad_field"),
    ("an id of 60,000 letters", WATCH.replace(b'"u"', b'"' + b"u" * 60_000 + b'"'), "bad_field"),
    ("an id that is a list", WATCH.replace(b'"u"', b'["u"]'), "bad_field"),
    ("null for a user", WATCH.replace(b'"u"', b"null"), "missing_field"),
    ("5,000 fields of no meaning", b"{" + b",".join(b'"%d":0' % n for n in range(5_000)) + b"}", "missing_field"),
    ("a list of records", b"[" + WATCH + b"]", "not_an_object"),
    ("a key of another user", WATCH.replace(b'"u"', b'"v"'), "wrong_key"),
    ("Avro in a registry's frame", b"\x00\x00\x00\x00\x07\x02e\x02u\x02i", "not_json"),
    ("60,000 lists deep in a frame", b"\x00\x00\x00\x00\x07" + b"[" * 60_000, "not_json"),
    ("a change of Debezium", b'{"before":null,"after":' + WATCH + b',"op":"c"}', "missing_field"),
    ("an id with space before it", WATCH.replace(b'"u"', b'" u"'), "bad_field"),
    ("a time in seconds", WATCH.replace(b"1700000000000", b"1700000000"), "wrong_unit"),
    ("a time in microseconds", WATCH.replace(b"1700000000000", b"1700000000000000"), "wrong_unit"),
    ("a day written out", WATCH.replace(b"1700000000000", b"20231114"), "wrong_unit"),
]


@pytest.mark.parametrize(("value", "cause"), [pytest.param(value, cause, id=name) for name, value, cause in BY_CAUSE])
def test_known_nuisances_are_told_by_cause_at_once_and_without_memory(value, cause):
    """Each is one dead letter of its cause, decoded within a tenth of a second and 2 MiB more than its own bytes."""
    record = RawRecord(Origin("watch-events", 0, 1), b"u", value)
    tracemalloc.start()
    try:
        began = time.process_time()
        decoded = decode_batch([record])
        took = time.process_time() - began
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    [rejected] = decoded.rejected
    assert (decoded.events, rejected.cause) == ((), cause)
    assert rejected.record is record
    assert len(rejected.detail) <= 400
    assert peak < 2 * MEBIBYTE
    assert took < 0.1


def test_of_doubled_fields_the_last_counts():
    """JSON leaves it open; here the last one is taken, by every reader alike, as its parser does."""
    value = WATCH.replace(b'"item_id":"i"', b'"item_id":"first","item_id":"last"')
    [(_, event)] = decode_batch([RawRecord(Origin("watch-events", 0, 1), b"u", value)]).events
    assert event.item_id == "last"


def test_a_share_of_minus_zero_is_zero():
    """IEEE's other zero passes as what it is equal to, and weighs nothing."""
    value = WATCH.replace(b"0.5", b"-0.0")
    [(_, event)] = decode_batch([RawRecord(Origin("watch-events", 0, 1), b"u", value)]).events
    assert event.progress == event.interaction().weight == 0


def test_a_flood_of_bad_records_is_set_aside_one_by_one():
    """Of ten thousand records every other one is good: 5,000 events and 5,000 refusals, all in their order."""
    bad = [b"", b"\xff", b"[]", WATCH[:-1], WATCH.replace(b"0.5", b"2")]
    records = [RawRecord(Origin("watch-events", 0, n), b"u", WATCH if n % 2 else bad[n % 5]) for n in range(10_000)]
    decoded = decode_batch(records)
    assert [origin.offset for origin, _ in decoded.events] == list(range(1, 10_000, 2))
    assert [one.record.origin.offset for one in decoded.rejected] == list(range(0, 10_000, 2))


# the state ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def target(redis_url):
    """Return the fuzz target of the Redis functions, on a database of its own with bystanders in it."""
    made = StateTarget(redis_url)
    yield made
    made.close()


ODD = st.sampled_from(IDS) | st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=64).filter(
    str.isprintable
)
USER = ODD.filter(lambda user_id: user_id not in {"u}", "items", "bystander"})


@st.composite
def events_of(draw):
    """Draw up to twelve events of up to three users with any ids the codec takes, and genres of any name."""
    users = draw(st.lists(USER, min_size=1, max_size=3, unique=True))
    offsets, events = {}, []
    for _ in range(draw(st.integers(1, 12))):
        fields = (draw(ODD), draw(st.sampled_from(users)), draw(ODD), draw(st.integers(0, LATEST_MS)))
        if draw(st.booleans()):
            event, topic = Rating(*fields, draw(st.floats(0.5, 5))), "rate-events"
        else:
            event, topic = Watch(*fields, draw(st.floats(0, 1))), "watch-events"
        partition = draw(st.integers(0, 2))
        offset = offsets[topic, partition] = offsets.get((topic, partition), -1) + draw(st.integers(1, 2**33))
        genres = tuple(draw(st.lists(ODD, max_size=3, unique=True)))
        events.append((Origin(topic, partition, offset), event, genres))
    return events


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=events_of())
def test_no_id_reaches_keys_of_others_and_every_number_comes_back(target, events):
    """A batch touches keys of its users and partitions only, is read back equal, and redelivered changes nothing."""
    target.check(events)


def test_the_fuzzers_batches_and_calls_are_stood(target):
    """Two hundred seeded inputs of the fuzz target: hostile batches, then their calls with wrong words in them."""
    rng = random.Random(4)
    for _ in range(200):
        target(rng.randbytes(rng.randrange(1, 300)))
