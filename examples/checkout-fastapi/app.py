"""A shop's checkout. `uvicorn app:app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Response

from settings import Checkout, Db, live


@dataclass
class Pool:
    """Stands for your database driver's pool; made anew when its settings change."""

    host: str
    size: int
    closed: bool = False

    def close(self) -> None:
        self.closed = True


def connect(db: Db) -> Pool:
    return Pool(db.host, db.pool_max)


pool = live.derive(lambda settings: settings.db, connect, close=Pool.close, grace=5)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with live:  # a ConfigError ends the start with its text
        yield


app = FastAPI(lifespan=lifespan)
Settings = Annotated[Checkout, Depends(live.get)]


@app.get("/ready")
def ready(response: Response) -> dict[str, Any]:
    """Also true while the store is away: what runs is verified."""
    response.status_code = 200 if live.ready() else 503
    return live.status.as_dict()


@app.get("/checkout")
def checkout(settings: Settings) -> dict[str, Any]:
    """One answer, one generation: `settings` does not change under it."""
    return {
        "timeout_s": settings.http.timeout_s,
        "one_click": settings.features.get("one_click", False),
        "pool": pool.current.size,
    }
