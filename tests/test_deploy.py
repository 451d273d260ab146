"""What `deploy/` holds: alerts and board ask for what there is, alerts are explained, manifests keep their schemas."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from reelstream import cli
from streams.metrics.endpoint import LIVE_PATH
from streams.metrics.families import FAMILIES
from streams.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
BOARD = json.loads((DEPLOY / "grafana/boards/reelstream.json").read_text("utf-8"))
ALERTS = [
    rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
MANIFESTS = [
    (path.name, document)
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text("utf-8"))
]
KUBERNETES = ("1.31", kubernetes_validate.latest_version())
OTHERS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}  # by Prometheus' own client
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + [
    *(target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())),
    *(found["expr"] for found in BOARD["annotations"]["list"]),
]


def asked_for(expression):
    """Return the names of the series that an expression asks for, but ``up``."""
    return set(re.findall(r"\b(?:reelstream|process)_\w+", expression))


def containers(document):
    """Return the containers of a workload, none for other kinds."""
    return document["spec"]["template"]["spec"]["containers"] if "template" in document.get("spec", {}) else []


def test_alerts_and_board_ask_for_what_is_measured():
    """Each series that an alert or a panel names is one of a family, or of Prometheus' client."""
    known = {name for family in FAMILIES for name in family.series} | OTHERS
    assert {name for expression in EXPRESSIONS for name in asked_for(expression)} - known == set()


def test_the_board_shows_every_family():
    """Nothing is measured that the board does not show, but who a process is."""
    shown = {name for expression in EXPRESSIONS for name in asked_for(expression)}
    unseen = [family.name for family in FAMILIES if not shown & set(family.series)]
    assert unseen == ["reelstream_process_info"]


def test_panels_are_apart():
    """No two panels of the board overlap, and each has an id and a title of its own."""
    places = [
        (x, y)
        for panel in BOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert len({panel["title"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_each_alert_is_explained():
    """docs/operate/operations.md has a section for each alert, in their order, and no other section of that depth."""
    page = (ROOT / "docs/operate/operations.md").read_text("utf-8")
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == list(dict.fromkeys(rule["alert"] for rule in ALERTS))
    assert all(rule["labels"]["severity"] in {"page", "ticket"} for rule in ALERTS)


@pytest.fixture
def promtool():
    """Return a function that runs Prometheus' own tool and shows what it finds wrong."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not on PATH: `make tools` installs Debian's package prometheus")

    def run(*words):
        done = subprocess.run([path, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.mark.parametrize(
    ("what", "file"),
    [("rules", "alerts.yml"), ("config", "prometheus.yml")],
)
def test_promtool_takes_it(promtool, what, file):
    """Prometheus' own tool finds no fault in alerts and configurations."""
    promtool("check", what, str(DEPLOY / file))


def test_promtool_takes_the_scraping_of_pods(promtool, tmp_path):
    """So it does of the configuration for Kubernetes; Debian's is built without that discovery, so one is put there."""
    configuration = yaml.safe_load((DEPLOY / "prometheus-kubernetes.yml").read_text("utf-8"))
    (job,) = configuration["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    job["static_configs"] = [{"targets": ["worker:9464"]}]
    shutil.copy(DEPLOY / "alerts.yml", tmp_path)
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    promtool("check", "config", str(tmp_path / "prometheus.yml"))


@pytest.mark.parametrize(
    ("series", "at", "alert", "fires"),
    [
        # There is no `up` of workers: discovery has forgotten them. A trainer answers, and a scorekeeper does not.
        (
            {'up{job="trainer"}': "1x20", 'up{job="scorekeeper"}': "0x20"},
            "5m",
            "ProcessMissing",
            [
                ({"job": "worker", "severity": "page"}, "no worker answers"),
                ({"job": "scorekeeper", "severity": "page"}, "no scorekeeper answers"),
            ],
        ),
        (
            {'reelstream_breaker_open{part="scoring"}': "1x20", 'reelstream_breaker_open{part="reading"}': "1x20"},
            "10m",
            "BreakerOpen",
            [
                ({"part": "scoring", "severity": "page"}, "scoring keeps failing and is hardly asked"),
                ({"part": "reading", "severity": "ticket"}, "reading keeps failing and is hardly asked"),
            ],
        ),
        # No scorekeeper, so that nothing tells of a guard.
        (
            {'reelstream_rounds_total{outcome="rolled_back"}': "0x3 1x20"},
            "8m",
            "VersionTakenBack",
            [({"severity": "ticket"}, "a version was taken back")],
        ),
    ],
)
def test_alerts_fire(promtool, tmp_path, series, at, alert, fires):
    """Alerts fire where what they ask about is not there at all, and as urgently as it is."""
    expected = [{"exp_labels": labels, "exp_annotations": {"summary": summary}} for labels, summary in fires]
    values = [
        {"series": name, "values": " ".join(f"{one.replace('x', '+0x')}" for one in steps.split())}
        for name, steps in series.items()
    ]
    case = {
        "interval": "1m",
        "input_series": values,
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}],
    }
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(DEPLOY / "alerts.yml")], "tests": [case]}))
    promtool("test", "rules", str(file))


