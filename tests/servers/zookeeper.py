"""ZooKeeper for tests: one server, with TLS, with SASL users, three nodes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from servers import programs
from servers.certificates import Authority
from servers.processes import Cluster, Running, started, started_together

SUPER = "super:test"
"""`add_auth("digest", SUPER)` passes every ACL of a test server."""
_SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="


def say(address: str, word: str) -> str:
    """The reply to a four letter word."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=1.0) as connection:
        connection.sendall(word.encode())
        reply = b""
        while chunk := connection.recv(4096):
            reply += chunk
    return reply.decode(errors="replace")


def _described(
    folder: Path, client: int, lines: list[str], jvm: list[str], tls: tuple[Authority, int] | None
) -> Running:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    own = [
        "tickTime=500",
        "initLimit=20",
        "syncLimit=10",
        "maxClientCnxns=0",
        "clientPortListenBacklog=1024",  # a thousand clients that come back at once
        "maxSessionTimeout=60000",
        f"dataDir={folder / 'data'}",
        "admin.enableServer=false",
        "4lw.commands.whitelist=srvr,ruok,stat,mntr,cons,wchc",
        "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider",
        f"clientPort={client}",
        "clientPortAddress=127.0.0.1",
    ]
    address, files = f"127.0.0.1:{client}", {}
    if tls:
        authority, secure = tls
        files = {"ca": authority.certificate, **authority.issue("server", folder)}
        own += [
            f"secureClientPort={secure}",
            "secureClientPortAddress=127.0.0.1",
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
            f"ssl.keyStore.location={files['both']}",
            f"ssl.trustStore.location={authority.certificate}",
            "ssl.clientAuth=want",
        ]
    (folder / "zoo.cfg").write_text("\n".join([*own, *lines]) + "\n")
    names = [*programs.ZOOKEEPER_JARS, *(("netty-codec", "netty-handler") if tls else ())]
    jars = ":".join(str(programs.JARS / f"{jar}.jar") for jar in names)
    java = str(programs.find("zookeeper"))
    small = ["-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
    small.append(f"-Dzookeeper.DigestAuthenticationProvider.superDigest={_SUPER_DIGEST}")
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    command = [java, *small, *jvm, "-cp", jars, main, "zoo.cfg"]
    plain = address

    def ready() -> bool:
        return "Mode:" in say(plain, "srvr")

    def leads() -> bool:
        return "Mode: leader" in say(plain, "srvr")

    if tls:
        address = f"127.0.0.1:{tls[1]}"
    return Running("zookeeper", address, command, folder, ready, address, files=files, leads=leads)


def start_zookeeper(
    folder: Path, *, tls: Authority | None = None, users: Mapping[str, str] | None = None
) -> Running:
    """One server. `tls`: its address takes TLS alone. `users`: names and passwords for SASL DIGEST-MD5."""

    def make(ports: list[int]) -> Running:
        folder.mkdir(parents=True, exist_ok=True)
        lines, jvm = [], []
        if users:
            known = "\n".join(f'  user_{name}="{password}"' for name, password in users.items())
            login = "org.apache.zookeeper.server.auth.DigestLoginModule"
            (folder / "jaas.conf").write_text(f"Server {{\n  {login} required\n{known};\n}};\n")
            jvm = [f"-Djava.security.auth.login.config={folder / 'jaas.conf'}"]
            lines = ["authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider"]
        return _described(folder, ports[0], lines, jvm, (tls, ports[1]) if tls else None)

    return started(make, 2)


def start_zookeeper_cluster(folder: Path) -> Cluster:
    """Three servers."""

    def make(ports: list[int]) -> list[Running]:
        lines = [f"server.{n + 1}=127.0.0.1:{ports[n * 3 + 1]}:{ports[n * 3 + 2]}" for n in range(3)]
        nodes = []
        for n in range(3):
            node = _described(folder / f"node{n}", ports[n * 3], lines, [], None)
            (node.folder / "data" / "myid").write_text(f"{n + 1}\n")
            nodes.append(node)
        return nodes

    return started_together(make, 9)
