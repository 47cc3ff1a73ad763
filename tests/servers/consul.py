"""Consul for tests: one server, with ACLs, with TLS, three nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

from servers import programs
from servers.certificates import Authority
from servers.processes import Cluster, Running, started, started_together

TOKEN = "5ea1b1be-0000-4000-8000-00000000c0de"
"""The management token of a server with ACLs."""


def config(folder: Path, ports: list[int], *, acl: bool, tls: Authority | None) -> dict[str, Any]:
    http, server, serf = ports
    found: dict[str, Any] = {
        "server": True,
        "bootstrap_expect": 1,
        "bind_addr": "127.0.0.1",
        "client_addr": "127.0.0.1",
        "data_dir": str(folder / "data"),
        "node_name": folder.name,
        "log_level": "warn",
        "performance": {"raft_multiplier": 1},
        "connect": {"enabled": False},
        "disable_update_check": True,
        "leave_on_terminate": False,
        # A killed node comes back as the voter that it was, not after the time of a new one.
        "autopilot": {"cleanup_dead_servers": False, "server_stabilization_time": "1s"},
        "limits": {"http_max_conns_per_client": 2000},
        "ports": {
            "http": -1 if tls else http,
            "https": http if tls else -1,
            "server": server,
            "serf_lan": serf,
            **dict.fromkeys(("dns", "grpc", "grpc_tls", "serf_wan"), -1),
        },
    }
    if acl:
        found["acl"] = {
            "enabled": True,
            "default_policy": "deny",
            "tokens": {"initial_management": TOKEN, "agent": TOKEN},
        }
    if tls:
        files = tls.issue("server", folder)
        found["tls"] = {
            "defaults": {
                "ca_file": str(tls.certificate),
                "cert_file": str(files["certificate"]),
                "key_file": str(files["key"]),
                "verify_incoming": False,
            }
        }
    return found


def _described(folder: Path, found: Mapping[str, Any], tls: Authority | None, acl: bool) -> Running:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "agent.json").write_text(json.dumps(found))
    port = found["ports"]["https" if tls else "http"]
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    pool = urllib3.PoolManager(
        retries=False, timeout=1.0, ca_certs=str(tls.certificate) if tls else None, maxsize=1
    )
    headers = {"X-Consul-Token": TOKEN} if acl else {}

    def ready() -> bool:
        try:  # a write: a leader may be known before it takes any
            done = pool.request("PUT", f"{url}/v1/kv/ready", body=b"1", headers=headers)
        except urllib3.exceptions.HTTPError:
            return False
        return done.status == 200

    def leads() -> bool:
        try:
            done = pool.request("GET", f"{url}/v1/status/leader", headers=headers)
        except urllib3.exceptions.HTTPError:
            return False
        return done.status == 200 and done.data == f'"127.0.0.1:{found["ports"]["server"]}"'.encode()

    environ = {"CONSUL_HTTP_TOKEN": TOKEN} if acl else {}
    if tls:
        environ["CONSUL_CACERT"] = str(tls.certificate)
    command = [str(programs.find("consul")), "agent", f"-config-file={folder / 'agent.json'}"]
    return Running(
        "consul", f"127.0.0.1:{port}", command, folder, ready, url=url, environ=environ, leads=leads
    )


def start_consul(folder: Path, *, acl: bool = False, tls: Authority | None = None, **more: Any) -> Running:
    """One server; `more` goes into its configuration. With `acl`, TOKEN may do everything."""

    def make(ports: list[int]) -> Running:
        folder.mkdir(parents=True, exist_ok=True)
        return _described(folder, config(folder, ports, acl=acl, tls=tls) | more, tls, acl)

    return started(make, 3)


def start_consul_cluster(folder: Path) -> Cluster:
    """Three servers."""

    def make(ports: list[int]) -> list[Running]:
        serfs = [f"127.0.0.1:{port}" for port in ports[2::3]]
        nodes = []
        for number in range(3):
            own = folder / f"node{number}"
            found = config(own, ports[number * 3 : number * 3 + 3], acl=False, tls=None)
            found |= {"bootstrap_expect": 3, "retry_join": serfs, "retry_interval": "1s"}
            nodes.append(_described(own, found, None, acl=False))
        return nodes

    return started_together(make, 9)
