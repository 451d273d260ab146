"""The codec: each field's limits and one past them, and bytes that nobody meant to send."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.catalogue import Item
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from model.wishes.wishes import GenreWishes, Wishes
from streams.errors import RecordError
from streams.kafka import topics
from streams.records import codec
from streams.records.codec import (
    CAUSES,
    DECODERS,
    MAX_BYTES,
    MAX_K,
    BadRecord,
    BadRequest,
    check_key,
    decode_action,
    decode_item,
    decode_rating,
    decode_request,
    decode_watch,
    encode,
)
from streams.records.records import Action, Rating, Request, Watch, Withdrawal
from streams.records.times import LATEST_MS
from streams.records.wrapping import open_json

WATCH = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "ts": 1_700_000_000_000, "progress": 0.5}
RATING = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "ts": 1_700_000_000_000, "rating": 4.5}
ACTION = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "ts": 1_700_000_000_000, "kind": "hide"}
ITEM = {"item_id": "i1", "title": "Heat"}
REQUEST = {"request_id": "r1", "user_id": "u1"}


def decode_catalogue_value(value):
    """Read a catalogue value that came without a key."""
    return decode_item(None, value)


READERS = [
    pytest.param(decode_watch, WATCH, id="watch"),
    pytest.param(decode_rating, RATING, id="rating"),
    pytest.param(decode_action, ACTION, id="action"),
    pytest.param(decode_catalogue_value, ITEM, id="item"),
    pytest.param(decode_request, REQUEST, id="request"),
]
IDS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=64).filter(str.isprintable)
TIMES = st.integers(0, LATEST_MS)


def refused(decode, fields):
    """Return the BadRecord that decoding these fields raises."""
    with pytest.raises(BadRecord) as caught:
        decode(orjson.dumps(fields))
    return caught.value


def cause_of(decode, value):
    """Return why bytes are refused, or None where they are a record."""
    try:
        decode(value)
    except BadRecord as error:
        return error.cause
    return None


@given(st.builds(Watch, IDS, IDS, IDS, TIMES, st.floats(0, 1), st.none() | IDS))
def test_a_watch_survives_the_round_trip(watch):
    """Whatever a producer may send comes back equal from its own bytes."""
    assert decode_watch(encode(watch)) == watch


@given(st.builds(Rating, IDS, IDS, IDS, TIMES, st.floats(0.5, 5), st.none() | IDS))
def test_a_rating_survives_the_round_trip(rating):
    """Whatever a producer may send comes back equal from its own bytes."""
    assert decode_rating(encode(rating)) == rating


@given(st.builds(Item, IDS, IDS, st.none() | st.integers(1800, 2200), st.lists(IDS, max_size=32).map(tuple)))
def test_an_item_survives_the_round_trip(item):
    """Whatever a catalogue owner may send comes back equal from its own bytes."""
    assert decode_item(item.item_id.encode(), encode(item)) == item


@given(
    st.builds(
        Request, IDS, IDS, st.integers(1, MAX_K), st.none() | IDS, st.booleans(), st.lists(IDS, max_size=20).map(tuple)
    )
)
def test_a_request_survives_the_round_trip(request):
    """Whatever an app may ask comes back equal from its own bytes."""
    assert decode_request(encode(request)) == request


@pytest.mark.parametrize(("decode", "fields"), READERS)
@given(value=st.binary(max_size=300))
def test_no_bytes_crash_a_decoder(decode, fields, value):
    """Random bytes give a record or a BadRecord of a known cause, never another error."""
    assert fields
    assert cause_of(decode, value) in {*CAUSES, None}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(("decode", "fields"), READERS)
@given(data=st.data())
def test_no_json_crashes_a_decoder(decode, fields, data):
    """Any JSON value in the place of any field gives a record or a BadRecord, never another error."""
    name = data.draw(st.sampled_from([*fields, "rec_id", "year", "genres", "k", "genre", "strict", "exclude"]))
    value = data.draw(JSON)
    unlisted = {"unknown_kind"} if name == "kind" and isinstance(value, str) else set()
    assert cause_of(decode, orjson.dumps(fields | {name: value})) in {"missing_field", "bad_field", None} | unlisted


@pytest.mark.parametrize(("decode", "fields"), READERS)
def test_unknown_fields_are_ignored(decode, fields):
    """Fields that the contract does not name change nothing."""
    assert decode(orjson.dumps(fields | {"campaign": {"deep": [1]}})) == decode(orjson.dumps(fields))


@pytest.mark.parametrize(("decode", "fields"), READERS)
def test_each_required_field_is_required(decode, fields):
    """Leaving out a field, or sending null for it, is a missing_field that names it."""
    for name in fields:
        for broken in ({key: value for key, value in fields.items() if key != name}, fields | {name: None}):
            error = refused(decode, broken)
            assert (error.cause, error.detail.split()[0]) == ("missing_field", name)


@pytest.mark.parametrize(("decode", "fields"), READERS)
def test_ids_hold_1_to_64_printable_characters(decode, fields):
    """1 and 64 characters pass; 0, 65, control characters, space around them and other types are refused."""
    for name in (name for name in fields if name.endswith("_id")):
        for good in ("x", "x" * 64, "ü" * 64, "{a}%", "a  b"):
            assert getattr(decode(orjson.dumps(fields | {name: good})), name) == good
        for bad in ("", "x" * 65, "a\nb", "a\x00", "\u200b", " 7", "7 ", " ", 1.0, True, [], {}):
            assert refused(decode, fields | {name: bad}).cause == "bad_field"


@pytest.mark.parametrize(("decode", "fields"), READERS)
def test_whole_numbers_are_taken_as_ids(decode, fields):
    """An integer id becomes its decimal text, zero and negative ones included."""
    for number in (0, 7, -3, 2**63 - 1):
        assert decode(orjson.dumps(fields | {"item_id": number, "user_id": number})) == decode(
            orjson.dumps(fields | {"item_id": str(number), "user_id": str(number)})
        )


@pytest.mark.parametrize(("decode", "fields"), READERS[:2])
def test_event_times_are_whole_numbers_of_64_bits(decode, fields):
    """Both ends of 64 bits pass as they are, the inbox bounds them; one past either, floats and text are refused."""
    for good in (0, -1, LATEST_MS + 1, -(2**63), 2**63 - 1):
        assert decode(orjson.dumps(fields | {"ts": good})).ts == good
    for bad in (2**63, 1.5, 1.7e12, 1e308, "1700000000000", True, [1], {}):
        assert refused(decode, fields | {"ts": bad}).cause == "bad_field"
    for literal in (b"-9223372036854775809", b"18446744073709551616", b"1" + b"0" * 400, b"1e400"):
        assert cause_of(decode, orjson.dumps(fields).replace(b"1700000000000", literal)) in {"bad_field", "not_json"}


@pytest.mark.parametrize(
    ("decode", "fields", "name", "least", "most"),
    [(decode_watch, WATCH, "progress", 0.0, 1.0), (decode_rating, RATING, "rating", 0.5, 5.0)],
)
def test_figures_keep_to_their_range(decode, fields, name, least, most):
    """Both ends pass and come back as floats; a hundredth past either, booleans and text are refused."""
    for good in (least, most, 1):
        found = getattr(decode(orjson.dumps(fields | {name: good})), name)
        assert (found, type(found)) == (good, float)
    for bad in (least - 0.01, most + 0.01, 1e308, True, "1", [1]):
        error = refused(decode, fields | {name: bad})
        assert error.cause == "bad_field"
        assert f"{name} must be a number from {least} to {most}" in error.detail


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_figures_are_finite(literal):
    """NaN and infinities, which some producers write, are refused."""
    value = orjson.dumps(WATCH).replace(b"0.5", literal)
    with pytest.raises(BadRecord):
        decode_watch(value)


@pytest.mark.parametrize(("decode", "fields"), READERS[:2])
def test_a_rec_id_is_optional(decode, fields):
    """Absent and null are None, text is kept, and an empty one is refused."""
    assert decode(orjson.dumps(fields)).rec_id is None
    assert decode(orjson.dumps(fields | {"rec_id": None})).rec_id is None
    assert decode(orjson.dumps(fields | {"rec_id": "r9"})).rec_id == "r9"
    assert refused(decode, fields | {"rec_id": ""}).cause == "bad_field"


def test_titles_hold_1_to_512_characters():
    """1 and 512 characters pass; 0, 513 and a line break are refused."""
    for good in ("x", "x" * 512):
        assert decode_catalogue_value(orjson.dumps(ITEM | {"title": good})).title == good
    for bad in ("", "x" * 513, "a\nb", 7):
        assert refused(decode_catalogue_value, ITEM | {"title": bad}).cause == "bad_field"


def test_years_lie_between_1800_and_2200():
    """Both ends and null pass; one past either end and text are refused."""
    for good in (1800, 2200, None):
        assert decode_catalogue_value(orjson.dumps(ITEM | {"year": good})).year == good
    for bad in (1799, 2201, "1995", 1995.0):
        assert refused(decode_catalogue_value, ITEM | {"year": bad}).cause == "bad_field"


def test_items_have_at_most_32_genres():
    """32 names pass in their order; 33, a name that is no text, and no list are refused."""
    names = [f"g{n}" for n in range(32)]
    assert decode_catalogue_value(orjson.dumps(ITEM | {"genres": names})).genres == tuple(names)
    for bad in ([*names, "g32"], ["x" * 65], [""], [1], "Drama", {"Drama": 1}):
        assert refused(decode_catalogue_value, ITEM | {"genres": bad}).cause == "bad_field"


@pytest.mark.parametrize("value", [None, b""])
def test_an_empty_catalogue_value_removes_the_key(value):
    """The removed id is the record's key, in any of its forms; a removal without a usable key is refused."""
    for key in (b"i1", b'"i1"', b'{"item_id":"i1"}', b"\x00\x00\x00\x00\x07i1"):
        assert decode_item(key, value) == "i1"
    assert decode_item((42).to_bytes(8, "big"), value) == "42"
    bad = (b"", b"\xff", b"x" * 65, b" i1", b'" i1"', b'{"user_id":"i1"}', b"\x00\x00\x00\x00\x07\x06i12")
    for key, cause in ((None, "missing_field"), *((key, "bad_field") for key in bad)):
        with pytest.raises(BadRecord) as caught:
            decode_item(key, value)
        assert caught.value.cause == cause


