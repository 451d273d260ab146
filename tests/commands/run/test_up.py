"""What `up` prints for another terminal."""

import shlex
from importlib import import_module

import pytest

from model.kinds import DEFAULT_KINDS, KindTable
from reelstream import _COMMANDS
from streams.settings import Settings

UP = import_module(_COMMANDS["up"][0])


def exported(**settings):
    """Return the variables that the line with ``export`` sets in a shell."""
    export, *words = shlex.split(UP._export(Settings("h:9", **settings)))
    assert export == "export"
    return dict(word.split("=", 1) for word in words)


def test_addresses_are_exported():
    """The line sets both servers' addresses and the registry, also one with a space in its path."""
    assert exported(redis="redis://h:1/2", registry="/a folder/models") == {
        "REELSTREAM_KAFKA": "h:9",
        "REELSTREAM_REDIS": "redis://h:1/2",
        "REELSTREAM_REGISTRY": "/a folder/models",
    }


def test_prefix_is_exported_where_there_is_one():
    """Whoever sends beside a prefix has to know it."""
    assert exported(redis="redis://h:1", registry="m", prefix="shop-")["REELSTREAM_PREFIX"] == "shop-"


def test_what_all_processes_must_agree_on_is_exported():
    """Commands in the other terminal treat repeats, and read kinds, as the processes do."""
    kinds = KindTable.of(DEFAULT_KINDS.rows, "/a folder/kinds.toml")
    found = exported(redis="redis://h:1", registry="m", keep_repeats=True, kinds=kinds)
    assert found["REELSTREAM_KEEP_REPEATS"] == "1"
    assert found["REELSTREAM_KINDS"] == "/a folder/kinds.toml"


@pytest.mark.parametrize("address", ["redis://:word@h:1", "redis://ann:word@h:1/2", "redis://h:1?password=word"])
def test_password_is_not_printed(address):
    """An address of Redis that holds a password is left out: who gave it to `up` has it already."""
    assert exported(redis=address, registry="m").keys() == {"REELSTREAM_KAFKA", "REELSTREAM_REGISTRY"}
