"""The plain tree on every real store, and read back by a program that knows nothing of sealpipe."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sealpipe.stores.base import Delete, Store
from servers import programs
from servers.fixtures import need
from servers.places import Place, opened
from servers.processes import Running
from shipping import Shop
from views.test_write import RULES, Bench, Died, Dying

DEV = "environments/dev/checkout.yaml"
TEMPLATE = """\
pool = {{ key "config/plain/checkout/db/pool_max" }}
timeout = {{ keyOrDefault "config/plain/checkout/http/timeout_s" "none" }}
{{ range tree "config/plain/checkout" }}{{ .Key }}={{ .Value }}
{{ end }}"""
WHOLE = (
    '{{ with $d := key "config/plain/checkout/data" | parseYAML }}'
    "{{ $d.db.pool_max }} {{ $d.http.timeout_s }}{{ end }}\n"
)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    found = opened(place.url)
    yield found
    found.close()


def test_written_changed_and_retired(store: Store) -> None:
    bench = Bench(store)
    count = 150 if store.limits.transactional else 15  # a request a key elsewhere
    many = {f"k{n}": {"text": "x" * (n % 50), "number": n} for n in range(count)}
    bench.publish({**many, "a": 1, "gone": "é", "empty": ""})
    done = bench.write()
    assert done
    assert done.puts == 2 * count + 3
    assert bench.drift() == []
    assert bench.keys()["empty"] == ""
    assert bench.keys()["gone"] == "é"
    bench.publish({**many, "a": {"b": {"c": 1}}, "new": True, "empty": "x"})
    done = bench.write()
    assert done
    assert (done.puts, done.deletes) == (3, 2)
    assert bench.drift() == []
    bench.by_hand("a/b/c", "9")
    bench.by_hand("theirs", "x")
    assert bench.drift() == ["tree-differs", "tree-stray"]
    bench.write(RULES._replace(repair=True))
    assert bench.drift() == ["tree-stray"]
    bench.publish({}, retired={"successor": ""})
    done = bench.write()
    assert done
    assert done.deletes == 2 * count + 3
    assert bench.keys() == {"theirs": "x"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_is_mended(store: Store, after: bool) -> None:
    for at in (1, 2):
        bench = Bench(store, layout="keys")
        bench.now += 1000 * (at + 2 * after)
        bench.publish({"gone": 1, "changed": 1, "x": {"y": 1}})
        bench.write(RULES._replace(removal=True, repair=True))
        bench.publish({"changed": 2, "x": 5, "only-here": 1})
        with pytest.raises(Died):
            bench.write(RULES._replace(removal=True), tree=Dying(store, at, after=after))
        bench.publish({"changed": 3, "x": {"z": 1}})
        bench.write(RULES._replace(removal=True))
        assert bench.keys() == {"changed": "3", "x/z": "1"}
        assert bench.drift() == []
        for key in store.keys("plain/"):
            store.write([Delete(key)])


# ---- consul-template


@pytest.fixture
def shop(
    consul: Running,
    store_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shop:
    """A shop whose releases and plain tree are in a real Consul."""
    need("consul-template")
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Shop(folder, monkeypatch, capsys)
    where(made, consul, store_prefix)
    return made


def where(shop: Shop, consul: Running, prefix: str, layout: str = "keys") -> None:
    text = Path("sealpipe.yaml").read_text()
    line = next(one for one in text.splitlines() if one.startswith("  dev:"))
    at = f"consul://{consul.address}/{prefix}"
    tree = f'{{layout: {layout}, at: "{at}config/plain", services: [checkout]}}'
    shop.write("sealpipe.yaml", text.replace(line, f'  dev: {{publish_to: "{at}releases", tree: {tree}}}'))
    shop.commit("stores")


def command(consul: Running, folder: Path, *more: str) -> list[str]:
    program = programs.find("consul-template")
    assert program
    files = f"{folder / 'in.ctmpl'}:{folder / 'out'}"
    return [str(program), "-consul-addr", consul.address, "-template", files, "-log-level", "err", *more]


def render(consul: Running, folder: Path, template: str, prefix: str) -> str:
    (folder / "in.ctmpl").write_text(template.replace("config/plain", f"{prefix}config/plain"))
    subprocess.run(command(consul, folder, "-once"), check=True, timeout=30)
    return (folder / "out").read_text()


def test_consul_template_reads_keys(shop: Shop, consul: Running, store_prefix: str, tmp_path: Path) -> None:
    shop.ok("publish", "dev", by="anna")
    text = render(consul, tmp_path, TEMPLATE, store_prefix)
    assert text.splitlines() == [
        "pool = 20",
        "timeout = 5",
        "db/pool_max=20",
        "features/one_click=false",
        "http/timeout_s=5",
    ]
    assert shop.run("verify", "dev").code == 0


def test_consul_template_reads_yaml(shop: Shop, consul: Running, store_prefix: str, tmp_path: Path) -> None:
    where(shop, consul, store_prefix, "yaml")
    shop.ok("publish", "dev", by="anna")
    assert render(consul, tmp_path, WHOLE, store_prefix) == "20 5\n"


def test_consul_template_follows_what_is_published_and_rolled_back(
    shop: Shop, consul: Running, store_prefix: str, tmp_path: Path
) -> None:
    shop.ok("publish", "dev", by="anna")
    render(consul, tmp_path, TEMPLATE, store_prefix)
    running = subprocess.Popen(command(consul, tmp_path))
    try:
        shop.set(DEV, "pool_max: 20", "pool_max: 40")
        shop.set(DEV, "timeout_s: 5", "timeout_s: 6\n  port: 81")
        shop.ok("publish", "dev")
        until(lambda: "pool = 40\ntimeout = 6" in (tmp_path / "out").read_text())
        until(lambda: "http/port=81" in (tmp_path / "out").read_text())
        shop.ok("rollback", "dev/checkout", "--yes")
        until(lambda: "pool = 20\ntimeout = 5" in (tmp_path / "out").read_text())
        until(lambda: "http/port" not in (tmp_path / "out").read_text())
    finally:
        running.kill()
        running.wait(10)


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