def test_an_item_lies_under_its_own_id():
    """A key that is the item's id in a known form, or none, passes; any other key is wrong, an empty one too."""
    for key in (b"i1", None, b'"i1"', b'{"item_id":"i1"}', b"\x00\x00\x00\x00\x07i1"):
        assert decode_item(key, orjson.dumps(ITEM)) == Item("i1", "Heat")
    for key in (b"i2", b"", b"I1", b"i1 ", b"\xff", b'"i2"', b'{"user_id":"i1"}', b"\xef\xbb\xbfi1"):
        with pytest.raises(BadRecord, match="key must be the item_id 'i1'") as caught:
            decode_item(key, orjson.dumps(ITEM))
        assert caught.value.cause == "wrong_key"


def test_a_key_is_compared_as_utf_8():
    """A user id beyond ASCII has its UTF-8 bytes as a key, not its Latin-1 bytes; a huge key is quoted in short."""
    check_key("zoë".encode(), "user_id", "zoë")
    check_key(None, "user_id", "zoë")
    for key in ("zoë".encode("latin-1"), b"\x00" * 10_000_000):
        with pytest.raises(BadRecord) as caught:
            check_key(key, "user_id", "zoë")
        assert caught.value.cause == "wrong_key"
        assert len(caught.value.detail) < 300


