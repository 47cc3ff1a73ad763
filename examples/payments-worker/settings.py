"""What the payments worker reads of its configuration."""

from __future__ import annotations

from pydantic import BaseModel, Secret

from sealpipe import Live, PublishedConfigDict, PublishedSettings


class Queue(BaseModel):
    url: str
    prefetch: int


class Hsm(BaseModel):
    slot: int
    pin: Secret[int]


class Worker(PublishedSettings):
    model_config = PublishedConfigDict(service="payments-worker")
    queue: Queue
    hsm: Hsm


live = Live(Worker)
