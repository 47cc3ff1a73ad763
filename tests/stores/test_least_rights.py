"""The whole line with the rights that `doctor --policy` prints and no others, as publisher and as service."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

import pytest
import urllib3
from kazoo.client import KazooClient
from tests.stores.test_consul import call as consul_call
from tests.stores.test_etcd import paste
from tests.stores.test_line import SERVICE, Run, line_on
from tests.stores.test_s3 import iam_user
from tests.stores.test_zk import paste as paste_into_zookeeper

from servers.fixtures import need
from servers.processes import Running
from servers.s3 import client, start_moto
from servers.zookeeper import SUPER, start_zookeeper

Rights = Mapping[str, str]


def printed(run: Run, environ: Rights) -> list[str]:
    """For the publisher, and for the service; no server is asked."""
    found = json.loads(run("doctor", "--policy", "dev", "--format", "json", **environ).stdout)["policies"]
    assert [one["service"] for one in found] == ["", "checkout"]
    return [one["text"] for one in found]


def goes_through(run: Run, publisher: Rights, reader: Rights, tmp_path: Path, *, warnings: int = 0) -> None:
    run("publish", "dev", "--yes", **publisher)
    key = tmp_path / "checkout.key"
    told = json.loads(run("connect", "dev/checkout", "--key-to", str(key), "--format", "json").stdout)
    run("publish", "dev", "--yes", **publisher)
    (tmp_path / "service.py").write_text(SERVICE)
    service = {**told["env"], "SEALPIPE_KEY_FILE": str(key), **reader}

    def loaded() -> str:
        return run("python", str(tmp_path / "service.py"), **service).stdout

    assert loaded() == "20 True 0\n"
    for number in range(4):  # enough of them for one to be collected
        run("set", "dev/checkout", "db.text", "--file", "-", stdin=f"{number}" * 300_000)
        run("publish", "dev", "--yes", "--allow-growth", **publisher)
    assert loaded() == "20 True 300000\n"
    assert "as they must be" in run("verify", "dev", **publisher).stdout
    looked = run("doctor", "dev", code=3 if warnings else 0, **publisher).stdout
    assert f"\nno problems, {f'{warnings} warnings' if warnings else 'no warnings'}\n" in looked
    run("rollback", "dev/checkout", "--yes", **publisher)
    refused = run("publish", "dev", "--yes", code=1, **reader)
    assert "error[store-denied]" in refused.stderr


def test_consul(consul_acl: Running, tmp_path: Path) -> None:
    run = line_on(f"consul://{consul_acl.address}/t{secrets.token_hex(6)}", {}, tmp_path)
    tokens = []
    for text in printed(run, {}):
        named = {"Name": f"least-{secrets.token_hex(6)}", "Rules": text}
        made = json.loads(consul_call(consul_acl, "PUT", "/v1/acl/policy", named))
        wanted = {"Policies": [{"ID": made["ID"]}]}
        token = json.loads(consul_call(consul_acl, "PUT", "/v1/acl/token", wanted))["SecretID"]
        tokens.append({"CONSUL_HTTP_TOKEN": token})
    goes_through(run, tokens[0], tokens[1], tmp_path)


def test_etcd(etcd_users: Running, tmp_path: Path) -> None:
    run = line_on(f"etcd://{etcd_users.address}/t{secrets.token_hex(6)}", {}, tmp_path)
    users = []
    for text in printed(run, {}):
        paste(etcd_users, text)
        role = text.split()[3]
        paste(etcd_users, f"etcdctl user add {role}:pw\netcdctl user grant-role {role} {role}")
        users.append({"ETCDCTL_USER": f"{role}:pw"})
    goes_through(run, users[0], users[1], tmp_path)


def test_zookeeper(server_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("zookeeper")
    server = start_zookeeper(server_folder, users={"ci": "publishing", "orders": "reading"})
    admin = KazooClient(server.address, auth_data=[("digest", SUPER)])
    publisher, reader = ({"SEALPIPE_ZK_AUTH": f"sasl:{one}"} for one in ("ci:publishing", "orders:reading"))
    try:
        admin.start(timeout=20)
        run = line_on(f"zk://{server.address}/config?read=sasl:orders", {}, tmp_path)
        told = json.loads(run("doctor", "--policy", "dev", "--format", "json", **publisher).stdout)
        (root,) = told["policies"]
        paste_into_zookeeper(admin, root["text"])
        goes_through(run, publisher, reader, tmp_path, warnings=2)  # this version's own holes
    finally:
        admin.stop()
        server.kill()


def test_s3(server_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("moto_server")
    server = start_moto(server_folder)
    try:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        client(server).create_bucket(Bucket="shop-config")
        url = f"s3://shop-config/config?endpoint={server.url}"
        run = line_on(url, server.environ, tmp_path)
        users = []
        for number, text in enumerate(printed(run, {})):
            access, secret = iam_user(server, f"user{number}", text)
            users.append({"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret})
        # From here on this server asks for rights.
        assert urllib3.request("POST", f"{server.url}/moto-api/reset-auth", body=b"0").status == 200
        goes_through(run, users[0], users[1], tmp_path)
    finally:
        server.kill()
