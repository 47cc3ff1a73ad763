"""`Live` on a real folder store: loading, swapping, refusing, telling."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import threading
import time
import uuid
import weakref
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator
from tests.live.store import OneService, until

from sealpipe import Event, Live, PublishedConfigDict, PublishedSettings
from sealpipe.errors import ConfigError, ConfigRefused, ConfigUnavailable
from sealpipe.live.live import part_of
from sealpipe.testing import override, published, sealed


class Db(BaseModel):
    host: str
    password: SecretStr
    pool_max: int = 5


class Orders(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    db: Db
    region: str = Field("eu", json_schema_extra={"x-restart": True})


def values(**db: Any) -> dict[str, Any]:
    return {"db": {"host": "db", "password": sealed("hunter2"), "pool_max": 20, **db}}


def test_making_one_does_no_io(tmp_path: Path) -> None:
    live = Live(Orders)
    assert not live.ready()
    assert live.status.state == "new"
    with pytest.raises(ConfigError, match="SEALPIPE_URL"):
        live.current  # noqa: B018
    assert not any(tmp_path.iterdir())


def test_current_loads_and_watches(shop: OneService) -> None:
    shop.publish(values())
    live = Live(Orders, source=shop.source)
    assert live.current.db.pool_max == 20
    assert live.ready()
    assert live.status.state == "live"
    shop.publish(values(pool_max=40))
    until(lambda: live.current.db.pool_max == 40)
    live.stop()
    assert live.status.state == "stopped"
    assert not live.ready()
    assert live.current.db.pool_max == 40


def test_what_is_held_is_not_changed_by_a_swap(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        held = live.current
        shop.publish(values(pool_max=40))
        assert live.refresh() in ("applied", "unchanged")
        assert (held.db.pool_max, live.current.db.pool_max) == (20, 40)


def test_reading_takes_no_lock(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        feed = part_of(live).feed
        assert feed is not None
        seen: list[int] = []
        with feed._lock:
            reader = threading.Thread(target=lambda: seen.append(live.current.db.pool_max))
            reader.start()
            reader.join(5)
        assert seen == [20]


def test_refresh_says_what_it_did(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        part_of(live).feed._watcher.stop()  # type: ignore[union-attr]  # only refresh() looks now
        assert live.refresh() == "unchanged"
        shop.publish(values(pool_max=40))
        assert live.refresh() == "applied"
        shop.publish(values(pool_max="many"))
        assert live.refresh() == "refused"
        (shop.folder).rename(shop.folder.with_name("away"))
        assert live.refresh() == "unavailable"
        assert live.current.db.pool_max == 40


def test_a_release_that_does_not_fit_is_refused_once_and_reported(shop: OneService) -> None:
    events: list[Event] = []
    shop.publish(values())
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        shop.publish(values(pool_max="many"))
        until(lambda: live.status.state == "refusing")
        assert live.refresh() == "refused"
        assert live.current.db.pool_max == 20
        assert live.status.error_word == "unfit-release"
        time.sleep(0.1)
        assert [e.kind for e in events].count("refused") == 1
        shop.publish(values(pool_max=30))
        until(lambda: live.current.db.pool_max == 30)
        assert live.status.state == "live"
        assert live.status.refusals == 0


def test_a_store_without_release_is_never_an_empty_configuration(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        (shop.folder / "dev" / "heads" / "orders").unlink()
        assert live.refresh() == "refused"
        assert live.current.db.host == "db"
        assert live.status.error_word == "no-release"


def test_an_altered_release_is_refused(shop: OneService) -> None:
    raw = shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        shop.put(raw[:-1] + bytes([raw[-1] ^ 1]))
        until(lambda: live.status.state == "refusing")
        assert live.current.db.pool_max == 20


def test_an_older_release_is_kept_out_silently(shop: OneService) -> None:
    first = shop.publish(values(pool_max=1))
    second = shop.publish(values(pool_max=2))
    with Live(Orders, source=shop.source) as live:
        shop.put(first)
        assert live.refresh() == "unchanged"
        assert live.current.db.pool_max == 2
        assert live.status.state == "live"
        shop.put(second)


def test_an_older_release_that_stays_is_told(shop: OneService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealpipe.client.feed.OLDER_ALARM", 0.05)
    events: list[Event] = []
    first = shop.publish(values(pool_max=1))
    shop.publish(values(pool_max=2))
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        shop.put(first)
        live.refresh()
        time.sleep(0.1)
        live.refresh()
        until(lambda: "older" in [e.kind for e in events])


def test_two_releases_of_one_order_are_an_alarm(shop: OneService) -> None:
    events: list[Event] = []
    shop.publish(values(pool_max=1), seq=1_900_000_000_000)
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        shop.publish(values(pool_max=2), seq=1_900_000_000_000)
        until(lambda: "alarm" in [e.kind for e in events])
        assert live.current.db.pool_max == 1


def test_a_retired_unit_keeps_running(shop: OneService) -> None:
    events: list[Event] = []
    shop.publish(values())
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        shop.publish({}, retired={"successor": "dev/shop"})
        until(lambda: "retired" in [e.kind for e in events])
        assert live.current.db.pool_max == 20


def test_variables_are_captured_once(shop: OneService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS__DB__HOST", "mine")
    shop.publish(values())
    with Live(Orders, source=shop.source, init={"region": "us"}) as live:
        monkeypatch.setenv("ORDERS__DB__HOST", "changed")
        monkeypatch.setenv("ORDERS__DB__POOL_MAX", "not a number")
        shop.publish(values(pool_max=40))
        until(lambda: live.current.db.pool_max == 40)
        assert live.current.db.host == "mine"
        assert live.current.region == "us"
        assert live.status.overridden == {"db.host": "the variable ORDERS__DB__HOST"}


def test_the_command_line_is_not_parsed_again(shop: OneService, monkeypatch: pytest.MonkeyPatch) -> None:
    class WithCli(Orders):
        model_config = PublishedConfigDict(service="orders", cli_parse_args=True)

    monkeypatch.setattr("sys.argv", ["program", "--region", "us"])
    shop.publish(values())
    with Live(WithCli, source=shop.source) as live:
        assert live.current.region == "us"
        monkeypatch.setattr("sys.argv", ["program", "--nonsense"])
        shop.publish(values(pool_max=40))
        until(lambda: live.current.db.pool_max == 40)
        assert live.current.region == "us"
        assert live.ready()


@pytest.mark.parametrize("raised", [KeyError("x"), SystemExit(3), RecursionError()])
def test_a_validator_that_raises_anything_is_a_refused_release(
    shop: OneService, raised: BaseException
) -> None:
    class Fussy(Orders):
        @field_validator("db")
        @classmethod
        def fuss(cls, db: Db) -> Db:
            if db.pool_max == 13:
                raise raised
            return db

    shop.publish(values())
    with Live(Fussy, source=shop.source) as live:
        shop.publish(values(pool_max=13))
        until(lambda: live.status.state == "refusing")
        shop.publish(values(pool_max=14))
        until(lambda: live.current.db.pool_max == 14)
        assert live.ready()


def test_a_validator_that_asks_for_a_refresh_does_not_hang(shop: OneService) -> None:
    lives: list[Live[Any]] = []
    answers: list[str] = []

    class Nosy(Orders):
        @field_validator("db")
        @classmethod
        def ask(cls, db: Db) -> Db:
            if lives and db.pool_max == 40:
                answers.append(lives[0].refresh())
            return db

    shop.publish(values())
    with Live(Nosy, source=shop.source) as live:
        lives.append(live)
        shop.publish(values(pool_max=40))
        until(lambda: live.current.db.pool_max == 40)
        assert answers == ["unchanged"]


def test_all_objects_of_a_unit_swap_or_none(shop: OneService) -> None:
    class Strict(Orders):
        @field_validator("db")
        @classmethod
        def small(cls, db: Db) -> Db:
            if db.pool_max > 30:
                raise ValueError("too many")
            return db

    shop.publish(values())
    with Live(Orders, source=shop.source) as one, Live(Strict, source=shop.source) as two:
        assert part_of(one).feed is part_of(two).feed
        shop.publish(values(pool_max=40))
        until(lambda: one.status.state == "refusing")
        assert one.current.db.pool_max == two.current.db.pool_max == 20
        shop.publish(values(pool_max=30))
        until(lambda: one.current.db.pool_max == 30)
        assert two.current.db.pool_max == 30


def test_a_second_object_starts_from_what_runs(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as one:
        (shop.folder).rename(shop.folder.with_name("away"))
        with Live(Orders, source=shop.source) as two:
            assert two.current.db.pool_max == one.current.db.pool_max


def test_a_default_in_place_of_a_published_value_is_told(shop: OneService) -> None:
    events: list[Event] = []
    shop.publish(values())
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        shop.publish({"db": {"host": "db", "password": sealed("hunter2")}})
        until(lambda: "defaulted" in [e.kind for e in events])
        assert live.status.defaulted == ("db.pool_max", "region")
        (told,) = [e for e in events if e.kind == "defaulted"]
        assert told.paths == ("db.pool_max",)


def test_a_change_that_needs_a_restart_is_applied_and_listed(shop: OneService) -> None:
    shop.publish({**values(), "region": "eu"})
    with Live(Orders, source=shop.source) as live:
        shop.publish({**values(), "region": "us"})
        until(lambda: live.current.region == "us")
        assert live.status.restart_required == ("region",)


def test_the_cache_starts_a_service_and_says_so(cached_shop: OneService) -> None:
    cached_shop.publish(values())
    with Live(Orders, source=cached_shop.source):
        pass
    gc.collect()
    cached_shop.folder.rename(cached_shop.folder.with_name("away"))
    with Live(Orders, source=cached_shop.source) as live:
        assert live.current.db.pool_max == 20
        assert live.status.origin == "cache"
        assert live.status.state in ("cached", "live")
        until(lambda: live.status.state == "cached")
        cached_shop.folder.with_name("away").rename(cached_shop.folder)
        cached_shop.publish(values(pool_max=40))
        until(lambda: live.current.db.pool_max == 40)
        assert live.status.state == "live"


def test_without_store_and_cache_there_is_a_clear_error(shop: OneService) -> None:
    with pytest.raises(ConfigUnavailable):
        Live(Orders, source=shop.source).start()


def test_nobody_confirms_for_too_long(shop: OneService) -> None:
    events: list[Event] = []
    shop.publish(values())
    with Live(Orders, source=shop.source, on_event=events.append, stale_after=0.2) as live:
        shop.folder.rename(shop.folder.with_name("away"))
        live.refresh()
        until(lambda: live.status.state == "stale")
        assert live.ready()
        assert live.current.db.pool_max == 20
        until(lambda: [e.kind for e in events].count("stale") == 1)
        shop.folder.with_name("away").rename(shop.folder)
        until(lambda: live.status.state == "live")


# ---- listening


def test_on_change_by_path_and_by_function(shop: OneService) -> None:
    seen: list[tuple[str, Any, Any]] = []
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        live.on_change("db.pool_max", lambda old, new: seen.append(("path", old, new)))

        @live.on_change(lambda s: s.db.host)
        def host(old: str, new: str) -> None:
            seen.append(("host", old, new))

        shop.publish(values(pool_max=40))
        until(lambda: len(seen) == 1)
        shop.publish(values(pool_max=40, host="other"))
        until(lambda: len(seen) == 2)
        assert seen == [("path", 20, 40), ("host", "db", "other")]


def test_a_secret_fires_too(shop: OneService) -> None:
    seen: list[str] = []
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        live.on_change("db.password", lambda old, new: seen.append(new.get_secret_value()))
        shop.publish(values(password=sealed("fresh")))
        until(lambda: seen == ["fresh"])


def test_a_default_factory_does_not_fire(shop: OneService) -> None:
    class Named(Orders):
        instance: uuid.UUID = Field(default_factory=uuid.uuid4)

    seen: list[Any] = []
    done = threading.Event()
    shop.publish(values())
    with Live(Named, source=shop.source) as live:
        live.on_change("instance", lambda *both: seen.append(both))
        live.on_change(lambda s: s.instance, lambda *both: seen.append(both))
        live.on_change("db.pool_max", lambda *_: done.set())
        shop.publish(values(pool_max=40))
        assert done.wait(10)
        time.sleep(0.1)
        assert not seen


def test_a_path_that_is_none_is_said_at_once(shop: OneService) -> None:
    live = Live(Orders, source=shop.source)
    with pytest.raises(ValueError, match=r"did you mean db\.pool_max\?"):
        live.on_change("db.poolmax", print)
    with pytest.raises(ValueError, match="by its index"):
        live.on_change("replicas[name=eu].port", print)


def test_an_async_callback_is_refused(shop: OneService) -> None:
    async def never(old: Any, new: Any) -> None: ...

    with pytest.raises(TypeError, match="changes"):
        Live(Orders, source=shop.source).on_change("db.pool_max", never)


async def closes(pool: Any) -> None: ...


def test_what_cannot_be_called_is_said_at_once(shop: OneService) -> None:
    live = Live(Orders, source=shop.source)
    for wrong in ("db", 3, None):
        with pytest.raises(TypeError, match="a function"):
            live.derive(wrong, str)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a function"):
            live.derive(lambda s: s.db, wrong)  # type: ignore[arg-type,misc]
    for wrong in ("db", 3):
        with pytest.raises(TypeError, match="a function"):
            live.derive(lambda s: s.db, str, close=wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a function"):
            live.on_change("db", wrong)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="a function"):
            live.on_event(wrong)  # type: ignore[arg-type]
    for made in ({"make": closes}, {"make": str, "close": closes}):
        with pytest.raises(TypeError, match="never be awaited: a plain function"):
            live.derive(lambda s: s.db, **made)
    assert not part_of(live).derived
    for cls in ("Orders", int, None):
        with pytest.raises(TypeError, match="a settings class is needed"):
            Live(cls)  # type: ignore[arg-type]


def test_a_callback_that_raises_or_blocks_hurts_nobody(
    shop: OneService, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    seen: list[int] = []
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:

        @live.on_change("db.pool_max")
        def broken(old: int, new: int) -> None:
            raise ValueError("hunter2")

        live.on_change("db.pool_max", lambda *_: release.wait(20))
        live.on_change("db.pool_max", lambda old, new: seen.append(new))
        with caplog.at_level(logging.ERROR, "sealpipe"):
            shop.publish(values(pool_max=30))
            until(lambda: seen == [30])
            shop.publish(values(pool_max=40))
            until(lambda: seen == [30, 40])
            until(lambda: caplog.text.count("raised ValueError") == 2)
        assert "hunter2" not in caplog.text
        release.set()


def test_a_slow_callback_sees_one_change_for_many(shop: OneService) -> None:
    go = threading.Event()
    seen: list[tuple[int, int]] = []
    shop.publish(values(pool_max=1))
    with Live(Orders, source=shop.source) as live:

        @live.on_change("db.pool_max")
        def slow(old: int, new: int) -> None:
            go.wait(10)
            seen.append((old, new))

        for count in (2, 3, 4):
            shop.publish(values(pool_max=count))
            until(lambda wanted=count: live.current.db.pool_max == wanted)  # type: ignore[misc]
        go.set()
        until(lambda: bool(seen) and seen[-1][1] == 4)
        assert seen[0][0] == 1
        assert len(seen) <= 2


def test_a_callback_may_stop_and_refresh(shop: OneService) -> None:
    done = threading.Event()
    shop.publish(values())
    live = Live(Orders, source=shop.source).start()

    @live.on_change("db.pool_max")
    def stop(old: int, new: int) -> None:
        live.refresh()
        live.stop()
        done.set()

    shop.publish(values(pool_max=40))
    assert done.wait(10)
    assert live.status.state == "stopped"


def test_changes_is_latest_wins(shop: OneService) -> None:
    shop.publish(values(pool_max=1))

    async def follow() -> list[tuple[int, int, tuple[str, ...]]]:
        found = []
        async with Live(Orders, source=shop.source) as live:
            changes = live.changes()
            for count in (2, 3):
                await asyncio.to_thread(shop.publish, values(pool_max=count))
                await asyncio.to_thread(until, lambda wanted=count: live.current.db.pool_max == wanted)
            async for change in changes:
                found.append((change.old.db.pool_max, change.new.db.pool_max, change.paths))
                break
            live.stop()
            assert [change async for change in changes] == []
        return found

    assert asyncio.run(follow()) == [(1, 3, ("db.pool_max",))]


def test_a_closed_loop_is_dropped(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:

        async def subscribe() -> None:
            live.changes()

        asyncio.run(subscribe())
        assert len(part_of(live).subscribers) == 1
        shop.publish(values(pool_max=40))
        until(lambda: live.current.db.pool_max == 40)
        until(lambda: not part_of(live).subscribers)
        shop.publish(values(pool_max=41))
        until(lambda: live.current.db.pool_max == 41)


# ---- derived


def test_derived_objects_are_made_before_the_swap_and_closed_after_it(shop: OneService) -> None:
    made: list[str] = []
    closed: list[str] = []
    shop.publish(values(host="a"))
    with Live(Orders, source=shop.source) as live:

        def pool(host: str) -> str:
            made.append(host)
            return f"pool of {host}"

        derived = live.derive(lambda s: s.db.host, pool, close=closed.append, grace=0.05)
        assert made == []
        assert derived.current == "pool of a"
        shop.publish(values(host="a", pool_max=40))
        until(lambda: live.current.db.pool_max == 40)
        assert made == ["a"]
        shop.publish(values(host="b"))
        until(lambda: live.current.db.host == "b")
        assert derived.current == "pool of b"
        until(lambda: closed == ["pool of a"])


def test_a_factory_that_fails_refuses_the_release(shop: OneService) -> None:
    closed: list[str] = []

    def pool(host: str) -> str:
        if host == "bad":
            raise OSError("cannot reach hunter2")
        return host

    shop.publish(values(host="a"))
    with Live(Orders, source=shop.source) as live:
        first = live.derive(lambda s: s.db.host, lambda host: f"first {host}", close=closed.append, grace=0)
        second = live.derive(lambda s: s.db.host, pool)
        assert (first.current, second.current) == ("first a", "a")
        shop.publish(values(host="bad"))
        until(lambda: live.status.error_word == "derive-failed")
        assert "hunter2" not in str(live.status)
        assert (first.current, second.current, live.current.db.host) == ("first a", "a", "a")
        assert "first bad" in closed


def test_a_factory_that_fails_at_the_first_look_raises(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        derived = live.derive(lambda s: s.db.host, lambda host: 1 / 0)
        with pytest.raises(ConfigRefused, match="ZeroDivisionError"):
            derived.current  # noqa: B018


# ---- what it is not


def test_it_cannot_be_assigned_nor_pickled(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        with pytest.raises(AttributeError, match="published"):
            live.current = 1  # type: ignore[assignment]
        with pytest.raises(TypeError):
            pickle.dumps(live)
        assert "hunter2" not in repr(live) + str(live.status) + str(live.explain("db.password"))


def test_a_class_with_its_own_constructor_is_refused(shop: OneService) -> None:
    class Own(Orders):
        def __init__(self, **values: Any) -> None:
            super().__init__(**values)

    with pytest.raises(ConfigError, match="__init__"):
        Live(Own, source=shop.source).start()


def test_who_is_forgotten_is_no_longer_followed(shop: OneService) -> None:
    shop.publish(values())
    live = Live(Orders, source=shop.source).start()
    gone = weakref.ref(live)
    feed = part_of(live).feed
    assert feed is not None
    assert feed.watching
    del live
    gc.collect()
    assert gone() is None
    until(lambda: not feed.watching)


def test_stopping_takes_less_than_a_second(shop: OneService) -> None:
    shop.publish(values())
    live = Live(Orders, source=shop.source).start()
    began = time.monotonic()
    live.stop()
    assert time.monotonic() - began < 1.0
    assert not any(t.name == "sealpipe dev/orders" for t in threading.enumerate())
    live.start()
    assert live.ready()
    live.stop()


def test_explain_says_who_decides(shop: OneService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS__DB__HOST", "mine")
    shop.publish(values(), origins={"/db/pool_max": "environments/dev/orders.yaml:4"})
    with Live(Orders, source=shop.source) as live:
        assert str(live.explain("db.pool_max")).splitlines()[0] == (
            "db.pool_max: from published environments/dev/orders.yaml:4"
        )
        assert "from the variable ORDERS__DB__HOST" in str(live.explain("db.host"))
        assert "over published" in str(live.explain("db.host"))
        assert "the default of the class" in str(live.explain("region"))
        assert str(live.explain("db.password")).startswith("db.password: a secret, from published")
        with pytest.raises(ValueError, match="no field"):
            live.explain("db.nothing")


# ---- in memory, for tests of services


def test_override_nests_and_restores() -> None:
    with published(orders=values()), Live(Orders) as live:
        with override(live, {"db.pool_max": 1}) as changed:
            assert changed.db.pool_max == live.current.db.pool_max == 1
            with override(live, {"db.host": "x"}):
                assert (live.current.db.pool_max, live.current.db.host) == (1, "x")
            assert (live.current.db.pool_max, live.current.db.host) == (1, "db")
            with pytest.raises(ConfigRefused), override(live, {"db.pool_max": "many"}):
                pass
            assert live.current.db.pool_max == 1
        assert live.current.db.pool_max == 20


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"db.poolmax": 1}, r"no field at db\.poolmax \(did you mean db\.pool_max\?\)"),
        ({"nope": 1}, "Orders has no field at nope"),
        ({"db": {"pool_max": 1, "nope": 1}}, r"no field at db\.nope"),
        ({"db": {"pool_max": 1}, "db.host": "x"}, "beside another path"),
        ({"db.host": "x", "db": {"pool_max": 1}}, "beside another path"),
        ({"": 1}, "the path is empty"),
        ({"db[0]": 1}, "a field is overridden"),
        ({"db..host": 1}, "joined by dots"),
    ],
)
def test_an_override_that_would_do_nothing_is_said(given: dict[str, Any], says: str) -> None:
    """A test would pass with what is published."""
    with published(orders=values()), Live(Orders) as live:
        with pytest.raises(ValueError, match=says), override(live, given):
            pass
        assert live.current.db.pool_max == 20


def test_an_override_stands_over_newer_releases() -> None:
    with published(orders=values()) as store, Live(Orders) as live:
        with override(live, {"db.pool_max": 1}):
            store.publish("orders", values(host="new"))
            until(lambda: live.current.db.host == "new")
            assert live.current.db.pool_max == 1
        assert live.current.db.pool_max == 20


def test_down_and_invalid_in_memory() -> None:
    with published(orders=values()) as store, Live(Orders) as live:
        store.go_down()
        until(lambda: live.status.state == "cached")
        assert live.refresh() == "unavailable"
        store.come_back()
        until(lambda: live.status.state == "live")
        store.publish_invalid("orders")
        until(lambda: live.status.state == "refusing")
        store.publish("orders", values(pool_max=40))
        until(lambda: live.current.db.pool_max == 40)


def test_a_release_file_is_followed_through_a_swapped_link(tmp_path: Path, shop: OneService) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v2").mkdir()
    (tmp_path / "v1" / "release").write_bytes(shop.release(values(pool_max=1)))
    (tmp_path / "v2" / "release").write_bytes(shop.release(values(pool_max=2)))
    link = tmp_path / "data"
    link.symlink_to("v1")
    source = shop.source
    from dataclasses import replace

    with Live(Orders, source=replace(source, url=f"release:{link}/release")) as live:
        assert live.current.db.pool_max == 1
        assert live.status.origin == "file"
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").rename(link)
        until(lambda: live.current.db.pool_max == 2)


def test_a_mirror_serves_while_the_first_store_is_away(shop: OneService, tmp_path: Path) -> None:
    from dataclasses import replace

    raw = shop.publish(values())
    mirror = OneService(tmp_path / "mirror")
    mirror.keys = shop.keys
    mirror.put(raw)
    source = replace(shop.source, url=f"file:{shop.folder} file:{mirror.folder}")
    with Live(Orders, source=source) as live:
        shop.folder.rename(shop.folder.with_name("away"))
        mirror.seq = shop.seq
        mirror.publish(values(pool_max=40))
        until(lambda: live.current.db.pool_max == 40)
        assert live.status.origin == "mirror"
