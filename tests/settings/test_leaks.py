"""Documents of every shape against a model with every kind of place: a load ends well or with our error,
and a secret appears nowhere."""

from __future__ import annotations

import logging
import traceback
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    Field,
    Secret,
    SecretBytes,
    SecretStr,
    field_validator,
)
from typing_extensions import TypedDict

from sealpipe import PublishedConfigDict, PublishedSettings
from sealpipe.errors import ConfigError
from sealpipe.settings.load import load_reported
from sealpipe.testing import published, sealed

CANARY = "hunter2-canary"
SHOWN = "plain-canary"


class Basic(BaseModel):
    kind: Literal["basic"]
    user: str
    password: SecretStr


class Token(BaseModel):
    kind: Literal["token"]
    token: SecretStr = SecretStr("x")
    deep: Annotated[dict[str, SecretStr], Field(default_factory=dict)]


class Pair(NamedTuple):
    left: str
    right: int = 1


class Loose(TypedDict, total=False):
    a: str
    b: SecretStr


class Loud(BaseModel):
    a: str = ""
    b: SecretStr | None = None

    @field_validator("a", "b")
    @classmethod
    def tell(cls, value: Any) -> Any:
        raise ValueError(f"{value} {getattr(value, 'get_secret_value', str)()}")


class Everything(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    a: str = ""
    b: SecretStr | None = None
    kind: Secret[int] | None = None
    user: Annotated[list[Basic | Token], Field(default_factory=list)]
    password: SecretBytes | None = None
    token: Annotated[Basic | Token, Field(discriminator="kind")] | None = None
    deep: Annotated[dict[str, SecretStr | None], Field(default_factory=dict)]
    left: Pair | None = None
    right: Loose | None = None
    loud: Loud | None = None
    any: Any = None
    alias: int = Field(default=1, validation_alias=AliasChoices("old", AliasPath("new", 0, "b")))
    box: Secret[dict[str, Any]] | None = None


NAMES = [
    *("a", "b", "kind", "user", "password", "token", "deep", "left"),
    *("right", "loud", "any", "old", "new", "box", "basic"),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from(["basic", "token", SHOWN, ""]),
    st.sampled_from([CANARY, 7, 0.5, True, b"\x00" + CANARY.encode(), {"k": CANARY}, [CANARY]]).map(sealed),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=4), st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.sampled_from(NAMES), TREES, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS)
def test_nothing_leaks_and_nothing_breaks(document: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    with published() as here, caplog.at_level(logging.DEBUG):
        try:
            here.publish("orders", document)
        except ValueError:
            return  # a secret in a list without a merge key
        shown = [*outcome(), caplog.text]
    for text in shown:
        assert CANARY not in text
        assert "hunter2" not in text


def outcome() -> list[str]:
    """All that can be seen of a load."""
    failed: ConfigError | None = None
    try:
        loaded = load_reported(Everything)
    except ConfigError as error:
        failed = error
    if failed is None:
        return [repr(loaded), str(loaded.settings), repr(loaded.report)]
    assert failed.__context__ is None
    assert SHOWN not in str(failed)
    return [str(failed), repr(failed), "".join(traceback.format_exception(failed))]
