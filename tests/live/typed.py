"""Read by mypy --strict and by pyright, never run: what they must infer, and what they must refuse."""

from __future__ import annotations

from typing import assert_type

from pydantic import BaseModel, SecretStr

from sealpipe import Change, Derived, Event, Live, PublishedConfigDict, PublishedSettings, Status, load
from sealpipe.testing import override, published


class Db(BaseModel):
    host: str
    password: SecretStr
    pool_max: int = 5


class Orders(PublishedSettings):
    model_config = PublishedConfigDict(service="orders", config_unknown="forbid")
    db: Db


class Pool: ...


assert_type(load(Orders), Orders)
live = Live(Orders)
assert_type(live, Live[Orders])
assert_type(live.current, Orders)
assert_type(live.current.db.pool_max, int)
assert_type(live.get(), Orders)
assert_type(live.refresh(), str)
assert_type(live.ready(), bool)
assert_type(live.status, Status)
assert_type(live.start(), Live[Orders])

with live as inside:
    assert_type(inside.current.db, Db)


async def asynchronous() -> None:
    async with live as inside:
        async for change in inside.changes():
            assert_type(change, Change[Orders])
            assert_type(change.new.db.host, str)
            assert_type(change.paths, tuple[str, ...])


@live.on_change(lambda s: s.db.pool_max)
def resize(old: int, new: int) -> None: ...


@live.on_change("db.pool_max")
def any_path(old: int, new: int) -> None: ...


@live.on_event
def told(happened: Event) -> None:
    assert_type(happened.paths, tuple[str, ...])


def make(db: Db) -> Pool:
    return Pool()


pool = live.derive(lambda s: s.db, make)
assert_type(pool, Derived[Pool])
assert_type(pool.current, Pool)

with published(orders={}), override(live, {"db.pool_max": 1}) as changed:
    assert_type(changed, Orders)


def wrong_type(old: str, new: str) -> None: ...


def too_few(new: int) -> None: ...


live.on_change(lambda s: s.db.pool_max, wrong_type)  # refused
live.on_change(lambda s: s.db.pool_max, too_few)  # refused
live.on_change(lambda s: s.db.nothing, resize)  # refused
live.current.db.nothing  # refused  # noqa: B018
Live("Orders").current.db  # refused  # noqa: B018
live.derive(lambda s: s.db.host, make)  # refused
PublishedConfigDict(servise="orders")  # refused
