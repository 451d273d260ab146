"""The container files, checked without an engine: shape, commands, settings, and what the image contains."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from reelstream import cli
from streams.security import KafkaSecurity
from streams.settings import Settings
from web.api.keys import KEYS_VARIABLE

ROOT = Path(__file__).parents[1]
OURS = ("topics", "worker", "trainer", "scorekeeper", "api")


@pytest.fixture(scope="module")
def compose():
    """Return the compose file as parsed YAML."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dockerfile():
    """Return the Dockerfile as text."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def schema():
    """Return the published schema of compose files."""
    return json.loads((ROOT / "tests/data/compose-spec.json").read_text(encoding="utf-8"))


def test_compose_file_is_valid(compose, schema):
    """docker-compose.yml satisfies the published schema of the Compose Specification."""
    jsonschema.Draft202012Validator(schema).validate(compose)


def test_schema_refuses_a_misspelt_key(compose, schema):
    """The schema is strict enough to notice a healthcheck with a key that does not exist."""
    worker = compose["services"]["worker"] | {"healthcheck": {"tests": ["CMD", "true"]}}
    with pytest.raises(jsonschema.ValidationError, match="tests"):
        jsonschema.Draft202012Validator(schema).validate({"services": {"worker": worker}})


def test_long_running_services_have_health_checks(compose):
    """Every service but the one-shot creation of topics tells its health and is started again."""
    services = {name: service for name, service in compose["services"].items() if name != "topics"}
    assert set(services) == {"kafka", "valkey", "worker", "trainer", "scorekeeper", "api", "prometheus", "grafana"}
    assert all("healthcheck" in service and service["restart"] == "unless-stopped" for service in services.values())


def test_workers_can_be_scaled(compose):
    """The worker has no fixed name and publishes no port, so several can run side by side."""
    assert not {"container_name", "ports"} & set(compose["services"]["worker"])


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(compose, name):
    """What a service runs, and its health check, are commands of ours with arguments that they accept."""
    service = compose["services"][name]
    checks = [service["healthcheck"]["test"][2:]] if "healthcheck" in service else []
    for words in [service["command"], *checks]:
        command, rest = cli, list(words)
        while rest and hasattr(command, "get_command"):
            command = command.get_command(None, rest.pop(0))
            assert command is not None, words
        with command.make_context(words[0], rest, resilient_parsing=False):
            pass


@pytest.mark.parametrize("name", OURS)
def test_settings_are_read(compose, name):
    """Each variable that a service sets is one that the settings read; only those of a secured Kafka are not set."""
    environment = compose["services"][name]["environment"]
    environment = {key: value for key, value in environment.items() if key != KEYS_VARIABLE}
    plain = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for key, value in environment.items()}
    settings = Settings.from_environment(plain)
    assert settings.security == KafkaSecurity()
    secured = settings.security.environment()
    assert {key: value for key, value in settings.environment().items() if key not in secured} == plain


def test_models_are_shared(compose):
    """All who need models see the same volume where the registry is; only the trainer may write."""
    volumes = {name: compose["services"][name]["volumes"] for name in ("worker", "trainer", "scorekeeper")}
    reading = ["models:/models:ro"]
    assert volumes == {"worker": reading, "trainer": ["models:/models"], "scorekeeper": reading}
    assert compose["services"]["trainer"]["environment"]["REELSTREAM_REGISTRY"] == "/models"


def test_image_runs_as_a_user_without_privileges(dockerfile):
    """The last USER of the image is numeric and not 0, so an orchestrator can see that it is not root."""
    users = re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)
    assert users
    assert int(users[-1]) > 0


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-train.lock"])
def test_image_installs_by_hash(dockerfile, lock):
    """Dependencies of an image come from its lock and from nowhere else, each with a hash."""
    assert "ARG LOCK=requirements.lock\n" in dockerfile
    assert 'uv pip install --no-deps --require-hashes -r "$LOCK"' in dockerfile
    assert f"!{lock}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = re.findall(r"^[\w.-]+(?:\[[^]]*\])?==\S+", text, re.MULTILINE)
    assert pinned
    assert len(pinned) == len(re.findall(r"^[\w.-]+(?:\[[^]]*\])?==[^\n]*\\\n\s+--hash=sha256:", text, re.MULTILINE))


def test_only_the_trainer_has_the_image_with_torch(compose):
    """The trainer's image is built from the lock with torch and has a name of its own; the others' is built without."""
    services = {name: compose["services"][name] for name in OURS}
    assert services["trainer"]["build"]["args"] == {"LOCK": "requirements-train.lock"}
    assert services["trainer"]["image"] == "reelstream-train"
    others = [service for name, service in services.items() if name != "trainer"]
    assert all((one["build"], one["image"]) == (".", "reelstream") for one in others)


def test_image_contains_every_package(dockerfile):
    """Each package and module that the project declares is copied into the image and let through by .dockerignore."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    wanted = {name for name in project["packages"]["find"]["include"] if "." not in name}
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in wanted:
        assert f"COPY {name} {name}\n" in dockerfile
        assert f"!{name}" in ignore
    for module in project["py-modules"]:
        assert f" {module}.py " in dockerfile
        assert f"!{module}.py" in ignore


def test_the_image_is_built_by_a_pinned_setuptools(dockerfile):
    """Neither lock need hold what builds the package: it is taken from the one that the last step names, by hash."""
    assert "--no-build-isolation" not in dockerfile
    [lock] = re.findall(r"--build-constraint (\S+)", dockerfile)
    assert re.search(r"^setuptools==\S+ \\\n +--hash=sha256:", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
