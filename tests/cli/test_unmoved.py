"""What `publish` leaves out, and what brings it back: files, the store, other publishers, the day."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sealpipe import caches
from sealpipe.checks import standing
from sealpipe.cli.ship import unmoved
from sealpipe.stages import inputs
from sealpipe.stores.base import Put
from sealpipe.stores.registry import open_store
from sealpipe.trees import WorkTree
from shipping import Shop
from team import git

CHECKOUT, MAILER = "environments/dev/checkout.yaml", "environments/dev/mailer.yaml"
SAME = "unchanged  checkout #1, mailer #1\n"
Publish = Callable[..., set[str]]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(caches, "program", lambda: [b"this one"])  # its files may be edited meanwhile
    made = Shop(folder, monkeypatch, capsys)
    made.write(MAILER, "smtp:\n  host: smtp.dev\n")
    made.commit("two services in dev")
    made.ok("publish", "dev", by="anna")
    return made


@pytest.fixture
def left_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[set[str], str]]:
    """Publishes, and gives the services that were left out and what was printed."""
    seen: list[frozenset[str]] = []
    real = unmoved.with_services

    def spy(found: Any, tree: Any, without: Any) -> Any:
        seen.append(without)
        return real(found, tree, without)

    monkeypatch.setattr(unmoved, "with_services", spy)

    def publish(*options: str, code: int = 0, by: str = "anna") -> tuple[set[str], str]:
        seen.clear()
        done = shop.run("publish", *(options or ("dev",)), by=by)
        assert done.code == code, done.err
        return set().union(*seen), done.out + done.err

    return publish


def entry(tmp_path: Path) -> Path:
    [found] = (tmp_path / "cache/sealpipe/standing").iterdir()
    return found


def test_what_was_published_stands_and_is_told_of_as_ever(shop: Shop, left_out: Publish) -> None:
    gone, told = left_out()
    assert gone == {"checkout", "mailer"}
    assert told == SAME
    assert left_out("dev", "--reissue")[0] == set()  # another question
    assert left_out()[0] == {"checkout", "mailer"}


def test_only_what_changed_is_looked_at(shop: Shop, left_out: Publish) -> None:
    shop.set(MAILER, "smtp.dev", "smtp.other")
    gone, told = left_out()
    assert gone == {"checkout"}
    assert "published  mailer #2" in told
    assert "unchanged  checkout #1\n" in told
    assert left_out()[0] == {"checkout", "mailer"}


@pytest.mark.parametrize(
    ("file", "text", "left"),
    [
        (CHECKOUT, "# a comment\n", {"mailer"}),
        ("environments/base/checkout.yaml", "# a comment\n", {"mailer"}),
        ("environments/production/mailer.yaml", "# another environment's\n", {"checkout"}),
        ("schemas/mailer.schema.json", "\n", {"checkout"}),
        ("schemas/running/mailer/v1.schema.json", '{"type": "object"}', {"checkout"}),
        ("environments/base/_all.yaml", "{}\n", set()),
        ("schemas/_all.schema.json", '{"type": "object"}', set()),
        ("sealpipe.yaml", "\n", set()),
        ("trust/other.yaml", "a: 1\n", set()),
    ],
)
def test_every_file_counts_for_whom_it_is_a_part_of(
    shop: Shop, left_out: Publish, file: str, text: str, left: set[str]
) -> None:
    path = Path(shop.root, file)
    shop.write(file, (path.read_text() if path.exists() else "") + text)
    done = shop.run("publish", "dev", by="anna")
    if done.code == 0:  # what the file does there is not the question here
        assert "checkout #" in done.out
    path.write_text(path.read_text() + " ")
    gone, _ = left_out(code=done.code)
    assert gone == left


def test_the_day_and_the_program_count(
    shop: Shop, left_out: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgotten() -> bool:
        return left_out()[0] == set() and left_out()[0] == {"checkout", "mailer"}

    assert not forgotten()
    monkeypatch.setattr(inputs, "VERSION", "0.0.9")
    assert forgotten()
    monkeypatch.setattr(caches, "program", lambda: [b"another one"])
    assert forgotten()
    monkeypatch.setattr(inputs.time, "strftime", lambda *_: "2031-01-01")
    assert forgotten()


def test_what_is_not_valid_is_refused_although_it_was_once_published(shop: Shop, left_out: Publish) -> None:
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: none")
    gone, told = left_out(code=4)
    assert gone == {"mailer"}
    assert "wrong-type" in told


def test_a_service_that_is_gone_from_here_is_missed(shop: Shop, left_out: Publish) -> None:
    Path(shop.root, MAILER).unlink()
    gone, told = left_out(code=5)
    assert gone == {"checkout"}
    assert "error[vanished]" in told


def test_what_is_retired_stands_too(shop: Shop, left_out: Publish) -> None:
    Path(shop.root, MAILER).unlink()
    shop.ok("publish", "dev", "--retire", "dev/mailer", by="anna")
    assert left_out()[0] == {"checkout", "mailer"}
    shop.write(MAILER, "smtp:\n  host: smtp.dev\n")
    assert "published  mailer #3" in left_out()[1]


def test_a_head_that_moved_is_looked_at(shop: Shop, left_out: Publish) -> None:
    shop.set(MAILER, "smtp.dev", "smtp.other")
    left_out()
    shop.ok("rollback", "dev/mailer", by="ben")
    gone, told = left_out(code=5)
    assert gone == {"checkout"}
    assert "error[held]" in told
    assert left_out(code=5)[0] == {"checkout"}  # as long as the hold is there


def test_a_head_that_is_no_release_any_more_is_found(shop: Shop, left_out: Publish) -> None:
    head = shop.head("dev", "mailer")
    head.write_bytes(head.read_bytes()[:-1])
    gone, told = left_out(code=6)
    assert gone == {"checkout"}
    assert "error[broken-head]" in told


def test_who_published_in_between_has_everything_looked_at(shop: Shop, left_out: Publish) -> None:
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 21")
    shop.commit("pool")
    shop.patch.setenv("XDG_CACHE_HOME", str(shop.root.parent / "another machine"))
    shop.ok("publish", "dev", by="ben")
    shop.patch.setenv("XDG_CACHE_HOME", str(shop.root.parent / "cache"))
    gone, told = left_out()
    assert gone == set()
    assert told == "unchanged  checkout #2, mailer #1\n"


def test_a_store_begun_anew_gets_everything(shop: Shop, left_out: Publish) -> None:
    import shutil

    shutil.rmtree(Path(shop.root, ".sealpipe/store"))
    gone, told = left_out()
    assert gone == set()
    assert "published  checkout #1" in told


def test_who_is_shown_the_whole_plan_gets_the_whole(shop: Shop, left_out: Publish) -> None:
    gone, told = left_out("dev", "--dry-run")
    assert gone == set()
    assert told.count("same as published (#1)") == 2


def test_a_protected_environment_in_ci(shop: Shop, left_out: Publish) -> None:
    git(shop.root, "push", "-q", "origin", "HEAD:main")
    shop.ok("publish", "production", "--break-glass", "first", "--yes", by="anna")
    gone, told = left_out("production", "--yes", by="ci")
    assert gone == {"checkout", "mailer"}
    assert "unchanged  checkout #1, mailer #1" in told


def test_the_service_that_is_named_is_looked_at(shop: Shop, left_out: Publish) -> None:
    gone, told = left_out("dev/mailer")
    assert gone == {"checkout"}
    assert told == SAME


def test_somebody_moves_while_it_is_decided(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the fence the store is asked again."""
    from sealpipe.flows import ship

    real = ship.claim

    def claim(*args: Any, **more: Any) -> Any:
        done = real(*args, **more)
        store, _ = open_store("file:.sealpipe/store", base=str(shop.root))
        [other] = [e for e in store.scan("dev/heads/") if e.key.endswith("mailer")]
        store.write([Put("dev/heads/checkout", other.value, None)])
        return done

    monkeypatch.setattr(ship, "claim", claim)
    done = shop.run("publish", "dev", by="anna")
    assert done.code == 5
    assert "error[moved]" in done.err


