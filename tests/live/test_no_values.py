"""Everything that a live object says, whatever goes wrong with it: no value stands in it, sealed or plain."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, Secret, SecretStr, field_validator, model_validator
from tests.live.store import OneService, until

from leaking import Sweep, all_of
from sealpipe import Event, Live, PublishedConfigDict, PublishedSettings
from sealpipe.errors import ConfigError
from sealpipe.live.live import part_of
from sealpipe.testing import override, sealed

SECRET, PLAIN, PIN = "s3cret-canary/+ü", "plain-canary-value", 482915063
sweep = Sweep(SECRET, PLAIN, str(PIN))
secrets_only = Sweep(SECRET, str(PIN))


class Db(BaseModel):
    password: SecretStr
    host: str
    pin: Secret[int] = Secret(0)
    pool_max: int = Field(5, le=100)


class Orders(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    db: Db


class Forbidding(Orders):
    model_config = PublishedConfigDict(config_unknown="forbid")


class Loud(Orders):
    """Says everything that it knows, in every way a validator has."""

    @model_validator(mode="after")
    def loud(self) -> Loud:
        text = f"{self.db.password.get_secret_value()} {self.db.host} {self.db.pin.get_secret_value()}"
        if self.db.pool_max == 11:
            raise ValueError(text)
        if self.db.pool_max == 12:
            raise KeyError(text)
        if self.db.pool_max == 13:
            raise SystemExit(text)
        if self.db.pool_max == 14:
            try:
                raise RuntimeError(text)  # noqa: TRY301
            except RuntimeError as error:
                raise ExceptionGroup(text, [error]) from error
        if self.db.pool_max == 15:
            assert text == "", text
        return self


class Talking(BaseModel):
    host: str
    password: SecretStr
    pool_max: int = 5

    @field_validator("password", mode="before")
    @classmethod
    def talk(cls, value: Any) -> Any:
        raise ValueError(f"not {value}")


class OfTalking(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    db: Talking


def values(pool_max: Any = 5, **db: Any) -> dict[str, Any]:
    return {"db": {"password": sealed(SECRET), "host": PLAIN, "pin": sealed(PIN), "pool_max": pool_max, **db}}


Publish = Callable[[OneService], object]
WRONG: dict[str, tuple[type[Orders], Publish]] = {
    "type": (Orders, lambda shop: shop.publish(values(PLAIN))),
    "bound": (Orders, lambda shop: shop.publish(values(101))),
    "missing": (Orders, lambda shop: shop.publish({"db": {"password": sealed(SECRET)}})),
    "no map": (Orders, lambda shop: shop.publish({"db": PLAIN})),
    "sealed whole": (Orders, lambda shop: shop.publish({"db": sealed({"password": SECRET})})),
    "sealed to plain": (Orders, lambda shop: shop.publish(values(host=sealed(SECRET)))),
    "plain to sealed": (Orders, lambda shop: shop.publish(values(password=SECRET))),
    "wrong secret": (Orders, lambda shop: shop.publish(values(pin=sealed(SECRET)))),
    "unknown": (Forbidding, lambda shop: shop.publish(values(extra=PLAIN, other=SECRET))),
    "locked": (Orders, lambda shop: shop.publish(values(), locked=("/db/pool_max",))),
    "altered": (Orders, lambda shop: shop.put(shop.release(values())[:-1] + b"!")),
    "cut": (Orders, lambda shop: shop.put(shop.release(values())[:-9])),
    "raw values": (Orders, lambda shop: shop.put(f'{{"db": {{"host": "{PLAIN}"}}}}'.encode())),
    "retired": (Orders, lambda shop: shop.publish({}, retired={"successor": "dev/shop"})),
    **{
        f"validator {number}": (Loud, lambda shop, number=number: shop.publish(values(number)))  # type: ignore[misc]
        for number in range(11, 16)
    },
}


def everything(live: Live[Any], events: list[Event], caplog: pytest.LogCaptureFixture) -> str:
    """All that the object, its log and its status show of themselves."""
    part = part_of(live)
    feed = part.feed
    assert feed is not None
    shown = [repr(live), str(live.status), repr(live.status.as_dict()), str(live.explain("db.host"))]
    shown += [str(live.explain("db.password")), repr(feed.source), repr(part), repr(feed)]
    shown += [repr(events), repr([event.as_dict() for event in events])]
    shown += [repr(pickle.dumps(live.status)), repr(pickle.dumps(events))]
    for record in caplog.records:
        shown += [record.getMessage(), repr(vars(record))]
    if feed.error is not None:
        shown.append(all_of(feed.error, with_locals=False))
    return "\n".join(shown)


@pytest.mark.parametrize("case", WRONG)
def test_a_refused_release_shows_nothing(
    case: str, cached_shop: OneService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "locked":
        monkeypatch.setenv("ORDERS__DB__POOL_MAX", "77")
    cls, publish = WRONG[case]
    events: list[Event] = []
    caplog.set_level(logging.DEBUG)
    cached_shop.publish(values())
    with Live(cls, source=cached_shop.source, on_event=events.append) as live:
        publish(cached_shop)
        until(lambda: live.status.state == "refusing")
        until(lambda: {"refused", "retired"} & {event.kind for event in events})
        assert not sweep(everything(live, events, caplog))
        assert live.current.db.host == PLAIN


@pytest.mark.parametrize("case", WRONG)
def test_a_start_that_fails_shows_nothing(
    case: str, shop: OneService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "locked":
        monkeypatch.setenv("ORDERS__DB__POOL_MAX", "77")
    cls, publish = WRONG[case]
    publish(shop)
    raised: BaseException | None = None
    try:
        Live(cls, source=shop.source).start()
    except ConfigError as error:
        raised = error
    except SystemExit:
        assert case == "validator 13"  # a program that wants to end before it began does
        return
    assert raised is not None
    assert raised.__context__ is None
    assert not sweep(all_of(raised, with_locals=False))
    assert not secrets_only(all_of(raised, with_locals=True))
    assert not sweep(caplog.text)


def test_callbacks_factories_and_overrides_that_fail_show_nothing(
    shop: OneService, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    raised: list[BaseException] = []

    def factory(db: Db) -> Db:
        if db.pool_max > 5:
            raise ValueError(f"{db.password.get_secret_value()} {db.host}")
        return db

    def close(db: Db) -> None:
        raise ValueError(f"{db.password.get_secret_value()} {db.host}")

    shop.publish(values())
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        derived = live.derive(lambda s: s.db, factory, close=close, grace=0.0)
        assert derived.current.host == PLAIN
        live.on_change("db", lambda old, new: {}[new.password.get_secret_value() + new.host])
        shop.publish(values(6))
        until(lambda: live.status.state == "refusing")
        for bad in (PLAIN, 1000):
            try:
                with override(live, {"db.pool_max": bad}):
                    pass
            except ConfigError as error:
                raised.append(error)
        shop.publish(values(4))
        until(lambda: [event.kind for event in events].count("callback-failed") == 2)
        assert not sweep(everything(live, events, caplog))
    assert len(raised) == 2
    for error in raised:
        assert not sweep(all_of(error, with_locals=False))


def test_what_holds_secrets_does_not_leave_the_process(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        part = part_of(live)
        assert part.held is not None
        assert part.candidate is not None
        changes: list[Any] = [
            live,
            live.current,
            part.held,
            part.held.snapshot,
            part.feed and part.feed.source,
        ]
        for one in changes:
            failed: BaseException | None = None
            try:
                pickle.dumps(one)
            except (TypeError, pickle.PicklingError, AttributeError) as error:
                failed = error
            assert failed is not None, type(one)
            assert not secrets_only("".join(traceback.format_exception(failed)))
        for one in (live, part, part.held, part.held.snapshot, part.candidate, part.captured, live.current):
            assert not secrets_only(repr(one) + str(one))
        assert not secrets_only(repr(copy.copy(live.current)) + live.current.model_dump_json())


def test_a_cache_and_a_status_page_hold_no_secret(cached_shop: OneService, tmp_path: Path) -> None:
    cached_shop.publish(values())
    with Live(Orders, source=cached_shop.source) as live:
        cached_shop.publish(values(6))
        until(lambda: live.current.db.pool_max == 6)
    assert cached_shop.cache is not None
    kept = [path.read_bytes() for path in cached_shop.cache.rglob("*") if path.is_file()]
    assert len(kept) >= 3
    assert not [data for data in kept if secrets_only(data)]


def test_a_talking_validator_never_gets_the_text_itself(shop: OneService) -> None:
    shop.publish(values())
    failed: ConfigError | None = None
    try:
        Live(OfTalking, source=shop.source).start()
    except ConfigError as error:
        failed = error
    assert failed is not None
    assert not sweep(all_of(failed, with_locals=False))