def test_kubernetes_scrapes_each_process_under_its_name():
    """Each pod that says so is kept and becomes a job, and these are the jobs that alerts ask for."""
    (job,) = yaml.safe_load((DEPLOY / "prometheus-kubernetes.yml").read_text("utf-8"))["scrape_configs"]
    rules = {one["source_labels"][0].removeprefix("__meta_kubernetes_pod_"): one for one in job["relabel_configs"]}
    pods = [
        document["spec"]["template"] for _, document in MANIFESTS if document["kind"] in {"StatefulSet", "Deployment"}
    ]
    scraped = [pod for pod in pods if pod["metadata"].get("annotations", {}).get("prometheus.io/scrape") == "true"]
    names = [pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in scraped]
    jobs = {re.fullmatch(rules["label_app_kubernetes_io_name"]["regex"], name)[1] for name in names}
    assert jobs == {"worker", "trainer", "scorekeeper", "archiver", "api"}
    assert rules["label_app_kubernetes_io_name"]["target_label"] == "job"
    for pod in scraped:
        assert (
            pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == rules["label_app_kubernetes_io_part_of"]["regex"]
        )
        ports = [at["name"] for container in pod["spec"]["containers"] for at in container["ports"]]
        assert rules["container_port_name"]["regex"] in ports


def test_services_set_no_variables():
    """Kubernetes would tell each pod of the Services in variables that begin as ours do."""
    pods = [document["spec"]["template"]["spec"] for _, document in MANIFESTS if containers(document)]
    assert [pod["enableServiceLinks"] for pod in pods] == [False] * len(pods)


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_keep_the_schemas(version):
    """Each manifest is what Kubernetes' published schemas of an older and the latest release say, with no other key."""
    for _, document in MANIFESTS:
        kubernetes_validate.validate(document, version, strict=True)


def test_schemas_refuse_a_misspelt_key():
    """The check is strict enough to notice a key that does not exist."""
    worker = next(document for _, document in MANIFESTS if document["kind"] == "StatefulSet")
    wrong = worker | {"spec": worker["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, KUBERNETES[-1], strict=True)


def test_manifests_run_our_commands():
    """What a container runs, and what is run to look at it, are commands with arguments that they take."""
    found = [container for _, document in MANIFESTS for container in containers(document)]
    assert {"worker", "trainer", "scorekeeper", "archiver", "api", "topics"} <= {one["name"] for one in found}
    for container in found:
        probes = [container[name] for name in container if name.endswith("Probe")]
        for words in [container["args"], *(probe["exec"]["command"][1:] for probe in probes if "exec" in probe)]:
            command, rest = cli, list(words)
            while rest and hasattr(command, "get_command"):
                command = command.get_command(None, rest.pop(0))
                assert command is not None, words
            with command.make_context(words[0], rest, resilient_parsing=False):
                pass


def test_manifests_set_what_is_read():
    """Each variable of the manifests is documented, the settings take them, and workers scale up to the partitions."""
    page = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    variables = next(document["data"] for _, document in MANIFESTS if document["kind"] == "ConfigMap")
    assert [name for name in variables if f"`{name}`" not in page] == []
    settings = Settings.from_environment(variables)
    scaler = next(document["spec"] for _, document in MANIFESTS if document["kind"] == "HorizontalPodAutoscaler")
    assert scaler["maxReplicas"] == settings.partitions
    port = int(variables["REELSTREAM_METRICS_PORT"])
    running = [one for _, document in MANIFESTS for one in containers(document) if "livenessProbe" in one]
    metrics = [at["containerPort"] for one in running for at in one["ports"] if at["name"] == "metrics"]
    assert set(metrics) == {port}
    assert {one["livenessProbe"]["httpGet"]["path"] for one in running} == {LIVE_PATH}


def test_nobody_is_root():
    """Every workload runs as a numbered user without privileges, and writes to its volumes alone."""
    for name, document in MANIFESTS:
        for container in containers(document):
            pod = document["spec"]["template"]["spec"]["securityContext"]
            assert pod["runAsNonRoot"], name
            assert pod["runAsUser"] > 0, name
            assert container["securityContext"]["readOnlyRootFilesystem"], name
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name


def test_compose_mounts_what_there_is():
    """Every file of this folder that docker-compose.yml mounts is there."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    mounted = [
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert len(mounted) == 4
    assert [path for path in mounted if not (ROOT / path).exists()] == []
