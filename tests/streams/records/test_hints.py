"""Records of ``user-profiles``: hints in, users taken back, and reasons that quote nothing personal."""

import orjson
import pytest

from model.hints import UserHints
from streams.records.codec import BadRecord, decode_hints


def decoded(fields, key=b"ann"):
    """Decode a record of these fields."""
    return decode_hints(key, orjson.dumps(fields))


def test_each_hint_is_optional_and_an_age_counts_as_its_band():
    """Null is absent, an unknown field is ignored, and 34 years are of the band from 25 on."""
    fields = {"user_id": "ann", "age": 34, "gender": "F", "occupation": "scientist", "income": 9}
    assert decoded(fields) == UserHints("ann", 25, "F", "scientist")
    assert decoded({"user_id": "ann", "age": None}) == UserHints("ann")
    assert decoded({"user_id": 7}, None) == UserHints("7")


@pytest.mark.parametrize(("key", "user"), [(b"ann", "ann"), (b'"ann"', "ann"), ((7).to_bytes(8, "big"), "7")])
@pytest.mark.parametrize("value", [None, b""])
def test_an_empty_value_takes_the_hints_of_its_key_back(key, user, value):
    """The key names the user in any known form."""
    assert decode_hints(key, value) == user


@pytest.mark.parametrize(
    ("fields", "cause", "says"),
    [
        ({"age": 34}, "missing_field", "user_id is required"),
        ({"user_id": "ann", "age": -1}, "bad_field", "age must be a whole number from 0 to 150"),
        ({"user_id": "ann", "age": 151}, "bad_field", "age must be a whole number from 0 to 150"),
        ({"user_id": "ann", "age": "25-34"}, "bad_field", "age must be a whole number from 0 to 150"),
        ({"user_id": "ann", "gender": ""}, "bad_field", "gender must be 1 to 64 printable characters"),
        ({"user_id": "ann", "gender": 1}, "bad_field", "gender must be 1 to 64 printable characters"),
        ({"user_id": "ann", "occupation": "x" * 65}, "bad_field", "occupation must be 1 to 64 printable characters"),
        ({"user_id": "bob", "gender": "secret"}, "wrong_key", "key must be the user_id"),
        (["secret"], "not_an_object", "value must be a JSON object"),
    ],
)
def test_what_breaks_the_contract_is_told_without_what_came(fields, cause, says):
    """The reason says what is required, and that what came is not shown."""
    with pytest.raises(BadRecord) as caught:
        decoded(fields)
    assert caught.value.cause == cause
    assert caught.value.detail.startswith(says)
    assert caught.value.detail.endswith("; what came is personal and not shown")
    assert "got" not in caught.value.detail
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize("key", [None, b"", b"\xff"])
def test_a_removal_without_a_user_is_refused(key):
    """Without a key that names somebody there is nobody whose hints could be taken back."""
    with pytest.raises(BadRecord, match="user_id"):
        decode_hints(key, None)


def test_text_that_is_no_json_is_not_quoted():
    """A reason never holds the bytes of a value, as it is logged."""
    with pytest.raises(BadRecord) as caught:
        decode_hints(b"ann", b"F,34,secret")
    assert (caught.value.cause, "secret" in caught.value.detail) == ("not_json", False)
