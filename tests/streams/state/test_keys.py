from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from streams.state.keys import PartitionKeys, UserKeys, list_key, lists_of_users, position_field, user_of

ids = st.text(st.characters(exclude_categories=("C", "Z"), include_characters="{}%: "), min_size=1, max_size=64)


def names(keys):
    """Return the values of all fields."""
    return [getattr(keys, field) for field in keys.__slots__]


@given(ids)
def test_all_keys_of_a_user_lie_in_one_slot(user_id):
    """Whatever the id holds, Redis Cluster puts a user's seven keys into one slot."""
    assert len({key_slot(name.encode()) for name in names(UserKeys.of(user_id))}) == 1


@given(ids, ids)
def test_no_user_reaches_the_keys_of_another(one, other):
    """Two different ids share no key."""
    assert one == other or not set(names(UserKeys.of(one))) & set(names(UserKeys.of(other)))


def test_an_id_that_looks_like_a_key_stays_inside_its_tag():
    """Braces and percent signs are encoded, nothing else is."""
    assert UserKeys.of("a}:seen").profile == "user:{a%7D:seen}"
    assert UserKeys.of("{50%}").recent == "user:{%7B50%25%7D}:recent"
    assert UserKeys.of("é 1:2").recs == "user:{é 1:2}:recs"


def test_all_keys_of_a_partition_lie_in_one_slot():
    """A partition's five keys share the tag ``p<k>``."""
    assert names(PartitionKeys.of(12))[0] == "items:{p12}:at"
    assert len({key_slot(name.encode()) for name in names(PartitionKeys.of(12))}) == 1


def test_a_position_is_named_by_topic_and_partition():
    """The topic stands with its prefix."""
    assert position_field("my-watch-events", 3) == "at:my-watch-events:3"


def test_the_key_of_a_list_names_its_user():
    """A user id is read back from the key of its list, and the pattern of a beginning takes it as it is."""
    for user_id in ("ann", "u{1}%7D", "a*b?[c]"):
        assert user_of(UserKeys.of(user_id).recs) == user_id
        assert list_key(user_id) == UserKeys.of(user_id).recs
    assert lists_of_users("a*") == r"user:{a\**}:recs"