# ---- files that need not be read


@pytest.fixture
def read(shop: Shop, left_out: Publish, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Documents and schemas that are read, of services; and no file is young."""
    found: list[str] = []
    real = WorkTree.read_each

    def read_each(tree: WorkTree, folder: str, names: Sequence[str]) -> Any:
        found.extend(name for name in names if name.startswith(("checkout.", "mailer.")))
        return real(tree, folder, names)

    monkeypatch.setattr(WorkTree, "read_each", read_each)
    monkeypatch.setattr(inputs, "_TICK_NS", 0)
    left_out()
    return found


def test_a_file_that_nobody_wrote_is_not_read(left_out: Publish, read: list[str]) -> None:
    read.clear()
    assert left_out()[0] == {"checkout", "mailer"}
    assert read == []


def test_a_file_that_was_written_is_read_whatever_its_time_says(
    shop: Shop, left_out: Publish, read: list[str]
) -> None:
    path = Path(shop.root, MAILER)
    before = path.stat()
    shop.set(MAILER, "smtp.dev", "smtp.old")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )
    gone, told = left_out()
    assert gone == {"checkout"}
    assert "published  mailer #2" in told


def test_a_file_that_was_touched_is_read_and_then_not_again(
    shop: Shop, left_out: Publish, read: list[str]
) -> None:
    Path(shop.root, CHECKOUT).touch()
    read.clear()
    assert left_out()[0] == {"checkout", "mailer"}
    assert "checkout.yaml" in read
    assert "mailer.yaml" not in read
    read.clear()
    assert left_out()[0] == {"checkout", "mailer"}
    assert read == []


def test_a_young_file_is_read(left_out: Publish, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tick of the clock a file may be written twice and look the same."""
    monkeypatch.setattr(inputs, "_TICK_NS", 3600 * 10**9)
    read.clear()
    assert left_out()[0] == {"checkout", "mailer"}
    assert {"checkout.yaml", "mailer.yaml"} <= set(read)


# ---- what is kept


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: b"",
        lambda text: text[:-1],
        lambda text: text.replace(b"sealpipe.standing.2", b"sealpipe.standing.0"),
        lambda text: text.replace(b"mailer", b"nailer"),
        lambda text: b"\xff" * 100,
    ],
)
def test_a_record_that_is_not_whole_is_none(
    shop: Shop, left_out: Publish, tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    file = entry(tmp_path)
    file.write_bytes(harm(file.read_bytes()))
    assert left_out()[0] == set()
    assert left_out()[0] == {"checkout", "mailer"}


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"null", b"{}", b'{"units": 1}', b"[" * 100_000,
        b'{"units": {"a": [1, 2, 3]}, "listed": {}, "mark": "", "common": "", "state": ""}',
        b'{"units": {"a": ["", "", "x", ""]}, "listed": {}, "mark": "", "common": "", "state": ""}',
        b'{"units": {}, "listed": {"a": 1}, "mark": "", "common": "", "state": ""}',
    ],
)  # fmt: skip
def test_a_whole_record_of_another_shape_is_none(
    shop: Shop, left_out: Publish, tmp_path: Path, body: bytes
) -> None:
    file = entry(tmp_path)
    url = file.read_bytes().split(b" ")[1].decode()
    caches.write(str(file), caches.head(standing.FORMAT, url, body), body)
    assert left_out()[0] == set()


