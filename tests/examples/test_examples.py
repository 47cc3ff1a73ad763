"""The examples as somebody would start them, on real stores, with their configuration changed under them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.examples.shop import ROOT, Shop, make_shop

from servers.places import place_on

EXAMPLES = ROOT / "examples"
STORES = ("file", "consul", "etcd")


@pytest.fixture(scope="module", params=STORES)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("examples")
    if request.param == "file":
        return make_shop(folder, f"file:{folder}/store", {})
    running = request.getfixturevalue(request.param)
    return make_shop(folder, place_on(request.param, running).url, dict(running.environ))


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def started(words: list[str], environ: dict[str, str], folder: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words, env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        running.append(process)
        return process

    yield started
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def free_port() -> int:
    for port in range(20_000 + os.getpid() % 5000, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)


def until(true: Callable[[], object], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            found = true()
        except (urllib.error.URLError, ConnectionError):
            found = None
        if found:
            return found
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_the_fastapi_service_follows(shop: Shop, start: Callable[..., subprocess.Popen[str]]) -> None:
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--port", str(port), "app:app"]
    start(words, shop.service("checkout"), EXAMPLES / "checkout-fastapi")
    assert until(lambda: get(port, "/ready"))["state"] == "live"
    before = get(port, "/checkout")
    assert before == {"timeout_s": 5, "one_click": True, "pool": 10}
    shop.change("checkout", "db.pool_max", "33")
    until(lambda: get(port, "/checkout")["pool"] == 33)
    shop.change("checkout", "features.one_click", "false")
    until(lambda: get(port, "/checkout")["one_click"] is False)
    shop.change("checkout", "db.pool_max", "10")
    shop.change("checkout", "features.one_click", "true")


def test_a_service_that_uvicorn_reloads_follows_again(
    shop: Shop, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Each reload is a spawned process of its own, and the one before ends."""
    code = shutil.copytree(EXAMPLES / "checkout-fastapi", tmp_path / "code")
    (code / "pid.py").write_text(
        "import os\nfrom app import app\n@app.get('/pid')\ndef pid():\n    return os.getpid()\n"
    )
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--reload", "--port", str(port), "pid:app"]
    start(words, shop.service("checkout"), code)
    first = until(lambda: get(port, "/pid"))
    shop.change("checkout", "db.pool_max", "34")
    until(lambda: get(port, "/checkout")["pool"] == 34)
    (code / "settings.py").write_text((code / "settings.py").read_text() + "\n# saved\n")
    until(lambda: get(port, "/pid") != first)
    assert get(port, "/ready")["state"] == "live"
    shop.change("checkout", "db.pool_max", "10")
    until(lambda: get(port, "/checkout")["pool"] == 10)
    until(lambda: not Path(f"/proc/{first}").exists())


def test_every_process_of_the_worker_follows(shop: Shop, start: Callable[..., subprocess.Popen[str]]) -> None:
    words = [sys.executable, "worker.py", "3"]
    process = start(words, shop.service("payments-worker"), EXAMPLES / "payments-worker")
    assert process.stdout is not None
    seen: dict[str, set[str]] = {}

    def read_until(done: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not done():
            assert time.monotonic() < end
            pid, what, *rest = process.stdout.readline().split()  # type: ignore[union-attr]
            if what in ("batch", "takes"):
                seen.setdefault(pid, set()).add(rest[-1] if what == "batch" else f"told {rest[0]}")

    read_until(lambda: len(seen) == 3)
    shop.change("payments-worker", "queue.prefetch", "7")
    read_until(lambda: all({"7", "told 7"} <= values for values in seen.values()))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    shop.change("payments-worker", "queue.prefetch", "1")


def test_the_worker_says_why_it_does_not_start(shop: Shop) -> None:
    environ = {**shop.service("payments-worker"), "SEALPIPE_ENV": "nowhere"}
    done = subprocess.run(
        [sys.executable, "worker.py"],
        env=environ,
        cwd=EXAMPLES / "payments-worker",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert "error[no-release]" in done.stderr
    assert "Traceback" not in done.stderr


def test_django_under_gunicorn_with_preload(shop: Shop, start: Callable[..., subprocess.Popen[str]]) -> None:
    port = free_port()
    gunicorn = str(Path(sys.executable).parent / "gunicorn")
    words = [gunicorn, "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}", "gateway.wsgi"]
    start(words, shop.service("gateway"), EXAMPLES / "gateway-django")
    assert until(lambda: get(port, "/ready"))["state"] == "live"
    assert get(port, "/limits")["anonymous"] == 60
    signed = get(port, "/sign")["signed"]
    shop.change("gateway", "rate_limits.anonymous.per_minute", "90")

    def everywhere() -> bool:
        return all(get(port, "/limits")["anonymous"] == 90 for _ in range(10))

    until(everywhere)
    keys = json.loads(shop.run("get", "dev/gateway", "sessions.keys", "--reveal"))
    shop.run(
        "set",
        "dev/gateway",
        "sessions.keys",
        "--type",
        "array",
        "--file",
        "-",
        stdin=json.dumps(["n" * 40, *keys]),
    )
    shop.run("publish", "dev/gateway")
    fresh = until(lambda: _other(port, signed))
    for value in (signed, fresh):
        until(lambda value=value: get(port, f"/whoami?signed={value}")["name"] == "somebody")  # type: ignore[misc]


def _other(port: int, before: str) -> str:
    found: str = get(port, "/sign")["signed"]
    return found if found.rpartition(":")[2] != before.rpartition(":")[2] else ""
