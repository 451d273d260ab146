"""What a minor version may change: nothing that breaks who uses the first contracts, which are kept here."""

import json
from pathlib import Path

import pytest

from streams.contracts.compatibility import breaking_changes
from streams.contracts.documents import contract_files, write_files
from streams.contracts.messages import CONTRACT_VERSION
from streams.errors import DataError

KEPT = {  # a folder for each version
    tuple(map(int, folder.name.split("_")[1:])): folder
    for folder in (Path(__file__).parents[2] / "data").glob("contracts_*")
}


def meant(schema):
    """Return a schema without what is only said of it."""
    if isinstance(schema, list):
        return [meant(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    said = {name for name in ("title", "description", "examples") if not isinstance(schema.get(name), dict)}
    return {name: meant(one) for name, one in schema.items() if name not in said}


@pytest.mark.parametrize("version", sorted(KEPT))
def test_nothing_breaks_for_users_of_earlier_contracts(version):
    """Whoever sends and reads by the first version, or a later one, is understood and understands."""
    assert breaking_changes(KEPT[version]) == ()


def test_another_set_has_another_version():
    """The latest set that is kept has the number and the schemas of now; a change is a new number and one more set."""
    major, minor, patch = map(int, CONTRACT_VERSION.split("."))
    assert (max(KEPT), patch) == ((major, minor), 0)
    files = KEPT[major, minor].glob("*.schema.json")
    kept = {file.name: meant(json.loads(file.read_text("utf-8"))) for file in files}
    now = {name: meant(json.loads(text)) for name, text in contract_files().items() if name.endswith(".schema.json")}
    assert now == kept
    assert [one for one, _ in KEPT] == [major] * len(KEPT)


@pytest.fixture
def broken(tmp_path):
    """Return a function that changes an older schema and tells what then breaks."""

    def tell(topic, change):
        write_files(tmp_path)
        schema = json.loads((tmp_path / f"{topic}.schema.json").read_text())
        change(schema["properties"], schema)
        (tmp_path / f"{topic}.schema.json").write_text(json.dumps(schema))
        return breaking_changes(tmp_path)

    return tell


@pytest.mark.parametrize(
    ("topic", "change", "said"),
    [
        (
            "watch-events",
            lambda fields, _: fields["progress"].update(maximum=100),
            "progress: maximum is 100",
        ),
        ("watch-events", lambda _, schema: schema["required"].remove("ts"), "ts: is required"),
        ("watch-events", lambda _, schema: schema["else"]["required"].remove("progress"), "progress: is required"),
        ("watch-events", lambda fields, _: fields.update(device={"type": "string"}), "watch-events: device is gone"),
        ("rate-events", lambda fields, _: fields["rating"].update(type=["number", "string"]), "string on one side"),
        ("catalog-items", lambda fields, _: fields["genres"].pop("maxItems"), "catalog-items.genres: maxItems is None"),
        (
            "catalog-items",
            lambda fields, _: fields["genres"]["items"].update(maxLength=99),
            "[]: maxLength is 99",
        ),
        ("action-events", lambda fields, _: fields["kind"].pop("not"), "action-events.kind: not differs"),
        ("recommendations", lambda fields, _: fields["tier"].update(type="string"), "tier: null on one side"),
        ("recommendations", lambda fields, _: fields["k"].update(type="string"), "k: integer on one side"),
        ("recommendations", lambda fields, _: fields.update(note={"type": "string"}), "recommendations: note is gone"),
        ("mode-changes", lambda fields, _: fields["known_items"].update(minimum=1), "known_items: minimum is None"),
        (
            "recommendations",
            lambda fields, _: fields["items"]["items"]["properties"].update(note={"type": "string"}),
            "recommendations.items[]: note is gone",
        ),
        (
            "recommendations",
            lambda fields, _: fields["trigger"]["properties"].update(note={"type": "string"}),
            "recommendations.trigger: note is gone",
        ),
        ("recommendations", lambda fields, _: fields["user_id"].update(enum=["ann"]), "user_id: any word on one side"),
    ],
)
def test_what_breaks_is_named(broken, topic, change, said):
    """Who comes in by a wider contract, or goes out by a narrower one, breaks, and the line says at which field."""
    (line,) = broken(topic, change)
    assert said in line


@pytest.mark.parametrize(
    ("topic", "change"),
    [
        ("watch-events", lambda fields, _: fields["progress"].update(maximum=0.5)),
        ("watch-events", lambda fields, schema: (fields.pop("rec_id"), schema["required"].append("ts"))),
        ("watch-events", lambda fields, _: fields["progress"].update(type="integer")),
        ("recommendations", lambda fields, schema: (fields.pop("tier"), schema["required"].remove("tier"))),
        ("recommendations", lambda fields, _: fields["mode"].update(enum=["cold_start"])),
        ("mode-changes", lambda fields, _: fields["known_items"].update(type=["integer", "null"])),
    ],
)
def test_what_a_minor_version_may_do_breaks_nothing(broken, topic, change):
    """More may come in than did; what goes out may have more fields and words, and be surer."""
    assert broken(topic, change) == ()


def test_a_topic_that_is_gone_is_named(tmp_path):
    """A schema of no topic that there is."""
    (tmp_path / "films.schema.json").write_text("{}")
    assert breaking_changes(tmp_path) == ("films: the topic is gone",)


def test_a_folder_without_schemas_is_told(tmp_path):
    """It is no set of contracts; neither is one with a file that is no JSON."""
    with pytest.raises(DataError, match="got none in"):
        breaking_changes(tmp_path)
    (tmp_path / "watch-events.schema.json").write_text("{")
    with pytest.raises(DataError, match="a JSON Schema is required"):
        breaking_changes(tmp_path)