SCHEMA = {"type": "struct", "fields": [{"type": "string", "field": "event_id"}], "optional": False}


@pytest.mark.parametrize(("decode", "fields"), READERS)
def test_a_registrys_frame_and_connects_envelope_are_taken_off(decode, fields):
    """Behind a zero and four bytes, beside a schema or beside null, and in both at once, it is the same record."""
    plain = orjson.dumps(fields)
    envelopes = [orjson.dumps({"schema": schema, "payload": fields}) for schema in (SCHEMA, None)]
    for value in (plain, *envelopes):
        for frame in (b"", b"\x00\x00\x00\x00\x01", b"\x00\x7f\xff\xff\xff"):
            assert decode(frame + value) == decode(plain)


def test_wrapped_json_is_opened_for_people():
    """Frame and envelope are taken off any JSON value, and what holds none raises as the parser does."""
    assert open_json(b"\x00\x00\x00\x00\x07[1]") == open_json(b'{"schema":null,"payload":[1]}') == [1]
    assert open_json(b'{"payload":1}') == {"payload": 1}
    for value in (b"", b"\x00\x00\x00\x00\x07", b"\x00\x00\x00\x00\x07{", b"{"):
        with pytest.raises(orjson.JSONDecodeError):
            open_json(value)


def test_a_record_of_two_fields_is_no_envelope():
    """A film and a request of two fields are read as they stand, and an envelope without a payload is empty."""
    assert decode_catalogue_value(orjson.dumps(ITEM)) == Item("i1", "Heat")
    assert refused(decode_watch, {"schema": None, "payload": None}).cause == "empty"
    assert refused(decode_catalogue_value, {"schema": SCHEMA, "payload": None}).cause == "empty"
    assert refused(decode_watch, {"schema": None, "payload": [WATCH]}).cause == "not_an_object"
    assert refused(decode_watch, {"payload": WATCH}).cause == "missing_field"


