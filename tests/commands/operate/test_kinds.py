"""``reelstream kinds``: the table that processes would read."""

import json

from click.testing import CliRunner

from commands.operate.kinds import kinds


def shown(monkeypatch, file, *arguments):
    """Return what the command prints where the variable names this file."""
    monkeypatch.setenv("REELSTREAM_KINDS", str(file))
    done = CliRunner().invoke(kinds, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_table_is_shown_with_its_file(monkeypatch, tmp_path):
    """A row of one's own stands among the defaults, which say where they come from if there is no file."""
    file = tmp_path / "kinds.toml"
    file.write_text("[like]\nweight = 0.8\npositive = true\n")
    lines = [line.split() for line in shown(monkeypatch, file).splitlines()]
    assert lines[:2] == [["kind", "weight", "positive", "effect"], ["hide", "0", "no", "hide"]]
    assert ["like", "0.8", "yes"] in lines
    assert lines[-1] == ["from", str(file)]
    assert "the defaults" in shown(monkeypatch, "")


def test_the_table_is_one_json_object(monkeypatch, tmp_path):
    """Each row has its four fields."""
    file = tmp_path / "kinds.toml"
    file.write_text("[like]\nweight = 0.8\npositive = true\n")
    found = json.loads(shown(monkeypatch, file, "--json"))
    assert found["file"] == str(file)
    assert {"name": "like", "weight": 0.8, "is_positive": True, "effect": None} in found["kinds"]
    assert json.loads(shown(monkeypatch, "", "--json"))["file"] is None
