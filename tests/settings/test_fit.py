"""The walk of the model: where sealed values may land, and that secret types are not published in clear."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypeVar,
    Union,
)

import pydantic.dataclasses
import pytest
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    Json,
    PostgresDsn,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    create_model,
)
from typing_extensions import TypeAliasType, TypedDict

from sealpipe import PublishedConfigDict, PublishedSettings, load
from sealpipe.errors import ConfigError, ConfigRefused, SecretUnreadable
from sealpipe.testing import published, sealed

CANARY = "hunter2-canary"


@dataclasses.dataclass
class PlainDataclass:
    password: str


@dataclasses.dataclass
class SecretDataclass:
    password: SecretStr


@pydantic.dataclasses.dataclass
class PydanticPlain:
    password: str


class PlainTyped(TypedDict):
    password: NotRequired[str]


class SecretTyped(TypedDict):
    password: SecretStr


class PlainNamed(NamedTuple):
    password: str


class PlainModel(BaseModel):
    password: str


class SecretModel(BaseModel):
    password: SecretStr


class OptionalModel(BaseModel):
    password: Optional[SecretStr] = None  # noqa: UP045


class OpenModel(BaseModel):
    model_config = {"extra": "allow"}


class AnyModel(BaseModel):
    password: Any


class Recursive(BaseModel):
    password: SecretStr
    next: Optional[Recursive] = None  # noqa: UP045


class PlainRoot(RootModel[dict[str, str]]):
    pass


class SecretRoot(RootModel[dict[str, SecretStr]]):
    pass


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    password: T


class SecretDate(Secret[str]):
    pass


Alias = TypeAliasType("Alias", SecretStr)
Typed = NewType("Typed", SecretStr)


def settings_of(annotation: Any, **config: Any) -> type[PublishedSettings]:
    base = type(
        "Base", (PublishedSettings,), {"model_config": PublishedConfigDict(service="orders", **config)}
    )
    return create_model("S", __base__=base, it=(annotation, ...))  # type: ignore[no-any-return,call-overload]


def loaded(annotation: Any, value: Any, **extras: Any) -> Any:
    with published() as here:
        here.publish("orders", {"it": value}, **extras)
        return load(settings_of(annotation)).it  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        Any,
        object,
        dict,
        list,
        dict[str, Any],
        dict[str, str],
        PlainModel,
        PlainDataclass,
        PydanticPlain,
        PlainTyped,
        PlainNamed,
        AnyModel,
        OpenModel,
        PlainRoot,
        Box[str],
        PlainModel | None,
        Union[PlainModel, SecretModel],  # noqa: UP007
        dict[str, SecretStr | str],
        Annotated[PlainModel, "note"],
    ],
)
def test_a_sealed_value_never_reaches_what_shows_it(annotation: Any) -> None:
    value = sealed(CANARY) if annotation in (str, object) else {"password": sealed(CANARY)}
    with pytest.raises(SecretUnreadable) as caught:
        loaded(annotation, value)
    assert caught.value.word == "sealed-to-plain"
    assert CANARY not in str(caught.value)
    assert "it" in caught.value.finding.why[0]


@pytest.mark.parametrize(
    "annotation",
    [
        SecretModel,
        SecretDataclass,
        SecretTyped,
        OptionalModel,
        Recursive,
        SecretRoot,
        Box[SecretStr],
        Box[Secret[str]],
        dict[str, SecretStr],
        dict[str, Alias],
        dict[str, Typed],
        dict[str, SecretStr | None],
        SecretModel | None,
        Annotated[SecretModel, Field(description="x")],
        dict[str, Annotated[SecretStr, BeforeValidator(lambda value: value)]],
        dict[str, SecretDate],
    ],
)
def test_secret_types_are_found_wherever_they_stand(annotation: Any) -> None:
    found = loaded(annotation, {"password": sealed(CANARY)})
    inner = getattr(found, "root", found)
    password = inner["password"] if isinstance(inner, dict) else inner.password
    assert password.get_secret_value() == CANARY
    assert CANARY not in repr(found)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (SecretStr, "text"),
        (SecretBytes, b"\x00\xff"),
        (Secret[bytes], b"\x00\xff"),
        (Secret[int], 41),
        (Secret[float], 4.5),
        (Secret[bool], True),
        (Secret[Decimal], "4.50"),
        (Secret[dict[str, Any]], {"user": "u", "n": 1}),
        (Secret[dict], {"user": "u"}),
        (Secret[list[str]], ["a", "b"]),
        (Secret[SecretModel], {"password": "x"}),
        (Secret[Any], {"a": [1]}),
        (Secret[PostgresDsn], "postgres://u:p@h/db"),
    ],
)
def test_every_type_that_can_be_sealed_arrives(annotation: Any, value: Any) -> None:
    found = loaded(annotation, sealed(value)).get_secret_value()
    match value:
        case {"password": "x"}:
            assert found.password.get_secret_value() == "x"
        case str() if annotation is not SecretStr:
            assert str(found).startswith(value[:4])
        case _:
            assert found == value


def test_sealed_json_text_is_parsed_by_json() -> None:
    assert loaded(Secret[Json], sealed('{"a": 1}')).get_secret_value() == {"a": 1}


@pytest.mark.parametrize(
    ("annotation", "value", "advice"),
    [
        (SecretStr, 41, "Secret[int]"),
        (SecretStr, {"a": 1}, "Secret[dict[str, Any]]"),
        (SecretStr, b"x", "Secret[bytes]"),
        (SecretBytes, 41, "Secret[int]"),
        (Secret[int], {"a": 1}, "Secret[dict[str, Any]]"),
        (Secret[dict[str, Any]], "x", "Secret[str]"),
        (Secret[bool], 1, "Secret[int]"),
    ],
)
def test_a_secret_type_for_other_content_is_refused_by_type(annotation: Any, value: Any, advice: str) -> None:
    with pytest.raises(SecretUnreadable) as caught:
        loaded(annotation, sealed(value))
    assert caught.value.word == "wrong-secret-type"
    assert f"declare {advice}" in caught.value.finding.hint


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (SecretStr, CANARY),
        (SecretModel, {"password": CANARY}),
        (dict[str, SecretStr], {"a": CANARY}),
        (list[SecretStr], [CANARY]),
        (tuple[SecretStr, int], [CANARY, 1]),
        (Secret[int], 7),
        (SecretStr | None, CANARY),
        (SecretStr | SecretBytes, CANARY),
    ],
)
def test_a_secret_type_published_in_clear_is_refused(annotation: Any, value: Any) -> None:
    with pytest.raises(ConfigRefused) as caught:
        loaded(annotation, value)
    assert caught.value.word == "plain-to-secret"
    assert CANARY not in str(caught.value)


def test_null_is_no_secret() -> None:
    assert loaded(OptionalModel, {"password": None}).password is None


def test_secrets_in_a_list_that_merges_by_key() -> None:
    class Replica(BaseModel):
        name: str
        password: SecretStr

    found = loaded(
        list[Replica],
        [{"name": "eu", "password": sealed("1")}, {"name": "us", "password": sealed("2")}],
        merge_keys={"/it": "name"},
    )
    assert [r.password.get_secret_value() for r in found] == ["1", "2"]


def test_sequences_and_recursion() -> None:
    value = {"password": sealed("1"), "next": {"password": sealed("2")}}
    assert loaded(Recursive, value).next.password.get_secret_value() == "2"
    assert loaded(Sequence[int], [1, 2]) == [1, 2]
    assert loaded(PlainNamed, ["x"]).password == "x"


def test_a_variant_with_a_secret_and_one_without() -> None:
    class Open(BaseModel):
        kind: Literal["open"]
        password: str = ""

    class Closed(BaseModel):
        kind: Literal["closed"]
        password: SecretStr

    annotation = Annotated[Open | Closed, Field(discriminator="kind")]
    assert loaded(annotation, {"kind": "closed", "password": sealed("x")}).password.get_secret_value() == "x"
    with pytest.raises(SecretUnreadable):
        loaded(annotation, {"kind": "open", "password": sealed("x")})


def test_content_that_does_not_fit_is_told_without_content() -> None:
    with pytest.raises(ConfigRefused) as caught:
        loaded(Secret[int], sealed(CANARY))
    assert "sealed, and its content does not fit its type" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("content", [{"number": "x", CANARY: 1}, {CANARY: 1}])
def test_keys_inside_a_sealed_object_are_not_shown(content: dict[str, Any]) -> None:
    class Inside(BaseModel):
        model_config = {"extra": "forbid"}
        number: int

    with pytest.raises(ConfigRefused) as caught:
        loaded(Secret[Inside], sealed(content))
    assert caught.value.finding.why[0].startswith("it  is sealed")
    assert "number" not in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_user_validator_sees_a_secret_that_shows_nothing() -> None:
    seen: list[Any] = []

    def look(value: Any) -> Any:
        seen.append((repr(value), repr([value])))
        return value

    loaded(dict[str, Annotated[SecretStr, BeforeValidator(look)]], {"a": sealed(CANARY)})
    loaded(dict[str, Annotated[Secret[dict[str, Any]], BeforeValidator(look)]], {"a": sealed({"k": CANARY})})
    assert len(seen) == 2
    assert CANARY not in str(seen)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(dict[str, str], {"a": sealed("1"), "b": sealed("2")})
    assert [line.split()[0] for line in caught.value.finding.why] == ["it.a", "it.b"]