def test_every_cause_is_explained_and_none_else():
    """The table in the module's docstring has one row for each cause, in the order of ``CAUSES``."""
    rows = [line.split("``")[1] for line in codec.__doc__.splitlines() if line.startswith("``")]
    assert tuple(rows) == CAUSES


def test_lists_have_1_to_200_items():
    """K is 10 unless it is given; 1 and 200 pass, and one past either end is refused."""
    assert decode_request(orjson.dumps(REQUEST)).k == 10
    assert decode_request(orjson.dumps(REQUEST | {"k": None})).k == 10
    for good in (1, MAX_K):
        assert decode_request(orjson.dumps(REQUEST | {"k": good})).k == good
    for bad in (0, MAX_K + 1, 10.0, "10", True):
        assert refused(decode_request, REQUEST | {"k": bad}).cause == "bad_field"


def test_a_request_excludes_at_most_1000_items():
    """1,000 ids pass, integers as text; 1,001 and no list are refused."""
    assert decode_request(orjson.dumps(REQUEST | {"exclude": list(range(1000))})).exclude[999] == "999"
    for bad in (list(range(1001)), "i1", {"i1": 1}, [""], [None]):
        assert refused(decode_request, REQUEST | {"exclude": bad}).cause in {"bad_field", "missing_field"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"like": [None]}, "like must be a list without null, got [None]"),
        ({"exclude": ["i1", None]}, "exclude must be a list without null, got ['i1', None]"),
        ({"genres": {"never": [None]}}, "genres.never must be a list without null, got [None]"),
        ({"weights": {"query": None}}, "weights must be numbers from 0.0 to 10.0, got {'query': None}"),
    ],
)
def test_null_within_a_wish_is_told_as_such(wrong, told):
    """It is not called an absent field, since the field is there."""
    error = refused(decode_request, REQUEST | wrong)
    assert (error.cause, error.detail) == ("bad_field", told)


WISHES = {
    "genres": {"must": ["War"], "want": ["Drama", "Comedy"], "avoid": ["Romance"], "never": ["Horror"]},
    "years": [1990, None],
    "query": "something funny",
    "like": ["i1", 2],
    "weights": {"query": 2, "model": 0.5},
    "exclude": ["i9"],
    "allow_seen": True,
}


