"""etcd for tests: one server, with users, with TLS, three nodes, and an old one."""

from __future__ import annotations

import json
from pathlib import Path

import urllib3

from servers import programs
from servers.certificates import Authority
from servers.processes import Cluster, Running, started, started_together

PASSWORD = "root-of-tests"
"""The password of `root` on a server with users."""


def _described(
    program: str,
    folder: Path,
    client: int,
    peer: int,
    cluster: str,
    tls: Authority | None = None,
    client_certificate: bool = False,
    more: tuple[str, ...] = (),
) -> Running:
    folder.mkdir(parents=True, exist_ok=True)
    url, own = f"{'https' if tls else 'http'}://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    command = [str(programs.find(program)), "--name", folder.name, "--data-dir", str(folder / "data")]
    command += ["--listen-client-urls", url, "--advertise-client-urls", url]
    command += ["--listen-peer-urls", own, "--initial-advertise-peer-urls", own]
    command += ["--initial-cluster", cluster or f"{folder.name}={own}", "--log-level", "error", *more]
    environ = {}
    files = {}
    if tls:
        files = {"ca": tls.certificate, **tls.issue("server", folder)}
        command += ["--cert-file", str(files["certificate"]), "--key-file", str(files["key"])]
        environ["ETCDCTL_CACERT"] = str(tls.certificate)
    if tls and client_certificate:
        command += ["--client-cert-auth", "--trusted-ca-file", str(tls.certificate)]
        mine = tls.issue("client", folder)
        environ |= {"ETCDCTL_CERT": str(mine["certificate"]), "ETCDCTL_KEY": str(mine["key"])}
    pool = urllib3.PoolManager(
        retries=False,
        timeout=1.0,
        maxsize=1,
        ca_certs=environ.get("ETCDCTL_CACERT"),
        cert_file=environ.get("ETCDCTL_CERT"),
        key_file=environ.get("ETCDCTL_KEY"),
    )

    def ready() -> bool:
        try:
            return pool.request("GET", f"{url}/health").json().get("health") == "true"
        except (urllib3.exceptions.HTTPError, ValueError):
            return False

    def leads() -> bool:
        try:
            said = pool.request("POST", f"{url}/v3/maintenance/status", body=b"{}").json()
        except (urllib3.exceptions.HTTPError, ValueError):
            return False
        return bool(said.get("leader")) and said["leader"] == said.get("header", {}).get("member_id")

    return Running(program, f"127.0.0.1:{client}", command, folder, ready, url, environ, files, leads=leads)


def start_etcd(
    folder: Path,
    *,
    old: bool = False,
    users: bool = False,
    tls: Authority | None = None,
    client_certificate: bool = False,
    more: tuple[str, ...] = (),
) -> Running:
    """One server; `old`: PyPI's 3.5.1. With `users`, root has PASSWORD and all others need a user too."""
    program = "etcd-old" if old else "etcd"
    found = started(lambda p: _described(program, folder, p[0], p[1], "", tls, client_certificate, more), 2)
    if users:
        call(found, "/v3/auth/user/add", {"name": "root", "password": PASSWORD})
        call(found, "/v3/auth/user/grant", {"user": "root", "role": "root"})
        call(found, "/v3/auth/enable", {})
        found.environ = {**found.environ, "ETCDCTL_USER": "root", "ETCDCTL_PASSWORD": PASSWORD}
    return found


def start_etcd_cluster(folder: Path) -> Cluster:
    """Three servers."""

    def make(ports: list[int]) -> list[Running]:
        cluster = ",".join(f"node{n}=http://127.0.0.1:{ports[n * 2 + 1]}" for n in range(3))
        return [
            _described("etcd", folder / f"node{n}", ports[n * 2], ports[n * 2 + 1], cluster) for n in range(3)
        ]

    return started_together(make, 6)


def call(server: Running, path: str, body: dict[str, object], token: str = "") -> dict[str, object]:
    """One call of the JSON gateway, for what a test arranges. Raises AssertionError."""
    environ = server.environ
    pool = urllib3.PoolManager(
        retries=False,
        timeout=10.0,
        ca_certs=environ.get("ETCDCTL_CACERT"),
        cert_file=environ.get("ETCDCTL_CERT"),
        key_file=environ.get("ETCDCTL_KEY"),
    )
    headers = {"Authorization": token} if token else {}
    done = pool.request("POST", server.url + path, body=json.dumps(body).encode(), headers=headers)
    assert done.status == 200, (path, done.status, done.data)
    found: dict[str, object] = done.json()
    return found


def token_of(server: Running, name: str = "root", password: str = PASSWORD) -> str:
    return str(call(server, "/v3/auth/authenticate", {"name": name, "password": password})["token"])
