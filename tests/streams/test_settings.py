"""Settings: where they come from, which wins, and what is refused."""

import dataclasses

import pytest

from streams.errors import SettingsError
from streams.settings import Settings, data_folder

GIVEN = Settings("k:9092", "redis://r:6379/0", "/models")


def test_defaults_are_this_machine():
    """Without variables the servers are local, the registry lies in the data folder, and 8 partitions are made."""
    settings = Settings.from_environment({})
    assert settings == Settings("127.0.0.1:9092", "redis://127.0.0.1:6379/0", str(data_folder() / "models"), "", 8, 1)


def test_a_variable_wins_over_the_default_and_an_argument_over_both():
    """Given values come first, then the environment; None and an empty variable count as not given."""
    environment = {"REELSTREAM_KAFKA": "env:1", "REELSTREAM_PARTITIONS": "4", "REELSTREAM_PREFIX": ""}
    settings = Settings.from_environment(environment, kafka="arg:1", redis=None)
    assert (settings.kafka, settings.redis, settings.partitions) == ("arg:1", "redis://127.0.0.1:6379/0", 4)
    assert Settings.from_environment(environment).kafka == "env:1"


def test_the_process_environment_is_read_when_none_is_given(monkeypatch):
    """Without a mapping the variables of the process count."""
    monkeypatch.setenv("REELSTREAM_KAFKA", "outside:9092")
    assert Settings.from_environment().kafka == "outside:9092"


def test_settings_reach_a_child_process_unchanged():
    """The variables of ``environment`` read back to equal settings."""
    settings = dataclasses.replace(
        GIVEN, prefix="t1-", partitions=4, replication=3, retrieval="exact", compression="zstd"
    )
    assert Settings.from_environment(settings.environment()) == settings


def test_addresses_come_one_by_one_and_no_compression_is_none():
    """Clients are given a list of addresses without spaces, and None where nothing is compressed."""
    settings = dataclasses.replace(GIVEN, kafka="a:1, b:2,")
    assert settings.kafka_addresses == ["a:1", "b:2"]
    assert settings.compression_type is None
    assert dataclasses.replace(GIVEN, compression="lz4").compression_type == "lz4"


def test_an_unknown_compression_is_refused_by_its_variable():
    """Only the codecs of Kafka are taken, and the message names the variable."""
    with pytest.raises(SettingsError, match=r"REELSTREAM_KAFKA_COMPRESSION must be none or gzip .*got 'brotli'"):
        dataclasses.replace(GIVEN, compression="brotli")


def test_other_addresses_leave_the_rest():
    """``at`` changes Kafka and Redis only."""
    assert GIVEN.at("x:1", "redis://y") == dataclasses.replace(GIVEN, kafka="x:1", redis="redis://y")


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("kafka", ["a:1", "a:1,b:2"], ["", "  "]),
        ("redis", ["redis://h", "rediss://h", "unix:///s"], ["", "h:6379", "http://h"]),
        ("registry", ["x", "s3://bucket/models"], [""]),
        ("prefix", ["", "a.b_c-1", "x" * 64], ["x" * 65, "a b", "a/b", "ü"]),
        ("partitions", [1, 4096], [0, 4097, -1]),
        ("replication", [1, 15], [0, 16]),
    ],
)
def test_each_field_keeps_to_its_limits(field, good, bad):
    """Both ends pass, one past each is refused, and the message names the variable and the value."""
    for value in good:
        assert getattr(dataclasses.replace(GIVEN, **{field: value}), field) == value
    for value in bad:
        with pytest.raises(SettingsError) as caught:
            dataclasses.replace(GIVEN, **{field: value})
        assert f"REELSTREAM_{field.upper()}" in str(caught.value)
        assert f"got {value!r}" in str(caught.value)


@pytest.mark.parametrize("value", ["many", "4.5", ""])
def test_partitions_are_a_whole_number(value):
    """Text that is no whole number is refused, not guessed."""
    with pytest.raises(SettingsError, match="REELSTREAM_PARTITIONS must be a whole number"):
        Settings.from_environment({}, partitions=value)


def test_the_idle_period_is_read_and_checked():
    """REELSTREAM_IDLE_DAYS is a whole number of days, 0 for never; a negative one is refused by name."""
    assert Settings.from_environment({"REELSTREAM_IDLE_DAYS": "30"}).idle_days == 30
    assert Settings.from_environment({}).idle_days == 365
    with pytest.raises(SettingsError, match=r"REELSTREAM_IDLE_DAYS must be 0 \(never\) to 36500, got -1"):
        Settings.from_environment({"REELSTREAM_IDLE_DAYS": "-1"})


def test_who_is_scored_can_be_chosen():
    """``REELSTREAM_RETRIEVAL`` is auto, exact, faiss or faiss-tower, and auto if not given."""
    modes = ("exact", "faiss", "faiss-tower", "")
    chosen = [Settings.from_environment({"REELSTREAM_RETRIEVAL": mode}).retrieval for mode in modes]
    assert chosen == ["exact", "faiss", "faiss-tower", "auto"]
    with pytest.raises(
        SettingsError, match="REELSTREAM_RETRIEVAL must be auto or exact or faiss or faiss-tower, got 'annoy'"
    ):
        Settings.from_environment({"REELSTREAM_RETRIEVAL": "annoy"})


@pytest.mark.parametrize(("given", "means"), [("1", True), ("yes", True), ("0", False), ("False", False), ("", False)])
def test_eviction_is_allowed_by_a_plain_word(given, means):
    """REELSTREAM_ALLOW_EVICTION is 1 or 0, hands itself on to children, and is 0 where it is not given."""
    settings = Settings.from_environment({"REELSTREAM_ALLOW_EVICTION": given})
    assert settings.allow_eviction is means
    assert Settings.from_environment(settings.environment()) == settings


def test_another_word_about_eviction_is_refused():
    """The message names the variable."""
    with pytest.raises(SettingsError, match="REELSTREAM_ALLOW_EVICTION must be 1 or 0, got 'maybe'"):
        Settings.from_environment({"REELSTREAM_ALLOW_EVICTION": "maybe"})


def test_repeats_are_dropped_unless_they_are_kept():
    """REELSTREAM_KEEP_REPEATS is 1 or 0, hands itself on to children, and is 0 where it is not given."""
    assert Settings.from_environment({}).keep_repeats is False
    settings = Settings.from_environment({"REELSTREAM_KEEP_REPEATS": "1"})
    assert settings.keep_repeats is True
    assert Settings.from_environment(settings.environment()).keep_repeats is True
    with pytest.raises(SettingsError, match="REELSTREAM_KEEP_REPEATS must be 1 or 0, got 'some'"):
        Settings.from_environment({"REELSTREAM_KEEP_REPEATS": "some"})