def test_every_wish_is_read():
    """Each field of a request becomes the wish of its name; a number's digits are an id."""
    assert decode_request(orjson.dumps(REQUEST | WISHES)).wishes == Wishes(
        GenreWishes(("War",), ("Drama", "Comedy"), ("Romance",), ("Horror",)),
        (1990, None),
        "something funny",
        ("i1", "2"),
        (("model", 0.5), ("query", 2.0)),
        ("i9",),
        allow_seen=True,
        k=10,
    )


@pytest.mark.parametrize(("strict", "wished"), [(False, "want"), (True, "must")])
def test_genre_and_strict_are_short_for_a_wish(strict, wished):
    """A genre alone is wanted, and strictly it must be; genres that are named as well stay."""
    asked = REQUEST | {"genre": "War", "strict": strict, "genres": {wished: ["Drama"]}}
    assert decode_request(orjson.dumps(asked)).wishes.genres == GenreWishes(**{wished: ("Drama", "War")})


@pytest.mark.parametrize(
    "wrong",
    [
        *({"genres": ["War"]}, {"genres": {"might": ["War"]}}, {"genres": {"must": "War"}}),
        *({"genres": {"must": [""]}}, {"genres": {"must": [7]}}, {"genres": {"want": ["x"] * 33}}),
        *({"years": [1990]}, {"years": 1990}, {"years": [2000, 1990]}, {"years": ["1990", None]}, {"years": [0, 9]}),
        *({"query": ""}, {"query": "x" * 201}, {"query": 7}, {"query": "a\nb"}),
        *({"like": "i1"}, {"like": [""]}, {"like": ["x"] * 51}),
        *({"weights": []}, {"weights": {"taste": 1}}, {"weights": {"query": -1}}, {"weights": {"query": 10.5}}),
        *({"weights": {"query": True}}, {"weights": {"query": None}}, {"allow_seen": 1}, {"k": 500}, {"exclude": 3}),
    ],
)
def test_a_wrong_wish_tells_who_asked(wrong):
    """What breaks the contract beside the ids is refused with both ids, so that it can be answered."""
    error = refused(decode_request, REQUEST | wrong)
    assert isinstance(error, BadRequest)
    assert (error.request_id, error.user_id) == (REQUEST["request_id"], REQUEST["user_id"])
    assert next(iter(wrong)) in error.detail
    assert ", got " in error.detail


def test_a_request_without_its_ids_cannot_be_answered():
    """Who has no readable id gets no answer, whatever else is wrong."""
    for fields in ({"request_id": "r"}, {"user_id": "u", "k": 500}, {"request_id": "", "user_id": "u"}):
        assert not isinstance(refused(decode_request, fields), BadRequest)


def test_strict_is_true_or_false():
    """A number or text that looks like a flag is refused."""
    assert decode_request(orjson.dumps(REQUEST | {"strict": True})).strict is True
    for bad in (1, "true"):
        assert refused(decode_request, REQUEST | {"strict": bad}).cause == "bad_field"


@pytest.mark.parametrize(("decode", "fields"), READERS)
def test_a_value_may_have_64_kib_and_no_byte_more(decode, fields):
    """A record padded to 65,536 bytes passes, and one byte more is too_large."""
    room = MAX_BYTES - len(orjson.dumps(fields | {"pad": ""}))
    assert len(orjson.dumps(fields | {"pad": "x" * room})) == 65_536
    decode(orjson.dumps(fields | {"pad": "x" * room}))
    assert refused(decode, fields | {"pad": "x" * (room + 1)}).cause == "too_large"


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b"[" * 2000, "not_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"1", "not_an_object"),
    ],
)
def test_what_is_no_json_object_is_told_by_cause(value, cause):
    """Bytes that are no JSON and JSON that is no object have causes of their own."""
    with pytest.raises(BadRecord) as caught:
        decode_watch(value)
    assert caught.value.cause == cause


