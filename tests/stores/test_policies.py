"""The policies of `doctor --policy`: those of the guides, which the stores' own tests try on real servers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.stores.pages import policy

from sealpipe.errors import UnsupportedError
from sealpipe.stores.probes.policies import policies, to_paste
from terminal import Terminal, new_repository

PLACES = {
    "consul": ("consul://consul.internal:8500/config", "dev"),
    "etcd": ("etcd://a.internal:2379,b.internal:2379/config", "dev"),
    "s3": ("s3://shop-config/config?region=eu-west-1", "prod"),
}
MIRROR = "s3://shop-mirror/config?lock=compliance:30d&sse=aws:kms"


@pytest.mark.parametrize("kind", PLACES)
def test_the_guides_show_what_is_printed(kind: str) -> None:
    url, environment = PLACES[kind]
    publisher, reader = policies(url, environment, ["checkout"], base="/")
    assert publisher.text == policy(f"{kind}.md", "publisher")
    assert reader.text == policy(f"{kind}.md", "reader")
    assert (publisher.service, reader.service, reader.environment) == ("", "checkout", environment)


def test_the_guide_of_zookeeper_shows_what_is_printed() -> None:
    url = "zk://zk1.internal:2181,zk2.internal:2181/config?read=sasl:orders"
    [root] = policies(url, "dev", ["checkout"], base="/")
    assert root.text == policy("zookeeper.md", "root")
    assert root.note == ""


def test_names_of_zookeeper_are_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALPIPE_ZK_AUTH", "sasl:deploy:a-password")
    [root] = policies("zk+tls://zk1:2281/a/b", "dev", [], base="/")
    assert root.text == "create /a\ncreate /a/b\nsetAcl /a/b sasl:deploy:cdrw,sasl:orders:r\n"
    assert "?read=" in root.note


def test_a_store_without_a_prefix() -> None:
    found = [policies(f"{kind}://h", "dev", ["a"], base="/")[0].text for kind in ("consul", "etcd", "zk")]
    assert found[0].startswith('key_prefix "dev/" {')
    assert found[1].startswith("etcdctl role add dev-publisher\n")
    assert found[2] == "setAcl / sasl:ci:cdrw,sasl:orders:r\n"


def test_what_a_bucket_with_locks_and_keys_needs_besides() -> None:
    publisher, reader = policies(MIRROR, "prod", ["checkout"], base="/")
    assert "s3:PutObjectRetention" in publisher.text
    assert "s3:PutObjectRetention" not in reader.text
    assert "kms:GenerateDataKey" in publisher.note
    assert "kms:Decrypt" in reader.note


def test_a_folder_has_none() -> None:
    with pytest.raises(UnsupportedError, match="no policy to paste"):
        policies("file:store", "dev", [], base="/")
    assert "sealpipe" not in to_paste("file:store")
    assert to_paste("s3://b/p?region=x") == "policy to paste: sealpipe doctor --policy 's3://b/p?region=x'"


@pytest.fixture
def shop(tmp_path: Path) -> Terminal:
    folder = tmp_path / "shop"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    shop = new_repository(folder, "checkout")
    shop("add", "service", "orders", "--in", "dev")
    text = shop.text("sealpipe.yaml")
    url, _ = PLACES["consul"]
    assert "publish_to: file:.sealpipe/store" in text
    shop.write(
        "sealpipe.yaml",
        text.replace("publish_to: file:.sealpipe/store", f'publish_to: "{url}", mirrors: ["{MIRROR}"]'),
    )
    return shop


def heads(done: str) -> list[str]:
    return [line for line in done.splitlines() if line.startswith("# ")]


class TestCommand:
    def test_an_environment_has_its_store_and_its_mirrors(self, shop: Terminal) -> None:
        done = shop("doctor", "--policy", "dev")
        url, _ = PLACES["consul"]
        assert heads(done.err) == [
            f"# {url}  dev: its publisher",
            f"# {url}  dev/checkout: the service",
            f"# {url}  dev/orders: the service",
            f"# {MIRROR}  dev: its publisher",
            "# add kms:GenerateDataKey and kms:Decrypt for the key",
            f"# {MIRROR}  dev/checkout: the service",
            "# add kms:Decrypt for the key",
            f"# {MIRROR}  dev/orders: the service",
            "# add kms:Decrypt for the key",
        ]
        assert done.out.startswith(policy("consul.md", "publisher") + policy("consul.md", "reader"))

    def test_one_service_alone_can_go_into_a_file(self, shop: Terminal) -> None:
        shop.write("sealpipe.yaml", shop.text("sealpipe.yaml").replace(PLACES["consul"][0], PLACES["s3"][0]))
        text = shop.text("sealpipe.yaml").replace(f', mirrors: ["{MIRROR}"]', "")
        shop.write("sealpipe.yaml", text)
        done = shop("doctor", "--policy", "dev/checkout")
        assert json.loads(done.out) == json.loads(policy("s3.md", "reader").replace("/prod/", "/dev/"))

    def test_by_the_scheme_and_by_the_address(self, shop: Terminal) -> None:
        url, _ = PLACES["consul"]
        by_scheme, by_url = shop("doctor", "--policy", "consul"), shop("doctor", "--policy", url)
        assert by_scheme == by_url
        assert len(heads(by_url.err)) == 3
        other = shop("doctor", "--policy", "consul://elsewhere/x")
        assert 'key "x/ENV/heads/SERVICE"' in other.out

    def test_outside_of_a_repository_an_address_stands_for_itself(self, tmp_path: Path) -> None:
        outside = Terminal(tmp_path)
        assert "etcdctl role add x-ENV-publisher" in outside("doctor", "--policy", "etcd://h/x").out
        assert "error[no-repository]" in outside.fail(2, "doctor", "--policy", "dev").err

    def test_what_is_not_there(self, shop: Terminal) -> None:
        assert "error[unknown-environment]" in shop.fail(2, "doctor", "--policy", "etcd").err
        assert "error[abstract-environment]" in shop.fail(2, "doctor", "--policy", "base").err
        assert "error[unknown-service]" in shop.fail(2, "doctor", "--policy", "dev/nothing").err
        assert "error[no-policy]" in shop.fail(1, "doctor", "--policy", "file:x").err
        assert "error[bad-store-url]" in shop.fail(2, "doctor", "--policy", "1:x").err
        assert "--policy looks at nothing else" in shop.fail(2, "doctor", "dev", "--policy", "dev").err

    def test_json(self, shop: Terminal) -> None:
        found = json.loads(shop("doctor", "--policy", "dev", "--format", "json").out)["policies"]
        assert [one["service"] for one in found[:3]] == ["", "checkout", "orders"]
        assert found[0]["text"] == policy("consul.md", "publisher")
