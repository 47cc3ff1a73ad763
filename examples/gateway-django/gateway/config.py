"""What the gateway reads of its configuration."""

from __future__ import annotations

from pydantic import BaseModel, Secret

from sealpipe import Live, PublishedConfigDict, PublishedSettings


class RateLimit(BaseModel):
    per_minute: int
    burst: int | None = None


class Sessions(BaseModel):
    cookie: str
    keys: Secret[list[str]]  # newest first


class Gateway(PublishedSettings):
    model_config = PublishedConfigDict(service="gateway")
    sessions: Sessions
    rate_limits: dict[str, RateLimit] = {}


live = Live(Gateway)
