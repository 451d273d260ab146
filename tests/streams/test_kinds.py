"""Reading a table of kinds from a file, and finding it by the settings."""

import pytest

from model.kinds import DEFAULT_KINDS, EventKind
from streams.errors import SettingsError
from streams.kinds import read_kinds
from streams.settings import Settings


def written(tmp_path, text):
    """Return a file with this text."""
    file = tmp_path / "kinds.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_named_rows_are_added_and_the_others_stay(tmp_path):
    """A like and a row that hides come to the defaults; a section of watch changes its weight alone."""
    text = '[like]\nweight = 0.8\npositive = true\n[watch]\nweight = 0.5\n[not-for-me]\neffect = "hide"\n'
    table = read_kinds(written(tmp_path, text))
    assert table.find("like") == EventKind("like", 0.8, is_positive=True)
    assert table.find("watch") == EventKind("watch", 0.5, is_positive=True)
    assert table.find("not-for-me") == EventKind("not-for-me", 0.0, is_positive=False, effect="hide")
    assert {name: table.find(name) for name in ("rate", "hide", "unhide")} == {
        name: DEFAULT_KINDS.find(name) for name in ("rate", "hide", "unhide")
    }


def test_hide_may_say_what_it_is(tmp_path):
    """A row of hide with weight 0 that is not positive still hides."""
    assert read_kinds(written(tmp_path, "[hide]\nweight = 0\npositive = false\n")) == DEFAULT_KINDS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[like\n", "must name a TOML file of kinds"),
        ("like = 0.8\n", r"like must be a section such as \[like\], got 0.8"),
        ("[like]\nweight = 0.8\n", r"\[like\] must say positive, true or false, got weight"),
        ("[like]\npositive = true\n", r"\[like\] must say weight, a number from 0 to 1, got positive"),
        ("[like]\n", r"\[like\] must say weight, a number from 0 to 1, got nothing"),
        ("[like]\nweight = 2\npositive = true\n", r"weight of \[like\] must be a number from 0 to 1, got 2"),
        ("[like]\nweight = true\npositive = true\n", r"weight of \[like\] must be a number from 0 to 1, got True"),
        ("[like]\nweight = nan\npositive = true\n", "a number from 0 to 1, got nan"),
        ("[like]\nweight = 1\npositive = 1\n", r"positive of \[like\] must be true or false, got 1"),
        (
            "[like]\nwieght = 1\npositive = true\n",
            r"\[like\] must have fields among weight, positive, effect, got 'wie",
        ),
        ('[gone]\neffect = "remove"\n', r'effect of \[gone\] must be "hide" or "unhide", got \'remove\''),
        ('["a b"]\nweight = 1\npositive = true\n', "the name of a kind must be 1 to 64 letters"),
        ("[hide]\nweight = 0.5\n", "'hide' must have weight 0 and not be positive"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, text, said):
    """The message names the file, the variable and the row."""
    file = written(tmp_path, text)
    with pytest.raises(SettingsError, match=said) as raised:
        read_kinds(file)
    assert str(file) in str(raised.value)
    assert "REELSTREAM_KINDS" in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """Bytes that are no text, a folder, and nothing at all."""
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    for name in ("bytes.toml", ".", "absent.toml"):
        with pytest.raises(SettingsError, match="REELSTREAM_KINDS must name a TOML file of kinds, got") as raised:
            read_kinds(tmp_path / name)
        assert str(tmp_path) in str(raised.value)


def test_settings_read_the_table_and_hand_it_on(tmp_path, monkeypatch):
    """A file named from its folder is found again by a child process that runs elsewhere."""
    written(tmp_path, "[like]\nweight = 1\npositive = true\n")
    monkeypatch.chdir(tmp_path)
    found = Settings.from_environment({"REELSTREAM_KINDS": "kinds.toml"})
    assert found.kinds.own == ("hide", "like", "unhide")
    monkeypatch.chdir("/")
    assert Settings.from_environment(found.environment()) == found
    assert Settings.from_environment({"REELSTREAM_KINDS": ""}).kinds == DEFAULT_KINDS
