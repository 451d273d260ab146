"""What a hostile sender can put on the topics, into Redis calls and into model files, and what must hold then.

Each target takes any bytes, reads them as decisions (``Choices``), builds one hostile input from them and raises
AssertionError where an invariant does not hold. ``tests.hostile.fuzz`` feeds the targets from a coverage-guided fuzzer,
the tests from a seeded generator. Nothing here decides what is acceptable: that is docs/hostile-input.md.
"""

import asyncio
import sys
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import orjson
import torch
from fsspec.implementations.memory import MemoryFileSystem
from redis.exceptions import ResponseError

from model.catalogue import Item
from model.network.neumf import NeuMF, NeuMFConfig
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from streams.errors import RegistryError
from streams.records.codec import CAUSES, MAX_BYTES, BadRecord, decode_item, encode
from streams.records.decoding import RawRecord, Rejected, decode_batch, decode_request_record
from streams.records.key_forms import readings
from streams.records.records import Event, Origin, Rating, Request, Watch
from streams.records.times import EARLIEST_MS, LATEST_MS
from streams.redis.connection import connect
from streams.registry.registry import Registry
from streams.registry.versions import DESCRIPTION
from streams.state.keys import PartitionKeys, UserKeys
from streams.state.store import SourcedEvent, State

__all__ = ["Choices", "SnapshotTarget", "StateTarget", "check_decoding", "decode"]

