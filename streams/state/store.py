"""Users, items and lists in Redis: every change is one guarded call of the functions in ``functions.lua``.

A redelivered event changes nothing, whatever the cause (a crash, a rebalance, a rewind, a producer's retry), so
Kafka may deliver at least once while the effect is exactly once. Keys are in ``keys`` and documented for readers
in docs/reference/redis.md. Nothing here decides what to recommend or when a user's mode changes.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import orjson
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from model.catalogue import Catalogue, Item
from model.experiment import Experiment
from model.history import Mode, Profile
from model.joined_history import is_hidden, joined_history
from model.kinds import DEFAULT_KINDS, KindTable
from model.ranking.exposure import ExposureEvidence, NewItem
from model.ranking.hint_lifts import HintLifts
from model.renames import NO_RENAMES, Renames
from model.similar import SimilarItems
from streams.errors import StateError, StateMoved
from streams.records.codec import encode
from streams.records.merges import Merges
from streams.records.positions import TopicPartition
from streams.records.records import EventRecord, ModelVersion, Origin, Withdrawal, source_of_topic
from streams.redis.connection import answered
from streams.state.calls import (
    NO_ORIGINALS,
    Bounds,
    Original,
    Originals,
    SourcedEvent,
    StateConfig,
    StoredList,
    find_original,
    handled_call,
    list_call,
    origin_of_score,
    part_calls,
    partition_call,
    read_call,
    read_part,
    read_profile,
    read_verdict,
    remove_call,
    user_call,
)
from streams.state.experiments import MAX_OVERRIDES, decode_experiment, decode_overrides
from streams.state.exposure import read_exposure, read_new_items, write_new_items
from streams.state.kept_lists import NOTHING_RENAMED, DroppedItems, UserCounts, count_users, drop_from_lists
from streams.state.keys import (
    CATALOG,
    CATALOG_RENAMED,
    EXPERIMENT,
    HINT_LIFTS,
    HOLD,
    MODEL,
    OVERRIDES,
    TORN,
    TRENDING_ALL,
    TRENDING_NEWCOMERS,
    PartitionKeys,
    UserKeys,
    handled_field,
    position_field,
    sentence_key,
    similar_key,
)
from streams.state.known_positions import KnownPositions
from streams.state.library import install, server_ids
from streams.state.pointer import (
    ANNOUNCING,
    ANY_VERSION,
    NO_POINTER,
    STANDING,
    ModelPointer,
    ModelStanding,
    announced_call,
    decision_calls,
    decode_announcing,
    measured_call,
    move_call,
    read_pointer,
    withdrawals_call,
)
from streams.state.trending import Trends, merge_trending

__all__ = [
    "ANY_VERSION",
    "NO_ORIGINALS",
    "NO_POINTER",
    "AppliedBatch",
    "ModelPointer",
    "ModelStanding",
    "Original",
    "Originals",
    "OtherOriginals",
    "Position",
    "SourcedEvent",
    "State",
    "StateConfig",
    "StoredList",
]

_MOVED = ("UNKNOWNSERVER", "Function not found")  # a server that we do not know, or one that was never prepared
_ABSENT = "no such key"
_LOOK_AGAIN = re.compile(r"LOOKAGAIN ((?:\d+:\d+ ?)+)")
_LOST = re.compile(r"LOSTPOSITION (\S+ is -?\d+, not \d+ or more)")
_NO_BOUNDS: Bounds = MappingProxyType({})
_CHUNK = 1000  # fields of one HSET
T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AppliedBatch:
    """What a batch did.

    Parameters
    ----------
    profiles : every user of the batch, after it.
    latest : the last record of each user in the batch, with its origin.
    counted : events that count, now or when they were delivered first; the rest are a producer's duplicates.
        Withdrawals count where they take an event back.
    fresh : events that changed a user now; fewer than ``counted`` after a redelivery.
    duplicates : the producer's duplicates, by topic named with the prefix.
    withdrawn : the withdrawals among ``counted``.
    """

    profiles: Mapping[str, Profile]
    latest: Mapping[str, tuple[Origin, EventRecord]]
    counted: int
    fresh: int
    duplicates: Mapping[str, int] = field(default_factory=dict)
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """How far a topic partition is applied, by its item counters; -1 is before the first record.

    Parameters
    ----------
    applied : offset of the last record.
    certain : offset up to which every record is applied to its user too; a list made for it may still be missing. On
        one server that is ``applied``: a server loses the end of what it was told, and users are told first. Where
        users rest on other servers, it is the position of at least 10 s before, which has reached every disk and
        replica that it will ever reach.
    is_foreign : whether a server that is not among those known now wrote it: one that has since been restarted, say.
    handled : offset behind the last record that its owner has handled, as far as the owner has said: also where the
        last records were bad, and moved no position.
    """

    applied: int
    certain: int
    is_foreign: bool = False
    handled: int = 0


class OtherOriginals(StateError):  # noqa: N818 - what was found
    """Withdrawals take other events back than was said; nothing of their users was changed.

    Parameters
    ----------
    origins : of the events, by those of the withdrawals.
    """

    def __init__(self, origins: Mapping[Origin, Origin]) -> None:
        super().__init__(
            f"state: {len(origins)} withdrawals take other events back than was said; call again with these"
        )
        self.origins = origins


class State:
    """The state of one installation; its client puts the installation's prefix before keys.

    Parameters
    ----------
    client : a connected redis-py client that returns bytes; closed by who opened it.
    config : how much is remembered.
    kinds : of events that there are.

    Attributes
    ----------
    merges : which guests count as which accounts, where profiles are read; none by default.
    """

    def __init__(self, client: Redis, config: StateConfig | None = None, kinds: KindTable = DEFAULT_KINDS) -> None:
        self.merges = Merges()
        self._kinds = kinds
        self._client = client
        self._config = config or StateConfig()
        self._servers: frozenset[str] = frozenset()
        self._known_positions = KnownPositions()
        self._is_cluster = isinstance(client, RedisCluster)

    async def install(self) -> None:
        """Load the functions, replacing an earlier load of the same version.

        Raises
        ------
        StateError
            If the server cannot be reached or has no functions (Redis before 7).
        """
        await install(self._client)

    async def know_servers(self) -> bool:
        """Note which servers there are, so that no other takes events from now on; return whether any is new.

        A server that was restarted, or that took over, may hold less than was applied. Newer events would hide the lost
        ones for good, so ``apply`` is refused there (``StateMoved``) until this is called again. It forgets what was
        known of positions: whoever calls this compares them with Kafka next.

        Raises
        ------
        StateError
            If this is a cluster of which a part was emptied, as was found before.
        """
        with answered("state: asking which servers there are"):
            found = await server_ids(self._client)
            torn: Any = await self._client.get(TORN) if self._is_cluster else None
        if torn is not None:
            raise _unrecoverable(torn.decode(errors="replace"))
        are_new = found != self._servers
        self._servers = found
        self._known_positions.forget()
        return are_new

    async def has_moved(self) -> bool:
        """Return whether other servers answer than ``know_servers`` has found, or positions were lost since.

        Raises
        ------
        StateError
            If it is a cluster that has lost positions, which cannot be recovered.
        """
        bounds = dict(self._known_positions.bounds)  # those of before the question: positions grow meanwhile
        with answered("state: asking which servers there are"):
            if await server_ids(self._client) != self._servers:
                return True
        return await self._has_lost(bounds)

    async def is_held(self) -> bool:
        """Return whether somebody asks all workers to wait (a rebuild that is about to take over)."""
        with answered("state: asking whether to wait"):
            return bool(await self._client.exists(HOLD))

    async def apply(self, events: Sequence[SourcedEvent], originals: Originals = NO_ORIGINALS) -> AppliedBatch:
        """Apply a batch, each event at most once ever, and return every touched user.

        Users come first, then the partitions' item counters. Each of the two is guarded by itself, so redelivery makes
        good a crash between them. The next batch may be applied only after this call returned.

        Parameters
        ----------
        events : origin, event, and the genres of its item; in the order of each partition.
        originals : what withdrawals take back, by the origin of each; one without its event changes nothing.

        Raises
        ------
        OtherOriginals
            If withdrawals take other events back than ``originals`` says; call again with these.
        StateMoved
            If a server answers that ``know_servers`` has not found, or a known position is gone or went back (the
            database was emptied). Nothing of the batch hides what was lost. What was applied before must be compared
            with what there is.
        StateAway
            If Redis cannot be reached for now; calling again is safe.
        StateError
            If it is a cluster that has lost positions, which cannot be recovered.
        """
        servers = self._known_servers
        users = _grouped(events, lambda event: event[1].user_id)
        partitions = _grouped(events, lambda event: event[0].partition)
        bounds = self._known_positions.bounds
        if self._is_cluster:  # a user's call cannot look at a partition's keys there, so that is done before
            await self._require_kept(
                {topic_partition: at for topic_partition, at in bounds.items() if topic_partition[1] in partitions}
            )
        guards = _NO_BOUNDS if self._is_cluster else bounds
        with answered(f"state: applying {len(events)} events"):
            calls = (
                user_call(user_id, group, self._config, servers, guards, self._kinds, originals)
                for user_id, group in users.items()
            )
            if len(originals) or any(isinstance(event, Withdrawal) for _, event, _ in events):
                replies = await self._apply_withdrawals(calls, list(users.values()))
            else:
                replies = await self._call_all(calls)
            verdicts = [
                read_verdict(user_id, group, reply)
                for (user_id, group), reply in zip(users.items(), replies, strict=True)
            ]
            counted = {origin: judged for verdict in verdicts for origin, judged in verdict.counted.items()}
            await self._call_all(
                partition_call(partition, group, counted, self._config, servers, bounds, self._kinds, originals)
                for partition, group in partitions.items()
            )
        self._known_positions.note_all(origin for origin, _, _ in events)
        return AppliedBatch(
            MappingProxyType({verdict.profile.user_id: verdict.profile for verdict in verdicts}),
            MappingProxyType({user_id: group[-1][:2] for user_id, group in users.items()}),
            len(counted),
            sum(verdict.fresh for verdict in verdicts),
            Counter(
                origin.topic
                for origin, event, _ in events
                if origin not in counted and not isinstance(event, Withdrawal)
            )
            if len(counted) < len(events)
            else {},
            sum(isinstance(event, Withdrawal) and origin in counted for origin, event, _ in events),
        )

    async def _apply_withdrawals(
        self, calls: Iterable[tuple[Any, ...]], groups: Sequence[Sequence[SourcedEvent]]
    ) -> list[Any]:
        replies = await self._call_but(calls, _LOOK_AGAIN)
        wanted = {}
        for group, reply in zip(groups, replies, strict=True):
            told = _LOOK_AGAIN.search(str(reply)) if isinstance(reply, ResponseError) else None
            for pair in told[1].split() if told else ():
                number, score = map(int, pair.split(":"))
                wanted[group[number][0]] = origin_of_score(group[number][0].topic, score)
        if wanted:
            raise OtherOriginals(wanted)
        return replies

    async def counted_at(self, withdrawals: Sequence[tuple[Origin, Withdrawal]]) -> list[Origin | None]:
        """Return, for each withdrawal, where the event stood that it takes back, as far as that is remembered."""
        with answered(f"state: looking up what {len(withdrawals)} withdrawals take back"):
            found = await self._call_all(
                ("GET", UserKeys.of(event.user_id).ids_of(source_of_topic(origin.topic)))
                for origin, event in withdrawals
            )
        return [
            find_original(records or b"", event, origin)
            for (origin, event), records in zip(withdrawals, found, strict=True)
        ]

    async def profiles(self, user_ids: Iterable[str]) -> dict[str, Profile]:
        """Return the profile of each user; one never seen has an empty one, and stays unknown.

        An account has the history of its guests too, and a guest who was merged has none any more.
        """
        wanted = tuple(dict.fromkeys(user_ids))
        if len(self.merges):
            of_guests = {user_id: Profile(user_id) for user_id in wanted if self.merges.account_of(user_id)}
            accounts = [user_id for user_id in wanted if user_id not in of_guests and self.merges.guests_of(user_id)]
            joined = {user_id: await self._joined(user_id) for user_id in accounts} | of_guests
        else:
            joined = {}
        others = [user_id for user_id in wanted if user_id not in joined]
        with answered(f"state: reading {len(others)} profiles"):
            replies = await self._call_all(read_call(user_id, self._config) for user_id in others)
        return joined | {user_id: read_profile(user_id, reply) for user_id, reply in zip(others, replies, strict=True)}

    async def _joined(self, account: str) -> Profile:
        users, n = (account, *self.merges.guests_of(account)), self._config.recent_returned
        calls = [part_calls(user_id, n) for user_id in users]
        kept = UserKeys.of(account).profile
        listed = ("HGET", kept, "list_sequence")  # before the parts, which only grow
        with answered(f"state: reading an account of {len(users)} parts"):
            sequence, *found = await self._call_all([listed, *(call for of_user in calls for call in of_user)])
        replies = iter(found)
        parts = [
            read_part(user_id, [next(replies) for _ in of_user]) for user_id, of_user in zip(users, calls, strict=True)
        ]
        profile = joined_history(parts, self._config.genre_half_life_ms, n)
        if sequence is not None and int(sequence) > profile.sequence:  # a part is gone, and lists would be refused
            with answered("state: letting an account's lists begin anew"):
                await self._client.hdel(kept, "list_sequence")
        return profile

    async def seen_among(
        self, wanted: Sequence[tuple[Profile, Sequence[str]]], renames: Renames = NO_RENAMES
    ) -> list[frozenset[str]]:
        """Return, for each profile and candidate items, which of them its user has touched, or hidden, by now.

        Items are named by their first ids, and what was done under any of their ids counts.
        """
        asked = self._asked_parts(_by_all_ids(wanted, renames))
        calls: list[tuple[Any, ...]] = []
        for profile, items, parts in asked:
            calls += [("SMISMEMBER", keys.seen, *items) for keys in parts]
            calls += [("HMGET", keys.hidden, *items) for keys in parts if profile.hidden]
        with answered(f"state: reading what {len(asked)} users have seen"):
            replies = iter(await self._call_all(calls))
        found = []
        for profile, items, parts in asked:
            seen = [next(replies) for _ in parts]
            decided = [next(replies) for _ in parts if profile.hidden]
            found.append(_unlisted(items, seen, decided, renames))
        return found

    async def hidden_among(
        self, wanted: Sequence[tuple[Profile, Sequence[str]]], renames: Renames = NO_RENAMES
    ) -> list[frozenset[str]]:
        """Return, for each profile and candidate items, which of them its user has hidden by now, as above."""
        asked = self._asked_parts(_by_all_ids(wanted, renames))
        with answered(f"state: reading what {len(asked)} users have hidden"):
            replies = iter(
                await self._call_all(("HMGET", keys.hidden, *items) for _, items, parts in asked for keys in parts)
            )
        return [_unlisted(items, (), [next(replies) for _ in parts], renames) for _, items, parts in asked]

    def _asked_parts(
        self, wanted: Sequence[tuple[Profile, Sequence[str]]]
    ) -> Sequence[tuple[Profile, Sequence[str], Sequence[UserKeys]]]:
        """Return what is wanted with the keys to ask: once for a call, as guests may be merged while it is answered."""
        return [(profile, items, self._parts(profile) if items else ()) for profile, items in wanted]

    def _parts(self, profile: Profile) -> Sequence[UserKeys]:
        """Return the keys of a user, and of the guests whose history is the user's."""
        return [UserKeys.of(user_id) for user_id in (profile.user_id, *self.merges.guests_of(profile.user_id))]

    async def store_lists(self, lists: Sequence[StoredList]) -> int:
        """Store published lists and their modes; a user's newer list stays. Returns how many were stored.

        Call it after publication: a crash before it repeats the decision about the mode. Users must have been
        applied before, so that asking for a list never makes a user.
        """
        with answered(f"state: storing {len(lists)} lists"):
            replies = await self._call_all(list_call(stored, self._config) for stored in lists)
        return sum(replies)

    async def drop_from_lists(
        self, item_ids: Collection[str], renamed: Mapping[str, str] = NOTHING_RENAMED
    ) -> DroppedItems:
        """Let all stored lists follow the catalogue; see ``streams.state.kept_lists``."""
        return await drop_from_lists(self._client, item_ids, renamed)

    async def count_users(self) -> UserCounts:
        """Return how many users there are by the mode of their last list; see ``streams.state.kept_lists``."""
        return await count_users(self._client)

    async def merge_trending(self, partitions: int, catalogue: Catalogue) -> Trends:
        """Make ``hot:all``, the genres' lists and ``hot:newcomers`` anew; see ``streams.state.trending``."""
        with answered("state: merging trending"):
            return await merge_trending(
                self._client, partitions, catalogue, read=self._config.trending_read, kept=self._config.trending_kept
            )

    async def trending(self, n: int) -> tuple[tuple[str, float], ...]:
        """Return the n hottest items with their heat, hottest first."""
        with answered("state: reading trending"):
            found: Any = await self._client.zrange(TRENDING_ALL, 0, n - 1, desc=True, withscores=True)
        return tuple((item.decode(), float(heat)) for item, heat in found)

    async def exposure(self, partitions: int, item_ids: Sequence[str]) -> ExposureEvidence:
        """Return what is known of items that may be new; see ``streams.state.exposure``."""
        with answered(f"state: reading what is known of {len(item_ids)} items"):
            return await read_exposure(self._client, partitions, item_ids)

    async def put_new_items(self, new: Iterable[NewItem]) -> None:
        """Write which new items lists may show; see ``streams.state.exposure``."""
        with answered("state: writing new items"):
            await write_new_items(self._client, new)

    async def new_items(self) -> tuple[NewItem, ...]:
        """Return them; there are none where no worker has looked lately."""
        with answered("state: reading new items"):
            return await read_new_items(self._client)

    async def newcomers(self, n: int) -> tuple[tuple[str, float], ...]:
        """Return the n items that are hottest among newcomers with their heat, hottest first."""
        with answered("state: reading what trends among newcomers"):
            found: Any = await self._client.zrange(TRENDING_NEWCOMERS, 0, n - 1, desc=True, withscores=True)
        return tuple((item.decode(), float(heat)) for item, heat in found)

    async def put_catalogue(self, put: Iterable[Item], remove: Iterable[str] = ()) -> None:
        """Write titles, years and genres for those who look up; remove what left the catalogue."""
        fields = {item.item_id: _item_json(item) for item in put}
        gone = tuple(remove)
        with answered(f"state: writing {len(fields)} catalogue items"):
            pipeline = self._client.pipeline(transaction=False)
            for chunk in _chunks(tuple(fields.items())):
                pipeline.hset(CATALOG, mapping=dict(chunk))
            for removed in _chunks(gone):
                pipeline.hdel(CATALOG, *removed)
                for item_id in removed:
                    pipeline.delete(similar_key(item_id))
            await pipeline.execute()

    async def put_renames(self, today: Mapping[str, str]) -> None:
        """Write, for each id that an item had, the one that it has; what is no such id any more goes."""
        with answered(f"state: writing {len(today)} renamed items"):
            found: Any = await self._client.hkeys(CATALOG_RENAMED)
            for chunk in _chunks(tuple(today.items())):
                await self._client.hset(CATALOG_RENAMED, mapping=dict(chunk))
            gone = [name for name in (raw.decode() for raw in found) if name not in today]
            for some in _chunks(gone):
                await self._client.hdel(CATALOG_RENAMED, *some)

    async def rejected(self, key: str) -> dict[int, int]:
        """Return, by partition, the offset of the last bad record that became a dead letter.

        ``key`` is the topic's: ``CATALOG_REJECTED`` or ``HINTS_REJECTED``.
        """
        with answered(f"state: reading {key}"):
            found: Any = await self._client.hgetall(key)
        return {int(partition): int(offset) for partition, offset in found.items()}

    async def note_rejected(self, key: str, offsets: Mapping[int, int]) -> None:
        """Note the last bad record of these partitions, so that the next reader does not report it again."""
        with answered(f"state: noting {key}"):
            await self._client.hset(key, mapping={str(at): offset for at, offset in offsets.items()})

    async def put_hint_lifts(self, lifts: HintLifts) -> None:
        """Write how much more each group of people begins with which items."""
        with answered("state: writing the lifts of hints"):
            await self._client.set(HINT_LIFTS, encode(lifts.groups))

    async def hint_lifts(self) -> HintLifts:
        """Return them; there are none before a trainer has written them."""
        with answered("state: reading the lifts of hints"):
            found: Any = await self._client.get(HINT_LIFTS)
        try:
            return HintLifts() if found is None else HintLifts.restored(orjson.loads(found))
        except ValueError as error:
            raise StateError(
                f"state: lifts of groups are required under {HINT_LIFTS}, got {error}; delete that key, and the "
                "trainer writes it anew"
            ) from error

    async def catalogue_ids(self) -> frozenset[str]:
        """Return the ids of the items that look-ups know."""
        with answered("state: reading the ids of the catalogue"):
            found: Any = await self._client.hkeys(CATALOG)
        return frozenset(item_id.decode() for item_id in found)

    async def has_catalogue(self) -> bool:
        """Return whether any title is there."""
        with answered("state: asking whether titles are there"):
            return bool(await self._client.exists(CATALOG))

    async def put_similar(self, similar: Mapping[str, SimilarItems]) -> None:
        """Write, for each item, the items that are similar to it with scores, best first, by content and behaviour."""
        with answered(f"state: writing similar items of {len(similar)} items"):
            await self._call_all(("SET", similar_key(item_id), encode(others)) for item_id, others in similar.items())

    async def sentence_vectors(self, digests: Sequence[str]) -> list[bytes | None]:
        """Return the vectors that were kept by these digests, None for each that was not."""
        with answered(f"state: looking for the vectors of {len(digests)} sentences"):
            return await self._call_all(("GET", sentence_key(digest)) for digest in digests)

    async def keep_sentence_vectors(self, vectors: Mapping[str, bytes], seconds: int) -> None:
        """Keep vectors by digest for some time."""
        with answered(f"state: keeping the vectors of {len(vectors)} sentences"):
            await self._call_all(("SET", sentence_key(digest), body, "EX", seconds) for digest, body in vectors.items())

    async def current_model(self) -> ModelPointer | None:
        """Return the model that workers follow, or None before the first was promoted and where it was withdrawn."""
        with answered("state: reading the current model"):
            found: Any = await self._client.hgetall(MODEL)
        return read_pointer(found)

    async def measured_model(self) -> tuple[ModelPointer | None, ModelStanding] | None:
        """Return the model that workers follow and what it is measured by, as of one moment.

        None before the first was promoted; no pointer where the last one was withdrawn.

        Raises
        ------
        StateError
            If something else is stored as what it is measured by.
        """
        with answered("state: reading the current model and what it is measured by"):
            found: Any = await self._client.hgetall(MODEL)
        return (read_pointer(found), ModelStanding.decode(found.get(STANDING.encode()))) if found else None

    async def withdrawal(self) -> ModelVersion | None:
        """Return the decision since which nothing serves; None where a version does, and where nobody decided it.

        It rests beside the pointer until it is in the history, so these are asked in this order.

        Raises
        ------
        StateError
            If something else is stored in its place.
        """
        with answered("state: reading why nothing serves"):
            found: Any = await self._client.hgetall(MODEL)
            if not found or read_pointer(found) is not None:
                return None
            since = int(found[b"promoted_at"])
            [moves] = await self._call_all([withdrawals_call(since)])
        known = moves if found.get(ANNOUNCING.encode()) is None else [found[ANNOUNCING.encode()], *moves]
        decisions = map(decode_announcing, known)
        return next((one for one in decisions if one.status == "withdrawn" and one.ts == since), None)

    async def note_standing(self, pointer: ModelPointer, standing: ModelStanding) -> None:
        """Note what a version is measured by; nothing changes where another one serves by now."""
        with answered(f"state: noting what {pointer.version!r} is measured by"):
            await self._call_all([measured_call(pointer, standing)])

    async def move_model(
        self,
        pointer: ModelPointer,
        expected: ModelPointer | str | None = ANY_VERSION,
        announcing: ModelVersion | None = None,
        standing: ModelStanding | None = None,
    ) -> bool:
        """Let all workers follow this model; asking for the same again, after an answer that got lost, changes nothing.

        Parameters
        ----------
        pointer : where to; one with an empty version withdraws the model.
        expected : version that must serve until now, None for none; by default it does not matter, and with NO_POINTER
            there must be no pointer at all. A whole pointer also says since when, so that a repetition never undoes
            what somebody else has chosen meanwhile.
        announcing : what everybody is to be told of it, kept until ``note_announced``.
        standing : what it is measured by; by default itself.

        Returns
        -------
        Whether the pointer is there now: False if another version than the expected one serves.
        """
        with answered(f"state: moving the current model to {pointer.version!r}"):
            [moved] = await self._call_all([move_call(pointer, expected, announcing, standing)])
        return bool(moved)

    async def unannounced(self) -> ModelVersion | None:
        """Return what is still to be announced of the model that serves, or None.

        Raises
        ------
        StateError
            If what is stored is no such record.
        """
        with answered("state: reading what is to be announced"):
            found: Any = await self._client.hget(MODEL, ANNOUNCING)
        return None if found is None else decode_announcing(found)

    async def note_announced(self, announced: ModelVersion) -> None:
        """Note that this was announced; nothing changes where another version serves by now."""
        with answered(f"state: noting that {announced.version!r} was announced"):
            serving = "" if announced.status == "withdrawn" else announced.version or ""
            await self._call_all([announced_call(serving, announced.ts)])

    async def note_decision(self, decided: ModelVersion) -> None:
        """Put what was decided of a version into the history; once, however often it is noted."""
        with answered(f"state: noting that {decided.version!r} is {decided.status}"):
            await self._call_all(decision_calls(decided))

    async def experiment(self) -> Experiment | None:
        """Return the experiment that runs, or None.

        Raises
        ------
        StateError
            If what is stored describes none.
        """
        with answered("state: reading the experiment"):
            found: Any = await self._client.get(EXPERIMENT)
        return None if found is None else decode_experiment(found)

    async def mode_overrides(self) -> tuple[dict[str, Mode], tuple[str, ...]]:
        """Return the modes that were chosen by hand, by user id, and what is wrong with fields that choose none.

        Raises
        ------
        StateError
            If there are more than ``streams.state.experiments.MAX_OVERRIDES``, which are not read.
        """
        with answered("state: reading the modes chosen by hand"):
            n: Any = await self._client.hlen(OVERRIDES)
            if n > MAX_OVERRIDES:
                raise StateError(f"state: at most {MAX_OVERRIDES:,} fields are required under {OVERRIDES}, got {n:,}")
            found: Any = await self._client.hgetall(OVERRIDES)
        return decode_overrides(found)

    async def positions(self, topic_partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
        """Return how far each topic partition is applied; from now on it is known to be."""
        wanted = tuple(topic_partitions)
        names = [position_field(topic, partition) for topic, partition in wanted]
        with answered(f"state: reading the positions of {len(wanted)} partitions"):
            found = await self._call_all(
                (
                    "HMGET",
                    PartitionKeys.of(at[1]).at,
                    name,
                    name.replace("at:", "safe:", 1),
                    handled_field(*at),
                    "server",
                )
                for at, name in zip(wanted, names, strict=True)
            )
        positions = {}
        for topic_partition, (*offsets, handled, server) in zip(wanted, found, strict=True):
            applied, safe = (-1 if offset is None else int(offset) for offset in offsets)
            is_foreign = server is not None and server.decode() not in self._servers
            certain = applied if len(self._servers) <= 1 else safe
            positions[topic_partition] = Position(applied, certain, is_foreign, int(handled or 0))
            self._known_positions.note(topic_partition, applied)
        return positions

    async def note_handled(self, handled: Mapping[TopicPartition, int]) -> None:
        """Tell other workers how far partitions are handled, by the offset behind the last record; it never goes back.

        Raises
        ------
        StateMoved
            If a server answers that ``know_servers`` has not found, or a known position is gone or went back: it may
            lack some of that.
        """
        of_partition: dict[int, dict[str, int]] = {}
        for (topic, partition), end in handled.items():
            of_partition.setdefault(partition, {})[topic] = end
        with answered(f"state: noting how far {len(handled)} partitions are handled"):
            await self._call_all(
                handled_call(partition, ends, self._known_servers, self._known_positions.bounds)
                for partition, ends in of_partition.items()
            )

    async def user_positions(self, wanted: Sequence[tuple[str, Sequence[TopicPartition]]]) -> list[list[int]]:
        """Return, for each user and topic partitions, how far they are applied to that user; -1 where nothing is."""
        with answered(f"state: reading how far {len(wanted)} users are applied"):
            found = await self._call_all(
                ("HMGET", UserKeys.of(user_id).profile, *(position_field(*at) for at in places))
                for user_id, places in wanted
            )
        return [[-1 if offset is None else int(offset) for offset in offsets] for offsets in found]

    async def remove_users(self, user_ids: Sequence[str]) -> int:
        """Delete everything that is kept under these users' ids but the modes chosen for them; return how many keys.

        Accounts forget those among them that are their guests. Who are their own guests stays: ``link_guests`` says it.

        Raises
        ------
        StateMoved
            If a server answers that ``know_servers`` has not found: it may lack events of theirs that were applied, and
            these would count as a newcomer's when they are applied again.
        """
        accounts = await self.linked_accounts(user_ids)
        with answered(f"state: deleting {len(user_ids)} users"):
            await self._call_all(
                call
                for guest, account in zip(user_ids, accounts, strict=True)
                if account is not None
                for call in _leaving_calls(guest, account)
            )
            return sum(await self._call_all(remove_call(user_id, self._known_servers) for user_id in user_ids))

    async def remove_choices(self, user_ids: Sequence[str]) -> None:
        """Take back the modes that were chosen by hand for these users."""
        with answered(f"state: taking back the modes of {len(user_ids)} users"):
            await self._client.hdel(OVERRIDES, *user_ids)

    async def linked_accounts(self, guests: Sequence[str]) -> list[str | None]:
        """Return, for each guest, the account that Redis names as the one that the guest was merged into."""
        with answered(f"state: reading the accounts of {len(guests)} guests"):
            found = await self._call_all(("GET", UserKeys.of(guest).merged) for guest in guests)
        return [None if account is None else account.decode() for account in found]

    async def link_guests(self, links: Sequence[tuple[str, str | None, str | None]]) -> None:
        """Say whose guests are from now on: of each the guest, the account before, and the account, None for nobody's.

        A guest's list goes, and the mode chosen for the guest. An account whose guests change has its next list taken,
        whatever the one before had seen. The guests' own keys are written last, by a round trip of their own, so that
        who was interrupted begins anew.
        """
        calls: list[tuple[Any, ...]] = []
        last: list[tuple[Any, ...]] = []
        for guest, before, account in links:
            keys = UserKeys.of(guest)
            if before is not None and before != account:
                calls += _leaving_calls(guest, before)
            if account is None:
                last.append(("DEL", keys.merged))
                continue
            others = UserKeys.of(account)
            calls += [("SADD", others.guests, guest), ("DEL", keys.recs), ("HDEL", OVERRIDES, guest)]
            if before != account:
                calls.append(("HDEL", others.profile, "list_sequence"))
            last.append(("SET", keys.merged, account))
        with answered(f"state: linking {len(links)} guests"):
            await self._call_all(calls)
            await self._call_all(last)

    async def unlisted(self, accounts: Sequence[str]) -> list[str]:
        """Return the accounts that got no list since their guests changed."""
        with answered(f"state: looking for the lists of {len(accounts)} accounts"):
            found = await self._call_all(("HGET", UserKeys.of(one).profile, "list_sequence") for one in accounts)
        return [account for account, is_listed in zip(accounts, found, strict=True) if not is_listed]

    async def rename_user(self, user_id: str, other_id: str) -> None:
        """Let what is kept of a user be another's, but no list; the profile last: its positions tell whose it is.

        The account that the user was merged into, if any, forgets the guest. The user's own guests stay the user's.
        """
        keys, others = UserKeys.of(user_id), UserKeys.of(other_id)
        [account] = await self.linked_accounts([user_id])
        with answered("state: renaming a user"):
            await self._call_all([] if account is None else _leaving_calls(user_id, account))
            await self._client.delete(keys.recs, keys.merged)
            for key, other in reversed(tuple(zip(keys.own(), others.own(), strict=True))):
                if self._is_cluster:  # where they lie in different slots
                    dump: Any = await self._client.dump(key)
                    if dump is not None:
                        await self._client.restore(other, 0, dump, replace=True)
                        await self._client.delete(key)
                else:
                    await self._rename(key, other)

    async def _rename(self, key: str, other: str) -> None:
        """Rename a key, if it is there: another worker may do the same."""
        try:
            await self._client.rename(key, other)
        except ResponseError as error:
            if _ABSENT not in str(error):
                raise

    async def _has_lost(self, bounds: Bounds) -> bool:
        """Return whether positions stand before these bounds; raise StateError where that cannot be recovered."""
        lost = await self._lost(bounds)
        if not lost:
            return False
        topic_partition, at = next(iter(lost.items()))
        what = f"{position_field(*topic_partition)} is {at}, not {bounds[topic_partition]} or more"
        if self._is_cluster:
            with answered("state: asking which servers there are"):
                if await server_ids(self._client) != self._servers:
                    return True  # they failed over meanwhile, and how much that may cost is known
            await self._tear(what)
        logger.error("state.positions_lost %s: the database was emptied, or keys deleted", what)
        return True

    async def _tear(self, what: str) -> NoReturn:
        """Refuse a cluster of which a part was emptied, now and whenever a worker starts.

        Nobody knows which users that part held, and the workers that own their partitions may not have noticed.
        """
        with answered("state: noting that a part was emptied"):
            await self._client.set(TORN, what)
        raise _unrecoverable(what)

    async def _require_kept(self, bounds: Bounds) -> None:
        """Raise StateMoved where positions were lost."""
        if await self._has_lost(bounds):
            raise _moved()

    async def _lost(self, bounds: Bounds) -> dict[TopicPartition, int]:
        """Return the positions that stand before these bounds."""
        names = [position_field(topic, partition) for topic, partition in bounds]
        with answered(f"state: comparing the positions of {len(bounds)} partitions"):
            found = await self._call_all(
                ("HGET", PartitionKeys.of(partition).at, name)
                for (_, partition), name in zip(bounds, names, strict=True)
            )
        stored = (
            (topic_partition, -1 if at is None else int(at)) for topic_partition, at in zip(bounds, found, strict=True)
        )
        return {topic_partition: at for topic_partition, at in stored if at < bounds[topic_partition]}

    @property
    def _known_servers(self) -> str:
        return ",".join(sorted(self._servers))

    async def _call_all(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Send all calls in one round trip; each is atomic, the pipeline is not a transaction."""
        return await self._call_but(calls, None)

    async def _call_but(self, calls: Iterable[tuple[Any, ...]], may_fail: re.Pattern[str] | None) -> list[Any]:
        """Do the same; errors whose text has ``may_fail`` are returned in the places of their answers."""
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call)
        try:
            if may_fail is None:
                return await pipeline.execute()
            replies = await pipeline.execute(raise_on_error=False)
            _raise_first(one for one in replies if isinstance(one, Exception) and not may_fail.search(str(one)))
        except ResponseError as error:
            told = str(error).rpartition("caused error: ")[2]  # before it stands the command, with ids of anybody
            lost = _LOST.search(told)
            if lost and self._is_cluster:
                await self._tear(lost[1])
            if lost:
                logger.error("state.positions_lost %s: the database was emptied, or keys deleted", lost[1])  # noqa: TRY400 - one line
            if lost or any(word in told for word in _MOVED):
                raise _moved() from error
            raise
        return replies


def _raise_first(errors: Iterable[Exception]) -> None:
    for error in errors:
        raise error


def _moved() -> StateMoved:
    return StateMoved(
        "state: the Redis that was known is required, with all that was applied, got another one or an emptied one; "
        "what it holds must be compared with what was applied"
    )


def _unrecoverable(what: str) -> StateError:
    return StateError(
        f"state: in a Redis Cluster every position that was applied must stay, got a server that was emptied: {what}; "
        "stop the workers and either delete the whole state with `reelstream redis clear --yes`, so that everything is "
        "read again from Kafka, or make it anew elsewhere with `reelstream rebuild --to URL`"
    )


def _leaving_calls(guest: str, account: str) -> tuple[tuple[Any, ...], ...]:
    """Return the calls by which an account forgets a guest; its events were counted in the sequence of its list."""
    keys = UserKeys.of(account)
    return ("SREM", keys.guests, guest), ("HDEL", keys.profile, "list_sequence")


def _item_json(item: Item) -> bytes:
    dates = {name: at for name, at in (("released", item.released), ("expires", item.expires)) if at is not None}
    hidden = {"hidden": True} if item.hidden else {}
    was = {"was": item.was} if item.was else {}
    return orjson.dumps({"title": item.title, "year": item.year, "genres": item.genres} | dates | hidden | was)


def _by_all_ids(
    wanted: Sequence[tuple[Profile, Sequence[str]]], renames: Renames
) -> Sequence[tuple[Profile, Sequence[str]]]:
    if not renames.today:
        return wanted
    return [(profile, [name for item in items for name in renames.names_of(item)]) for profile, items in wanted]


def _unlisted(
    items: Sequence[str], seen: Sequence[Sequence[int]], decided: Sequence[Sequence[bytes | None]], renames: Renames
) -> frozenset[str]:
    """Return, by first ids, what a user or a guest of the user touched, and what is hidden by what was decided last."""
    first_id = renames.first_id
    touched = {first_id(item) for of_part in seen for item, is_seen in zip(items, of_part, strict=True) if is_seen}
    told: dict[str, list[str]] = {}
    for of_part in decided:
        for item, decisions in zip(items, of_part, strict=True):
            if decisions:
                told.setdefault(first_id(item), []).append(decisions.decode())
    return frozenset(touched | {item for item, found in told.items() if is_hidden(found)})


def _grouped(events: Iterable[SourcedEvent], key: Callable[[SourcedEvent], T]) -> dict[T, list[SourcedEvent]]:
    groups: dict[T, list[SourcedEvent]] = {}
    for event in events:
        groups.setdefault(key(event), []).append(event)
    return groups


def _chunks(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[first : first + _CHUNK] for first in range(0, len(values), _CHUNK))
