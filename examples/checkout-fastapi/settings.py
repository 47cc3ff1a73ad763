"""What the checkout reads of its configuration: a part of it is enough."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from sealpipe import Live, PublishedConfigDict, PublishedSettings


class Db(BaseModel):
    host: str
    port: int = 5432
    name: str
    user: str
    password: SecretStr
    pool_max: Annotated[int, Field(ge=1, le=100)] = 10


class Http(BaseModel):
    port: int = Field(8080, json_schema_extra={"x-restart": True})
    timeout_s: float


class Checkout(PublishedSettings):
    model_config = PublishedConfigDict(service="checkout")
    http: Http
    db: Db
    features: dict[str, bool] = {}
    support_email: str | None = None


live = Live(Checkout)