DETAIL = 400  # characters of a dead letter's reason, whatever was sent
NOW = 1_700_000_000_000
KINDS = ("watch-events", "rate-events", "recommendation-requests", "catalog-items")
GOOD: dict[str, dict[str, Any]] = {
    "watch-events": {"event_id": "e", "user_id": "u", "item_id": "i", "ts": NOW, "progress": 0.5, "rec_id": "r"},
    "rate-events": {"event_id": "e", "user_id": "u", "item_id": "i", "ts": NOW, "rating": 4.5},
    "recommendation-requests": {"request_id": "r", "user_id": "u", "k": 5, "genre": "War", "exclude": ["i"]},
    "catalog-items": {"item_id": "i", "title": "Heat", "year": 1995, "genres": ["War"]},
}
LITERALS = (
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e400", b"1e308", b"5e-324", b"-0.0", b"-1", b"0", b"1", b"5", b"5.01"),
    *(b"18446744073709551615", b"18446744073709551616", b"-9223372036854775808", b"1" * 400, b"0.5", b"0.49999999999"),
    *(
        b'""',
        b'"\\ud800"',
        b'"\\ud83d\\ude00"',
        b'"\\u0000"',
        b'"a\\nb"',
        b'"\\ufeffu"',
        b'"\\u202e"',
        b'"%s"' % (b"x" * 65),
    ),
    *(b'"{p0}:at"', b'"}:seen"', b'"x:recent"', b'"%7B"', b'"__proto__"', b'"nan"', b'"1e5"', b'"u"', b'"7"', b"7"),
    *(b'" u"', b'"u "', b"1700000000", b"1700000000000000", b"20231114", b"20231114221320"),
    *(b"[]", b"{}", b"[" * 60 + b"]" * 60, b"[" * 1100, b'{"a":' * 1100, b"[null]", b'[["i"]]', b'{"i":1}', b"[1e400]"),
)
IDS = (
    *(
        "u",
        "u:recent",
        "}:seen",
        "{u}",
        "%7Bu%7D",
        "{p0}",
        "p0",
        "%",
        "%25",
        "{",
        "}",
        "}{",
        "user:{u}",
        "items:{p0}:at",
    ),
    *(
        "__proto__",
        "nan",
        "inf",
        "1e5",
        "0x10",
        "-0",
        "1.0",
        "KEYS[1]",
        "*",
        "?",
        "[a]",
        "\\",
        '"',
        "'",
        "${u}",
        "ü",
        "漢",
    ),
    *("at:watch-events:0", "landmark", "watches", "list_sequence", "hot:all", "model:current", "a" * 64, "💥" * 64),
)
FRAME = b"\x00\x00\x00\x00\x07"  # of a schema registry
KEYS = (
    *(None, b"u", b"", b"7", b"i", b"\xff\xfe", b"u\n", b"{u}", b"\xef\xbb\xbfu", b"\x00" * 70_000),
    *(b'"u"', b'"i"', b'{"user_id":"u"}', b'{"item_id":"i"}', b'{"id":"u"}', (7).to_bytes(8, "big"), FRAME + b"u"),
    *(FRAME + b"\x02u", FRAME, FRAME * 2 + b"u", b'{"schema":null,"payload":"u"}', b'" u"', b"[" * 4096, b"{" * 4097),
)
TIMES = (0, -1, 1, NOW, NOW // 1000, NOW * 1000, NOW * 10**6, 20231114, 20231114221320, LATEST_MS, 2**63 - 1, -(2**63))


class Choices:
    """Bytes read as decisions; when they are used up, every decision is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, most: int) -> int:
        """Return a number from 0 to ``most``, at most 2**16 - 1."""
        width = 1 if most < 256 else 2
        found = int.from_bytes(self.bytes(width), "little")
        return found % (most + 1)

    def one_of(self, options: Sequence[Any]) -> Any:
        """Return one of the options."""
        return options[self.number(len(options) - 1)]

    def bytes(self, most: int) -> bytes:
        """Return the next bytes, as many as are left."""
        found = self._data[self._at : self._at + most]
        self._at += most
        return found

    def id(self) -> str:
        """Return an id that the codec takes: a known nuisance, or text of the bytes."""
        if self.number(3):
            return str(self.one_of(IDS))
        text = self.bytes(1 + self.number(40)).decode("utf-8", "replace")
        return "".join(filter(str.isprintable, text))[:64].strip() or "u"


# decode ----------------------------------------------------------------------------------------------------------


def decode(data: bytes) -> None:
    """Decode one hostile record of any kind."""
    choices = Choices(data)
    kind = choices.one_of(KINDS)
    recorded = choices.one_of(TIMES)
    key = choices.one_of(KEYS)
    check_decoding(kind, key, _value(choices, kind), recorded)


def check_decoding(kind: str, key: bytes | None, value: bytes | None, recorded: int = 0) -> str | None:
    """Assert that a record gives exactly one valid noun or exactly one short refusal; return the refusal's cause."""
    record = RawRecord(Origin(kind, 0, 7, recorded), key, value)
    found = _read(record)
    assert found == _read(record), "a second reading differs"
    if isinstance(found, Rejected):
        assert found.record is record
        assert found.cause in CAUSES
        assert len(found.detail) <= DETAIL
        assert found.detail.isprintable()
        found.detail.encode()
        return found.cause
    assert value is not None or kind == "catalog-items"
    assert len(value or b"") <= MAX_BYTES
    again = _read(RawRecord(record.origin, key, value if isinstance(found, str) else encode(found)))
    assert again == found, f"{again!r} is not what was written, {found!r}"
    _check_noun(found, key, recorded)
    return None


def _read(record: RawRecord) -> Event | Request | Item | str | Rejected:
    if record.origin.topic == "catalog-items":
        try:
            return decode_item(record.key, record.value)
        except BadRecord as error:
            return Rejected(record, error.cause, error.detail)
    if record.origin.topic == "recommendation-requests":
        return decode_request_record(record)
    decoded = decode_batch([record])
    assert len(decoded.events) + len(decoded.rejected) == 1
    return decoded.rejected[0] if decoded.rejected else decoded.events[0][1]


def _check_noun(found: Event | Request | Item | str, key: bytes | None, recorded: int) -> None:
    name = "item_id" if isinstance(found, str | Item) else "user_id"
    if isinstance(found, str):
        ids: tuple[str, ...] = (found,)
    elif isinstance(found, Item):
        ids = (found.item_id,)
        assert all(0 < len(one) <= 64 and one.isprintable() for one in found.genres)
    elif isinstance(found, Request):
        ids = (found.request_id, found.user_id, *found.exclude)
        assert 1 <= found.k <= 200
    else:
        ids = (found.event_id, found.user_id, found.item_id)
        assert 0 <= found.ts <= (recorded if EARLIEST_MS <= recorded <= LATEST_MS else LATEST_MS)
        assert 0.0 <= found.interaction().weight <= 1.0
    assert all(0 < len(one) <= 64 and one.isprintable() and one == one.strip() and one.encode() for one in ids)
    owner = found if isinstance(found, str) else found.item_id if isinstance(found, Item) else found.user_id
    assert key is None or key == owner.encode() or owner in readings(key, name)


def _value(choices: Choices, kind: str) -> bytes | None:
    way = choices.number(7)
    if way == 0:
        return choices.bytes(70_000) or None
    fields = [(orjson.dumps(name), orjson.dumps(value)) for name, value in GOOD[kind].items()]
    for _ in range(choices.number(3)):
        place = choices.number(len(fields) - 1)
        change = choices.number(3)
        if change == 0:
            fields[place] = (fields[place][0], choices.one_of(LITERALS))
        elif change == 1:
            fields.append((fields[place][0], choices.one_of(LITERALS)))
        elif change == 2:
            fields[place] = (fields[place][0], choices.bytes(choices.number(90)))
        elif len(fields) > 1:
            del fields[place]
    body = b"{" + b",".join(name + b":" + value for name, value in fields) + b"}"
    if way == 1:
        body = _edited(choices, body)
    if way == 2:
        body = choices.one_of(
            (
                *(b"\xef\xbb\xbf" + body, body + b"\x00", body * 2, b"[%s]" % body, body[:-1], b" " * 66_000),
                *(FRAME + body, FRAME + body[:-1], FRAME * 2 + body, body.decode(errors="replace").encode("utf-16")),
                *(b'{"schema":null,"payload":%s}' % body, b'{"before":null,"after":%s,"op":"c"}' % body),
            )
        )
    return body


def _edited(choices: Choices, content: bytes) -> bytes:
    """Return the bytes with up to four edits: one flipped, some cut, some put in, or all but the beginning gone."""
    for _ in range(1 + choices.number(3)):
        at = (
            choices.number(min(len(content), 65_535)) if choices.number(1) else choices.number(255) % (len(content) + 1)
        )
        way = choices.number(3)
        if way == 0:
            content = content[:at] + bytes([choices.number(255)]) + content[at + 1 :]
        elif way == 1:
            content = content[:at] + content[at + 1 + choices.number(15) :]
        elif way == 2:
            content = content[:at] + choices.bytes(choices.number(40)) + content[at:]
        else:
            content = content[:at]
    return content


# the functions in Redis --------------------------------------------------------------------------------------------


class _Recorded(State):
    """A state that keeps the calls it sends, so that they can be sent again with something wrong in them."""

    sent: list[tuple[Any, ...]]

    async def _call_all(self, calls: Any) -> list[Any]:
        asked = list(calls)
        self.sent += asked
        return await super()._call_all(asked)


class StateTarget:
    """The functions of ``functions.lua`` on a server of one's own; whatever is asked, nobody else's keys change.

    Parameters
    ----------
    url : an empty Redis database that is this target's alone.
    """

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._client: Any = connect(url)  # redis-py's types leave bytes and text undecided
        self._state = _Recorded(self._client)
        self._state.sent = []
        self._run(self._state.install())
        self._run(self._state.apply(_bystander_events()))
        self._bystanders = self._run(self._dump())

    def __call__(self, data: bytes) -> None:
        """Send one hostile batch as events, and then, with something wrong in it, as raw calls."""
        choices = Choices(data)
        self._run(self._once(choices))

    def check(self, events: list[SourcedEvent]) -> None:
        """Apply events twice and assert what must hold; then forget them. Users ``u}`` and ``items`` are taken."""
        self._run(self._check_events(events))
        self._run(self._forget())

    def close(self) -> None:
        """Disconnect."""
        self._run(self._client.aclose())
        self._loop.close()

    def _run(self, wanted: Any) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(wanted, 20))

    async def _once(self, choices: Choices) -> None:
        events = _events(choices)
        self._state.sent = []
        found = await self._check_events(events)
        for _ in range(choices.number(3)):
            found = await self._send_wrong(choices, list(choices.one_of(self._state.sent)), found)
        assert await self._client.ping()
        assert {key: found.get(key) for key in self._bystanders} == self._bystanders, "another's key was changed"
        await self._forget()

    async def _forget(self) -> None:
        if gone := set(await self._client.keys("*")) - self._bystanders.keys():
            await self._client.delete(*gone)
        await self._state.know_servers()  # what is gone was taken away by us

    async def _check_events(self, events: list[SourcedEvent]) -> dict[bytes, bytes]:
        """Apply twice and return everything in Redis after it."""
        applied = await self._state.apply(events)
        first = await self._dump()
        users = {event.user_id for _, event, _ in events}
        allowed = {key for user in users for key in _keys(UserKeys.of(user))}
        allowed |= {key for origin, _, _ in events for key in _keys(PartitionKeys.of(origin.partition))}
        strangers = first.keys() - self._bystanders.keys() - allowed
        assert not strangers, f"keys of nobody in the batch: {sorted(strangers)}"
        profiles = await self._state.profiles(users)
        assert profiles == dict(applied.profiles), "what was read is not what was answered"
        for user in users:
            _check_user(profiles[user], _counting([event for _, event, _ in events if event.user_id == user]))
        again = await self._state.apply(events)
        assert (again.counted, again.fresh) == (applied.counted, 0)
        assert dict(again.profiles) == profiles
        assert await self._dump() == first, "a redelivery changed the state"
        assert {key: first.get(key) for key in self._bystanders} == self._bystanders, "another's key was changed"
        return first

    async def _send_wrong(self, choices: Choices, call: list[Any], before: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Send a call with some of its words changed; it may be answered or refused, and may touch its keys only."""
        for _ in range(1 + choices.number(2)):
            place = 1 + choices.number(len(call) - 2)
            call[place] = self._wrong(choices, call[place], place)
        try:
            await self._client.execute_command(*call)
        except ResponseError as error:
            assert len(str(error)) < 100_000  # noqa: PT017 - the invariant is about the message
        n_keys = int(call[2]) if str(call[2]).isdigit() else 0
        named = {word.encode() if isinstance(word, str) else word for word in call[3 : 3 + n_keys]}
        after = await self._dump()
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert changed <= named, f"changed but not named: {sorted(changed - named)!r}"
        return after

    def _wrong(self, choices: Choices, word: Any, place: int) -> Any:
        if place == 1:
            return choices.one_of((*(call[1] for call in self._state.sent), "no_such_function"))
        if place == 2:
            return choices.one_of((0, 1, 2, 5, 6, 7, 99, -1, "nan", "1e3"))
        if isinstance(word, bytes):
            return _wrong_columns(choices, word)
        if isinstance(word, str):
            return choices.one_of((*(f"user:{{{id_}}}" for id_ in IDS), "", "\x00", "items:{p9}:at"))
        return choices.one_of((*LITERALS, b"", b"inf", b"-inf", b"1e300", choices.bytes(20)))

    async def _dump(self) -> dict[bytes, bytes]:
        """Return every key's value as Redis stores it; marks of the clock in a partition's positions are left out."""
        keys = sorted(await self._client.keys("*"))
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            if key.endswith(b":at"):
                pipeline.execute_command("TYPE", key)
            else:
                pipeline.dump(key)
        values = dict(zip(keys, await pipeline.execute(), strict=True))
        for key in keys:
            if values[key] == b"hash":
                fields = await self._client.hgetall(key)
                timed = (b"mark:", b"marked:", b"safe:")
                values[key] = repr(sorted(one for one in fields.items() if not one[0].startswith(timed))).encode()
        return values


def _keys(keys: UserKeys | PartitionKeys) -> set[bytes]:
    return {getattr(keys, name).encode() for name in keys.__slots__}


def _bystander_events() -> list[SourcedEvent]:
    """Return events of users and of a partition that no hostile event names, though some look very much alike."""
    users = ("bystander", "{bystander}", "bystander:recent", "%7Bbystander%7D", "u}", "items")
    return [
        (Origin("watch-events", 3, n), Watch(f"b{n}", user, f"i{n}", NOW + n, 0.5), ("Drama",))
        for n, user in enumerate(users)
    ]


def _events(choices: Choices) -> list[SourcedEvent]:
    """Return up to sixteen events of partitions 0 to 2, each partition's offsets ascending."""
    offsets: dict[tuple[str, int], int] = {}
    events: list[SourcedEvent] = []
    users = [choices.id() for _ in range(1 + choices.number(2))]
    users = [user for user in users if user not in {"u}", "items"}] or ["u"]
    for _ in range(1 + choices.number(15)):
        ts = choices.one_of((0, 1, NOW, NOW - choices.number(65_535), NOW + choices.number(65_535), LATEST_MS))
        names = (choices.id(), choices.one_of(users), choices.id(), ts)
        event: Event = (
            Rating(*names, choices.one_of((0.5, 5.0, 4.500000000000001, 1.1, 0.5 + choices.number(255) / 60)))
            if choices.number(1)
            else Watch(*names, choices.one_of((0.0, -0.0, 1.0, 5e-324, 0.1, choices.number(65_535) / 65_535)))
        )
        topic = "rate-events" if isinstance(event, Rating) else "watch-events"
        partition = choices.number(2)
        offset = offsets.get((topic, partition), -1) + 1 + choices.number(3)
        offsets[topic, partition] = offset
        genres = tuple(choices.id() for _ in range(choices.number(3)))
        events.append((Origin(topic, partition, offset), event, genres))
    return events


def _counting(events: list[Event]) -> list[Event]:
    """Return the events that count: of one kind and id the first."""
    first: dict[tuple[type, str], Event] = {}
    for event in events:
        first.setdefault((type(event), event.event_id), event)
    return list(first.values())


def _check_user(profile: Any, events: list[Event]) -> None:
    ratings = [event.rating for event in events if isinstance(event, Rating)]
    assert (profile.watches, profile.ratings) == (len(events) - len(ratings), len(ratings))
    assert abs(profile.rating_sum - sum(ratings)) < 1e-9
    assert profile.first_ts == min(event.ts for event in events)
    assert profile.last_ts == max(event.ts for event in events)
    assert profile.seen == len({event.item_id for event in events})
    assert sorted(map(repr, profile.recent)) == sorted(repr(event.interaction()) for event in events)
    times = [one.ts for one in profile.recent]
    assert times == sorted(times, reverse=True)


def _wrong_columns(choices: Choices, body: bytes) -> bytes:
    """Return a call's JSON with a column gone, retyped or cut, or with its bytes edited."""
    way = choices.number(3)
    try:
        columns = orjson.loads(body)
    except orjson.JSONDecodeError:  # an earlier change has broken it
        return _edited(choices, body)
    if way == 0 or not isinstance(columns, dict) or not columns:
        return _edited(choices, body)
    name = choices.one_of(sorted(columns))
    if way == 1:
        del columns[name]
        return orjson.dumps(columns)
    column = columns[name]
    literal = choices.one_of(LITERALS)
    if way == 2 and isinstance(column, list) and column:
        column[choices.number(min(255, len(column) - 1))] = "\x00put here\x00"
        return orjson.dumps(columns).replace(b'"\\u0000put here\\u0000"', literal)
    columns[name] = "\x00put here\x00"
    return orjson.dumps(columns).replace(b'"\\u0000put here\\u0000"', literal)


# model files -------------------------------------------------------------------------------------------------------

RUNS_CODE = frozenset({"exec", "compile", "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork"}) | {
    *("subprocess.Popen", "ctypes.dlopen", "marshal.loads", "marshal.load", "code.__new__", "import", "os.remove"),
}
PICKLE = b"\x80\x04cposix\nsystem\n\x93\x8c\x04true\x85R."


class SnapshotTarget:
    """A model version with something wrong in its files: refused, or the very version, and no code is ever run."""

    def __init__(self) -> None:
        shape = NeuMFConfig(
            history_length=3,
            factors=2,
            mlp_factors=2,
            genre_factors=2,
            text_width=2,
            neighbours=2,
            hidden=(2, 2),
            heads=1,
        )
        network = NeuMF(shape, 2, np.ones((3, 1), dtype=np.float32), generator=torch.Generator().manual_seed(1))
        self._snapshot = Snapshot.of(network, ("a", "b", "c"), ("u", "v"), ("Drama",))
        self._url = "memory://hostile"
        self._registry = Registry(self._url)
        figures: dict[str, Any] = {"parent": None, "metrics": {}, "offsets": {"watch-events": {0: 5}}}
        saved = self._registry.save(self._snapshot, **figures, created_ms=1, seed=1, code_revision="x")
        self._folder = f"/hostile/{saved.version_id}"
        self._id = saved.version_id
        names = (DESCRIPTION, "weights.safetensors")
        self._files = {name: MemoryFileSystem().cat_file(f"{self._folder}/{name}") for name in names}
        self._watching = False
        sys.addaudithook(self._audit)
        Ranker(self._registry.load(self._id)[0]).warm_up()

    def __call__(self, data: bytes) -> None:
        """Load one changed version: as it lies there, or with id and hashes made to fit what was changed."""
        choices = Choices(data)
        way = choices.number(3)
        files = dict(self._files)
        name = choices.one_of(tuple(files))
        files[name] = _wrong_file(choices, files[name])
        if way == 0:
            self._load(self._id, files, exact=True)
            return
        self._load(*_forged(files), exact=False)

    def _load(self, version_id: str, files: dict[str, bytes], *, exact: bool) -> None:
        memory = MemoryFileSystem()
        folder = f"/hostile/{version_id}"
        for name, content in files.items():
            memory.pipe_file(f"{folder}/{name}", content)
        self._watching = True
        try:
            found, version = self._registry.load(version_id)
            if exact:
                assert _equal(found, self._snapshot), "something else was loaded"
            assert version.version_id == version_id
            _serve(found)
        except RegistryError as error:
            assert len(str(error)) < 100_000  # noqa: PT017 - the invariant is about the message
        finally:
            self._watching = False
            memory.rm(folder, recursive=True)

    def _audit(self, event: str, arguments: Any) -> None:
        if self._watching and event in RUNS_CODE:
            raise AssertionError(f"{event} {arguments!r:.200} while a model was loaded")


def _serve(snapshot: Snapshot) -> None:
    """Do what a worker does with a loaded version; it takes these errors as a refusal."""
    try:
        Ranker(snapshot).warm_up()
    except (ValueError, FloatingPointError):
        return


def _equal(one: Snapshot, other: Snapshot) -> bool:
    return (one.config, one.items, one.users, one.genres) == (
        other.config,
        other.items,
        other.users,
        other.genres,
    ) and all(torch.equal(one.weights[name], weight) for name, weight in other.weights.items())


def _wrong_file(choices: Choices, content: bytes) -> bytes:
    way = choices.number(5)
    if way == 0:
        return bytes(content[: choices.number(min(65_535, len(content)))])
    if way == 1:
        return bytes(
            choices.one_of((b"", PICKLE, PICKLE + content, content + PICKLE, content * 2, b"PK\x03\x04" + content))
        )
    if way == 2 and not content.startswith(b"{"):
        size = int.from_bytes(content[:8], "little")
        header = _wrong_json(choices, content[8 : 8 + size])
        return len(header).to_bytes(8, "little") + header + content[8 + size :]
    if way in {2, 3} and content.startswith(b"{"):
        return _wrong_json(choices, content)
    return _edited(choices, content)


def _wrong_json(choices: Choices, content: bytes) -> bytes:
    """Return JSON with one value, at any depth, replaced by a hostile literal."""
    whole = orjson.loads(content)
    at: Any = whole
    while True:
        names: list[Any] = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not names:
            break
        name = choices.one_of(names[:256])
        if isinstance(at[name], dict | list) and at[name] and choices.number(3):
            at = at[name]
            continue
        if choices.number(3) == 0 and isinstance(at, dict):
            del at[name]
        else:
            at[name] = "put here"
        break
    return orjson.dumps(whole).replace(b'"put here"', choices.one_of(LITERALS))


def _forged(files: dict[str, bytes]) -> tuple[str, dict[str, bytes]]:
    """Return the id and the files of a version whose hashes fit its changed content, as a careful forger makes it."""
    try:
        body = orjson.loads(files[DESCRIPTION])
        for name, stored in body["files"].items():
            if name in files:
                stored.update(bytes=len(files[name]), sha256=sha256(files[name]).hexdigest())
    except (ValueError, TypeError, KeyError, AttributeError):
        return "v000009-00000000", files
    digest = sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    return f"v000009-{digest}", files | {DESCRIPTION: orjson.dumps(body)}
