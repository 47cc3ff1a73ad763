"""The tour as a test: it passes, notices what goes differently, and leaves nothing secret behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sealpipe.cli.start.tour import CHAPTERS, Chapter, Command, chapters, own_place, play, prepare
from sealpipe.stores.registry import open_store
from servers.processes import Running


def sealpipe(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealpipe", *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_the_tour(tmp_path: Path) -> None:
    done = sealpipe("demo", "look", "--fast", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"✓ {len(CHAPTERS)} of {len(CHAPTERS)}" in done.stdout
    assert "differently" not in done.stdout
    for chapter in CHAPTERS:
        assert chapter.title in done.stdout
        for command in chapter.commands:
            assert f"$ {command.shown}\n" in done.stdout
    shop = tmp_path / "look" / "shop"
    assert (
        (shop / ".sealpipe" / "store" / "dev" / "heads" / "checkout")
        .read_bytes()
        .startswith(b"SEALPIPE-RELEASE-1")
    )
    assert (tmp_path / "look" / "service.py").exists()
    password = _opened(shop, tmp_path / "look")
    assert len(password) == 24
    assert password not in done.stdout + done.stderr
    for file in (tmp_path / "look").rglob("*"):
        if file.is_file():
            assert password.encode() not in file.read_bytes(), f"{file} holds the password"


def _opened(shop: Path, folder: Path) -> str:
    """The password that the tour made, read with the key that it made."""
    environ = {**os.environ, "HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "home" / "config")}
    done = subprocess.run(
        [sys.executable, "-m", "sealpipe", "get", "dev/checkout", "db.password", "--reveal"],
        capture_output=True,
        text=True,
        cwd=shop,
        env=environ,
        check=True,
    )
    return done.stdout.strip()


def test_it_writes_into_empty_folders_only(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    done = sealpipe("demo", ".", cwd=tmp_path)
    assert done.returncode == 5
    assert "error[exists]" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("command", "difference"),
    [
        (Command("true"), ""),
        (Command("false"), "ended with 1, not 0"),
        (Command("exit 4", code=4), ""),
        (Command("true", code=4), "ended with 0, not 4"),
        (Command("echo one", says=("two",)), "does not say `two`"),
        (Command("echo secret", never=("secret",)), "says `secret`, which it must not"),
        (Command("sealpipe --version", says=("sealpipe 0",)), ""),
        (Command("cat", stdin="typed", says=("typed",)), ""),
    ],
)
def test_each_command_is_checked(tmp_path: Path, command: Command, difference: str) -> None:
    stage = prepare(tmp_path)
    [played] = play(Chapter("one", (command,)), stage)
    assert played.difference == difference


def test_the_persons_own_surroundings_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEALPIPE_KEY", "SEALPIPE_TRUST", "SOPS_AGE_KEY", "CHECKOUT__DB__POOL_MAX"):
        monkeypatch.setenv(name, "mine")
    stage = prepare(tmp_path)
    [played] = play(Chapter("one", (Command("env"),)), stage)
    assert "mine" not in played.output
    assert re.search(rf"^HOME={re.escape(str(tmp_path))}", played.output, re.MULTILINE)


def test_the_tour_on_a_store_that_is_named(consul: Running, store_prefix: str, tmp_path: Path) -> None:
    """Also the hand that edits the store; and nothing is left there."""
    url = f"consul://{consul.address}/{store_prefix}try"
    done = sealpipe("demo", "--fast", "--store", url, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"✓ {len(CHAPTERS)} of {len(CHAPTERS)}" in done.stdout
    assert f"the releases were in {url}/sealpipe-demo-" in done.stdout
    assert "empty again" in done.stdout
    assert "no network" not in done.stdout
    assert "published  checkout #5      consul" in done.stdout
    store, _ = open_store(url, base="/")
    assert store.keys(store_prefix) == []
    store.close()


@pytest.mark.parametrize(
    ("url", "code", "word"),
    [("nosuch:x", 1, "unknown-store"), ("nonsense", 2, "bad-store-url"), ("file:it's", 2, "bad-store-url")],
)
def test_a_store_that_is_none(tmp_path: Path, url: str, code: int, word: str) -> None:
    done = sealpipe("demo", "--fast", "--store", url, cwd=tmp_path)
    assert done.returncode == code
    assert f"error[{word}]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_of_its_own() -> None:
    assert re.fullmatch(r"consul://h/config/sealpipe-demo-[0-9a-f]{8}", own_place("consul://h/config"))
    assert re.fullmatch(
        r"s3://b/sealpipe-demo-[0-9a-f]{8}\?endpoint=http://h:1", own_place("s3://b?endpoint=http://h:1")
    )
    assert re.fullmatch(r"file:/x/sealpipe-demo-[0-9a-f]{8}", own_place("file:/x/"))
    for chapter in chapters("etcd://h/x"):
        assert all(".sealpipe/store/dev/heads" not in command.shown for command in chapter.commands)
