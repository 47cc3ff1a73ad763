"""The service that most tests here run."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr

from sealpipe import PublishedConfigDict, PublishedSettings
from sealpipe.testing import sealed


class Db(BaseModel):
    password: SecretStr
    pool_max: int


class Orders(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    db: Db


def values(pool_max: Any = 20) -> dict[str, Any]:
    """What is published of it."""
    return {"db": {"password": sealed("hunter2-canary"), "pool_max": pool_max}}