def test_a_hostile_record_withholds_and_no_more(shop: Shop, left_out: Publish, tmp_path: Path) -> None:
    shop.set(MAILER, "smtp.dev", "smtp.other")
    at = (str(shop.root), "dev", "file:.sealpipe/store", {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    record = standing.load(*at)
    assert record is not None
    from sealpipe.trees import Seen

    now = inputs.inputs(Seen(WorkTree(shop.root)), shop.pins())
    lying = {
        unit: one._replace(inputs=now.digest(unit.service), number=99) for unit, one in record.units.items()
    }
    standing.keep(record._replace(units=lying), *at)
    before = shop.head("dev", "mailer").read_bytes()
    gone, told = left_out()
    assert gone == {"checkout", "mailer"}
    assert "published" not in told
    assert shop.head("dev", "mailer").read_bytes() == before
    assert "mailer     #1 → #2" in shop.ok("plan", "dev").out
    assert left_out("dev/mailer")[1].startswith("signed")


def test_nothing_is_kept_where_a_pull_request_could_bring_it(shop: Shop, left_out: Publish) -> None:
    shop.patch.setenv("XDG_CACHE_HOME", str(Path(shop.root, ".cache")))
    assert left_out()[0] == set()
    assert left_out()[0] == set()


def test_a_store_that_does_not_answer_is_said_once(shop: Shop, left_out: Publish) -> None:
    Path(shop.root, ".sealpipe/store/dev/state").unlink()
    Path(shop.root, ".sealpipe/store/dev/state").mkdir()
    gone, told = left_out(code=1)
    assert gone == set()
    assert told.count("error[") == 1
