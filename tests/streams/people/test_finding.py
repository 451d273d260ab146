"""Looking for a user while a trainer rewrites versions, and in an archive that installations share."""

from redis import Redis

from streams.archive.parquet import EventArchive, Scan, to_rows
from streams.kafka.topics import create_topics
from streams.people.export import export_user
from streams.people.finding import find_places, in_versions
from streams.records.records import Origin, Watch
from streams.registry.registry import Registry
from streams.registry.versions import VersionStore
from streams.settings import Settings
from tests.toy import toy_snapshot

USERS = tuple(f"u{n}" for n in range(300))  # so many that they have a file of their own


class Behind(VersionStore):
    """A store whose versions are rewritten just after they were listed."""

    def list(self):
        """Return what stood there before."""
        found = super().list()
        Registry(self.url).forget_users({"u1": "nobody"})
        return found


def test_a_version_that_is_rewritten_meanwhile_is_read_again(tmp_path):
    """Its new content counts; one that cannot be read is taken to hold the user."""
    registry = Registry(str(tmp_path))
    about = {"parent": None, "metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    version = registry.save(toy_snapshot(["i"], users=USERS), **about)
    assert in_versions(registry, "u1") == (version.version_id,)
    assert in_versions(Behind(registry.url), "u1") == ()
    assert in_versions(registry, "u2") == (version.version_id,)
    (tmp_path / version.version_id / "users_r1.json").unlink()
    assert in_versions(registry, "nobody else") == (version.version_id,)


def test_a_user_of_another_installation_is_no_place(redis_url, stack, tmp_path):
    """One id may be a person of each: of a shared archive only rows of the own topics are found, and exported."""
    archive = EventArchive(str(tmp_path / "archive"))
    for prefix in ("", "shop-"):
        rows = to_rows([(Origin(f"{prefix}watch-events", 0, 0, 1), Watch("e", f"{prefix}u", "i", 1, 1.0))])
        archive.write(Scan(f"{prefix}watch-events", 0, 0, 0, "2023-11-14", [rows]))
    settings = Settings(stack.kafka, redis_url, str(tmp_path / "models"), partitions=1, prefix="shop-")
    create_topics(settings)
    with Redis.from_url(redis_url) as client:
        assert find_places(client, "u", settings, archive.url).archive == ()
        assert len(find_places(client, "shop-u", settings, archive.url).archive) == 1
    assert export_user(settings, "u", archive.url)["archive"] == []
    [row] = export_user(settings, "shop-u", archive.url)["archive"]
    assert row["topic"] == "shop-watch-events"
