"""A primary on one kind of real server, mirrors on others: one that is killed leaves the rest true."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealpipe.released import Unit
from sealpipe.releases.keys import head_key
from sealpipe.stores.registry import open_store
from servers.etcd import start_etcd
from servers.fixtures import need
from servers.processes import Running
from shipping import Shop

DEV = "environments/dev/checkout.yaml"


def test_a_mirror_that_is_killed_and_comes_back(
    consul: Running,
    zookeeper: Running,
    store_prefix: str,
    server_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    need("etcd")
    folder = tmp_path / "shop"
    folder.mkdir()
    shop = Shop(folder, monkeypatch, capsys)
    own = start_etcd(server_folder)
    try:
        urls = [
            f"consul://{consul.address}/{store_prefix}config",
            f"etcd://{own.address}/{store_prefix}config",
            f"zk://{zookeeper.address}/{store_prefix}config",
        ]
        text = Path("sealpipe.yaml").read_text()
        line = next(one for one in text.splitlines() if one.startswith("  dev:"))
        where = f'  dev: {{publish_to: "{urls[0]}", mirrors: ["{urls[1]}", "{urls[2]}"]}}'
        shop.write("sealpipe.yaml", text.replace(line, where))
        shop.commit("stores")
        assert shop.ok("publish", "dev", by="anna").out.count("mirrored") == 2
        assert len({head(url) for url in urls}) == 1
        own.kill()
        shop.set(DEV, "pool_max: 20", "pool_max: 30")
        done = shop.run("publish", "dev")
        assert done.code == 1
        assert "published  checkout #2      consul ✓" in done.out
        assert f"mirrored   {urls[2]}  ✓" in done.out
        assert f"error[mirror]: {urls[1]}" in done.err
        assert head(urls[0]) == head(urls[2])
        assert "error[mirror-unreachable]" in shop.run("verify", "dev").err
        own.restart()
        assert "error[mirror-behind]" in shop.run("verify", "dev").err
        shop.ok("publish", "dev", "--mirrors-only", by="")
        assert shop.run("verify", "dev").code == 0
        assert len({head(url) for url in urls}) == 1
    finally:
        own.kill()


def head(url: str) -> bytes:
    store, prefix = open_store(url, base="/")
    try:
        entry = store.get(head_key(prefix, Unit("dev", "checkout")), fresh=True)
        return entry.value if entry else b""
    finally:
        store.close()