@pytest.mark.parametrize("value", [None, b""])
def test_an_empty_event_is_told_by_cause(value):
    """An event without a value is ``empty``; only the catalogue has a meaning for it."""
    for decode in (decode_watch, decode_rating, decode_request):
        with pytest.raises(BadRecord) as caught:
            decode(value)
        assert caught.value.cause == "empty"


@given(st.builds(Action, IDS, IDS, IDS, TIMES, st.sampled_from(["hide", "unhide"]), st.none() | IDS))
def test_an_action_survives_the_round_trip(action):
    """Whatever a producer may send comes back equal from its own bytes."""
    assert decode_action(encode(action)) == action


@pytest.mark.parametrize(
    ("kind", "cause", "said"),
    [
        ("lik", "unknown_kind", "kind must be one of hide, like, unhide (REELSTREAM_KINDS names k.toml), got 'lik'"),
        ("", "unknown_kind", "got ''"),
        ("watch", "unknown_kind", "got 'watch'; watch has a topic of its own"),
        ("x" * 10_000, "unknown_kind", "got 'xxx"),
        (7, "bad_field", "kind must be a text, got 7"),
        (["like"], "bad_field", "kind must be a text, got ['like']"),
        (None, "missing_field", "kind is required"),
    ],
)
def test_a_kind_that_the_table_lacks_is_refused_with_those_it_has(kind, cause, said):
    """A letter names the kinds that are known, where they stand, and the one that was sent."""
    table = KindTable.of((*DEFAULT_KINDS.rows, EventKind("like", 1, is_positive=True)), "k.toml")
    with pytest.raises(BadRecord) as raised:
        decode_action(orjson.dumps(ACTION | {"kind": kind}), table)
    assert raised.value.cause == cause
    assert said in raised.value.detail
    assert len(raised.value.detail) < 300


def test_a_kind_of_the_table_is_read():
    """The same record is an action once the table has a row for it."""
    table = KindTable.of((*DEFAULT_KINDS.rows, EventKind("like", 1, is_positive=True)))
    value = orjson.dumps(ACTION | {"kind": "like"})
    assert decode_action(value, table) == Action("e1", "u1", "i1", 1_700_000_000_000, "like")
    assert cause_of(decode_action, value) == "unknown_kind"


def test_a_refusal_stays_short():
    """A huge value is quoted with at most 80 characters, so that a dead letter's reason is one line."""
    error = refused(decode_watch, WATCH | {"progress": "x" * 10_000})
    assert len(error.detail) < 150
    assert "\n" not in error.detail
    assert str(error) == f"{error.cause}: {error.detail}"
    assert isinstance(error, RecordError)


def test_each_event_topic_has_its_decoder():
    """The worker finds a decoder by the topic's name without its prefix."""
    sent = (WATCH, RATING, ACTION)
    assert DECODERS.keys() == set(topics.EVENTS)
    read = [
        DECODERS[name](orjson.dumps(fields), DEFAULT_KINDS) for name, fields in zip(topics.EVENTS, sent, strict=True)
    ]
    assert [type(event) for event in read] == [Watch, Rating, Action]


@pytest.mark.parametrize("depth", [100, 900, 1000, 1023])
@pytest.mark.parametrize("opening", ["[", '{"ts":'])
def test_deep_json_is_a_bad_record_like_any_other(depth, opening):
    """Values as deep as the parser takes are told in one line by each decoder, at the top and inside a field."""
    closing = {"[": "]", '{"ts":': "}"}[opening]
    deep = (opening * depth + "1" + closing * depth).encode()
    inside = b'{"event_id":' + deep + b"}"
    for value in (deep, inside):
        for decode in (decode_watch, decode_rating, decode_request, lambda value: decode_item(b"1", value)):
            with pytest.raises(BadRecord) as raised:
                decode(value)
            assert len(raised.value.detail) < 300


