"""What is installed on this machine: libraries against what we require, extras, and variables that nobody reads."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution, requires, version

from packaging.requirements import Requirement

from streams.config_file import CONFIG_VARIABLE
from streams.diagnosis.findings import LIBRARIES_CURE, Finding
from streams.setting_table import SETTINGS, nearest

__all__ = ["look_at_machine"]

EXTRAS = {
    "train": "training, and `eval` and `prequential`, which train",
    "stack": "the local stack",
    "eval": "baselines of `reelstream eval` and pictures",
    "large": "indexes for catalogues above 50,000 items",
    "intent": "sentence embeddings for queries in words",
    "web": "the HTTP API and the page",
    "trace": "spans from event to list",
}
SHOWN = ("torch", "faust-streaming", "aiokafka", "kafka-python", "redis")


def look_at_machine(environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Look at Python, libraries, extras and variables; no server is asked."""
    requirements = [Requirement(one) for one in requires("reelstream") or ()]
    told = ", ".join(f"{name} {_version(name)}" for name in SHOWN)
    yield Finding("versions", "ok", f"reelstream {_version('reelstream')}, Python {platform.python_version()}, {told}")
    wrong = [trouble for one in requirements if _counts(one, "") if (trouble := _trouble(one))]
    for trouble in wrong:
        yield Finding("libraries", "error", trouble, LIBRARIES_CURE)
    if not wrong:
        yield Finding("libraries", "ok", "all as required")
    yield from _extras(requirements)
    yield from _variables(os.environ if environment is None else environment)


def _version(name: str) -> str:
    """Return which version of a library is installed, as it is told: that one is missing is told on its own."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _counts(requirement: Requirement, extra: str) -> bool:
    """Tell whether a requirement is one of an extra, or with no name of an extra one of the core, on this machine."""
    if requirement.marker is None:
        return not extra
    is_core = requirement.marker.evaluate({"extra": ""})
    return requirement.marker.evaluate({"extra": extra}) and (not extra or not is_core)


def _trouble(requirement: Requirement) -> str | None:
    try:
        found = distribution(requirement.name).version
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name} {found}, {requirement.specifier} is required"


def _extras(requirements: Iterable[Requirement]) -> Iterator[Finding]:
    missing = {
        extra: troubles
        for extra in EXTRAS
        if (troubles := [found for one in requirements if _counts(one, extra) if (found := _trouble(one))])
    }
    there = [extra for extra in EXTRAS if extra not in missing]
    yield Finding("extras", "ok", f"installed: {', '.join(there) or 'none'}")
    for extra, troubles in missing.items():
        yield Finding(
            f"extra {extra}",
            "ok",
            f"not whole, so there is no {EXTRAS[extra]}: {', '.join(troubles)}",
            f"where it is wanted: pip install 'reelstream[{extra}]'",
        )


def _variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    known = [CONFIG_VARIABLE, *(one.variable for one in SETTINGS)]
    for name in sorted(environment):
        if name.startswith("REELSTREAM_") and name not in known:
            yield Finding("variables", "warning", f"{name} is set, and nothing reads it", nearest(name, known))