def test_items_have_at_most_64_tags():
    """Tags are optional; 64 are taken, one more or an empty one refuses the record."""
    names = [f"tag {n}" for n in range(64)]
    assert decode_catalogue_value(orjson.dumps(ITEM)).tags == ()
    assert decode_catalogue_value(orjson.dumps(ITEM | {"tags": names})).tags == tuple(names)
    for bad in ([*names, "one more"], [""], "chess", [1]):
        assert refused(decode_catalogue_value, ITEM | {"tags": bad}).cause == "bad_field"


@pytest.mark.parametrize(
    ("dates", "cause", "says"),
    [
        ({"released": "2024-01-01"}, "bad_field", "released must be whole milliseconds since the epoch, in 64 bits"),
        ({"expires": 1.5e12}, "bad_field", "expires must be whole milliseconds"),
        ({"released": 1_700_000_000}, "wrong_unit", "released must be milliseconds since the epoch, got 1700000000"),
        ({"expires": 20240101}, "wrong_unit", "looks like YYYYMMDD"),
        ({"released": 2, "expires": 2}, "bad_field", "expires must be later than released, 2, got 2"),
        ({"hidden": "yes"}, "bad_field", "hidden must be true or false"),
    ],
)
def test_dates_of_an_item_that_cannot_be_are_refused(dates, cause, says):
    """A date that is no number of milliseconds, another unit, an end before the beginning: each is told."""
    with pytest.raises(BadRecord, match=says) as caught:
        decode_item(b"i1", orjson.dumps(ITEM | dates))
    assert caught.value.cause == cause


def test_dates_of_an_item_may_be_long_ago_or_to_come():
    """A release of 1930 and an end in 2150 are dates; null is none, as an absent field is."""
    dated = {"released": -1_262_304_000_000, "expires": 5_680_281_600_000, "hidden": True}
    assert decode_item(b"i1", orjson.dumps(ITEM | dated)) == Item("i1", "Heat", **dated)
    assert decode_item(b"i1", orjson.dumps(ITEM | dict.fromkeys(dated))) == Item("i1", "Heat")


def test_earlier_ids_of_an_item_are_others():
    """Each counts once, numbers are taken for their digits; the item's own id is refused, and so are too many."""
    assert decode_item(b"i1", orjson.dumps(ITEM | {"was": ["i0", 7, "i0"]})).was == ("i0", "7")
    for was in (["i0", "i1"], [f"x{n}" for n in range(17)], "i0", [""]):
        with pytest.raises(BadRecord, match="was must be") as caught:
            decode_item(b"i1", orjson.dumps(ITEM | {"was": was}))
        assert caught.value.cause == "bad_field"


BACK = {"event_id": "w", "user_id": "u", "ts": 5, "withdraws": 17}


@pytest.mark.parametrize("topic", DECODERS)
def test_each_event_topic_takes_withdrawals(topic):
    """A withdrawal needs nothing but ids, user and time, and whatever else it says is left alone."""
    read = DECODERS[topic]
    assert read(orjson.dumps(BACK), DEFAULT_KINDS) == Withdrawal("w", "u", 5, "17")
    assert read(orjson.dumps(BACK | {"item_id": [], "rating": 99}), DEFAULT_KINDS) == Withdrawal("w", "u", 5, "17")
    assert decode_watch(encode(Withdrawal("w", "u", 5, "17"))) == Withdrawal("w", "u", 5, "17")


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"withdraws": "w"}, "bad_field"),
        ({"withdraws": " e"}, "bad_field"),
        ({"withdraws": True}, "bad_field"),
        ({"ts": None}, "missing_field"),
        ({"event_id": None}, "missing_field"),
        ({"withdraws": None}, "missing_field"),  # it is a watch then, without an item
    ],
)
def test_a_bad_withdrawal_is_refused(changed, cause):
    """It names an id, and another one than its own."""
    with pytest.raises(BadRecord) as refused:
        decode_watch(orjson.dumps(BACK | changed))
    assert refused.value.cause == cause
