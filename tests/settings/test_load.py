"""Precedence, names, reports and refusals of `load`, over really sealed and signed releases."""

from __future__ import annotations

import copy
import enum
import logging
import pickle
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    Field,
    HttpUrl,
    Secret,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sealpipe import PublishedConfigDict, PublishedConfigSource, PublishedSettings, Source, load
from sealpipe.errors import ConfigError, ConfigRefused, SealpipeError
from sealpipe.settings.load import Report, load_reported
from sealpipe.testing import published, sealed


class Db(BaseModel):
    host: str
    password: SecretStr
    pool_max: int = 10


class Orders(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    db: Db


GOOD = {"db": {"host": "db.internal", "password": sealed("hunter2")}}


def report_of(cls: type[BaseSettings], **services: Mapping[str, Any]) -> Report:
    with published(services):
        return load_reported(cls).report


def refusal(cls: type[BaseSettings], values: Mapping[str, Any], **extras: Any) -> ConfigError:
    """The error of loading `cls`; no exception may hang behind it, because pydantic's carry values."""
    with published() as here:
        here.publish("orders", values, **extras)
        with pytest.raises(ConfigError) as caught:
            load(cls)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert caught.value.exit_code == 78
    return caught.value


def test_a_release_becomes_a_typed_object() -> None:
    with published(orders=GOOD):
        settings = load(Orders)
    assert (settings.db.host, settings.db.pool_max) == ("db.internal", 10)
    assert settings.db.password.get_secret_value() == "hunter2"
    assert type(settings.db.password.get_secret_value()) is str


def test_the_constructor_loads_too_and_hides_errors_too() -> None:
    with published(orders=GOOD):
        assert Orders().db.host == "db.internal"  # type: ignore[call-arg]
    bad = {"db": {"host": ["hunter2"], "password": sealed("hunter2")}}
    with published(orders=bad), pytest.raises(ConfigRefused) as caught:
        Orders()  # type: ignore[call-arg]
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


# ---- precedence and names


def test_init_beats_variables_beat_dotenv_beat_published_beat_secret_files_beat_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("a", "b", "c", "d", "e"):
        (secrets / f"orders__{name}").write_text("file")
    (tmp_path / ".env").write_text("ORDERS__A=dotenv\nORDERS__B=dotenv\nORDERS__C=dotenv\nELSE=1\n")

    class Letters(PublishedSettings):
        model_config = PublishedConfigDict(
            service="orders", env_file=tmp_path / ".env", secrets_dir=str(secrets)
        )
        a: str = "default"
        b: str = "default"
        c: str = "default"
        d: str = "default"
        e: str = "default"
        f: str = "default"

    monkeypatch.setenv("ORDERS__A", "variable")
    monkeypatch.setenv("ORDERS__B", "variable")
    with published(orders=dict.fromkeys("abcd", "published")):
        loaded = load_reported(Letters, init={"a": "init"})
    s = loaded.settings
    assert [s.a, s.b, s.c, s.d, s.e, s.f] == ["init", "variable", "dotenv", "published", "file", "default"]
    assert loaded.report.defaulted == ("f",)
    assert set(loaded.report.overridden) == {"a", "b", "c"}
    assert "ORDERS__B" in loaded.report.overridden["b"]
    assert "init" in loaded.report.overridden["a"]
    assert "dotenv" in loaded.report.overridden["c"]


def test_plain_names_of_the_machine_do_not_override(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        path: str
        user: str
        port: int

    for name, value in {"PATH": "/x", "USER": "me", "PORT": "1", "ORDERS_PORT": "tcp://10.0.0.1:80"}.items():
        monkeypatch.setenv(name, value)
    with published(orders={"path": "p", "user": "u", "port": 80}):
        assert load(Bare).model_dump() == {"path": "p", "user": "u", "port": 80}


def test_dashes_become_underscores_and_double_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Api(PublishedSettings):
        model_config = PublishedConfigDict(service="shop-api")
        port: int

    monkeypatch.setenv("SHOP_API__PORT", "81")
    with published({"shop-api": {"port": 80}}):
        assert load(Api).port == 81

    class Twice(PublishedSettings):
        model_config = PublishedConfigDict(service="a--b")
        port: int

    with published({"a--b": {"port": 80}}), pytest.raises(ConfigError) as caught:
        load(Twice)
    assert caught.value.word == "service-name"


def test_aliases_carry_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    class Camel(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        pool_max: int = Field(alias="poolMax")

    monkeypatch.setenv("POOLMAX", "1")
    with published(orders={"poolMax": 5}):
        assert load(Camel).pool_max == 5
        monkeypatch.setenv("ORDERS__POOLMAX", "7")
        assert load(Camel).pool_max == 7


def test_alias_choices_meet_under_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    class Choices(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        size: int = Field(validation_alias=AliasChoices("new", "old"))

    with published(orders={"old": 5}):
        assert load(Choices).size == 5
        monkeypatch.setenv("ORDERS__NEW", "7")
        assert load(Choices).size == 7
        monkeypatch.delenv("ORDERS__NEW")
        monkeypatch.setenv("ORDERS__OLD", "8")
        assert load(Choices).size == 8


@pytest.mark.parametrize("spelled", ["poolMax", "pool_max"])
@pytest.mark.parametrize("variable", [None, "ORDERS__DB__POOLMAX", "ORDERS__DB__POOL_MAX"])
def test_nested_aliases_by_name_and_by_alias(
    spelled: str, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nested(BaseModel):
        model_config = {"validate_by_name": True, "validate_by_alias": True, "extra": "forbid"}
        pool_max: int = Field(alias="poolMax")
        host: str

    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Nested

    if variable:
        monkeypatch.setenv(variable, "7")
    with published(orders={"db": {spelled: 5, "host": "h"}}):
        assert load(S).db.pool_max == (7 if variable else 5)


def test_alias_paths_reach_into_the_document() -> None:
    class Pathed(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        host: str = Field(validation_alias=AliasPath("db", "hosts", 0))
        password: SecretStr = Field(validation_alias=AliasPath("db", "password"))

    with published(orders={"db": {"hosts": ["a", "b"], "password": sealed("hunter2")}}):
        settings = load(Pathed)
    assert (settings.host, settings.password.get_secret_value()) == ("a", "hunter2")


def test_a_secret_that_no_alias_path_takes_is_not_handed_over() -> None:
    seen: list[Any] = []

    class Pathed(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        host: str = Field(validation_alias=AliasPath("db", "host"))

        @model_validator(mode="before")
        @classmethod
        def look(cls, data: Any) -> Any:
            seen.append(copy.deepcopy(data))
            return data

    with published(orders={"db": {"host": "a", "password": sealed("hunter2")}}):
        load(Pathed)
    assert "password" not in seen[0]["db"]


def test_an_alias_path_to_a_plain_field_is_refused() -> None:
    class Pathed(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        password: str = Field(validation_alias=AliasPath("db", "password"))

    assert refusal(Pathed, {"db": {"password": sealed("hunter2")}}).word == "sealed-to-plain"


def test_a_part_of_the_configuration() -> None:
    class Part(PublishedSettings):
        model_config = PublishedConfigDict(service="orders", config_path="db")
        host: str
        password: SecretStr

    with published(orders=GOOD):
        assert load(Part).host == "db.internal"
    error = refusal(Part, {"db": {"host": 1, "password": sealed("x")}}, origins={"/db/host": "e/o.yaml:2"})
    assert error.finding.why[0].split() == [
        "db.host",
        "must",
        "be",
        "a",
        "string",
        "from",
        "published:",
        "e/o.yaml:2",
    ]


def test_a_part_has_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    class Part(PublishedSettings):
        model_config = PublishedConfigDict(service="orders", config_path="db")
        host: str

    monkeypatch.setenv("ORDERS__DB__HOST", "other")
    with published(orders={"db": {"host": "x"}}):
        assert load(Part).host == "other"


# ---- unions


class Basic(BaseModel):
    kind: Literal["basic"]
    user: str
    password: SecretStr


class Token(BaseModel):
    kind: Literal["token"]
    token: SecretStr


class WithAuth(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    auth: Annotated[Basic | Token, Field(discriminator="kind")]


def test_another_variant_from_above_drops_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"auth": {"kind": "basic", "user": "u", "password": sealed("p")}}
    with published(orders=values):
        assert isinstance(load(WithAuth).auth, Basic)
        monkeypatch.setenv("ORDERS__AUTH", '{"kind": "token", "token": "t"}')
        loaded = load_reported(WithAuth)
    assert isinstance(loaded.settings.auth, Token)
    assert "auth" in loaded.report.overridden


def test_unknown_keys_of_a_variant_are_found() -> None:
    values = {"auth": {"kind": "token", "token": sealed("t"), "user": "u"}}
    assert report_of(WithAuth, orders=values).unknown == ("auth.user",)


def test_errors_in_a_variant_show_the_documents_path() -> None:
    values = {"auth": {"kind": "basic", "user": 1, "password": sealed("p")}}
    assert refusal(WithAuth, values).finding.why[0].startswith("auth.user  must be a string")


def test_an_unknown_variant_does_not_show_its_name() -> None:
    error = refusal(WithAuth, {"auth": {"kind": "hunter2"}})
    assert "hunter2" not in str(error)
    assert "'basic', 'token'" in str(error)


def test_unions_without_a_discriminator_know_the_keys_of_all_branches() -> None:
    class A(BaseModel):
        a: int

    class B(BaseModel):
        b: int
        secret: SecretStr

    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        it: A | B

    values = {"it": {"b": 1, "secret": sealed("x"), "c": 3}}
    with published(orders=values):
        loaded = load_reported(S)
    assert loaded.report.unknown == ("it.c",)
    assert isinstance(loaded.settings.it, B)


# ---- what is reported, and what may be forbidden


def test_unknown_keys_are_left_out_and_named() -> None:
    class Strict(BaseModel):
        model_config = {"extra": "forbid"}
        pool_max: int = 1

    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Strict

    report = report_of(S, orders={"db": {"poolmax": 3}, "new_feature": {"a": [1]}})
    assert report.unknown == ("db.poolmax (did you mean db.pool_max?)", "new_feature")


def test_unknown_keys_may_be_forbidden() -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders", config_unknown="forbid")
        a: int

    error = refusal(S, {"a": 1, "b": 2}, origins={"/b": "environments/test/orders.yaml:2"})
    assert (error.word, error.finding.why) == (
        "unknown-keys",
        ("b  from published: environments/test/orders.yaml:2",),
    )


def test_extra_keys_that_a_model_allows_are_kept() -> None:
    class Open(BaseModel):
        model_config = {"extra": "allow"}

    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        labels: Open

    with published(orders={"labels": {"team": "a"}}):
        assert load(S).labels.model_dump() == {"team": "a"}


def test_defaults_are_computed_from_the_document() -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Db
        pool: int = 10
        extra: Db | None = None

    with published(orders={**GOOD, "pool": 50}) as here:
        assert load_reported(S).report.defaulted == ("db.pool_max", "extra")
        here.publish("orders", GOOD)
        loaded = load_reported(S)
    assert loaded.settings.pool == 10
    assert loaded.report.defaulted == ("db.pool_max", "pool", "extra")


def test_defaults_may_be_forbidden() -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders", config_defaults="forbid")
        a: int = 1

    error = refusal(S, {})
    assert error.word == "defaults"
    assert "a" in error.finding.what


def test_map_keys_that_differ_in_case_are_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        limits: dict[str, int]

    monkeypatch.setenv("ORDERS__LIMITS__EU", "9")
    report = report_of(S, orders={"limits": {"EU": 1}})
    assert "limits.eu differs from a published key in letter case only" in report.notes[0]


def test_reports_go_to_the_log_without_values(caplog: pytest.LogCaptureFixture) -> None:
    values = {"db": {**GOOD["db"], "poolmax": "canary-value"}}
    with caplog.at_level(logging.INFO, "sealpipe"), published(orders=values):
        load(Orders)
    assert "db.poolmax" in caplog.text
    assert "canary-value" not in caplog.text
    assert "hunter2" not in caplog.text


# ---- locked


@pytest.mark.parametrize(
    ("locked", "name", "value"),
    [
        ("/db/host", "ORDERS__DB__HOST", "evil"),
        ("/db", "ORDERS__DB__HOST", "evil"),
        ("/db/pool_max", "ORDERS__DB__POOL_MAX", "5"),
        ("/db/host", "ORDERS__DB", '{"host": "evil", "password": "x"}'),
    ],
)
def test_locked_paths_are_not_overridden(
    locked: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    error = refusal(Orders, GOOD, locked=(locked,))
    assert error.word == "locked"
    assert name in error.finding.why[0]
    assert "evil" not in str(error)


def test_a_locked_path_that_is_not_published_is_locked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Db | None = None

    monkeypatch.setenv("ORDERS__DB__HOST", "evil")
    monkeypatch.setenv("ORDERS__DB__PASSWORD", "evil")
    assert refusal(S, {}, locked=("/db/host",)).word == "locked"


def test_other_paths_stay_free_beside_a_locked_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS__DB__POOL_MAX", "5")
    with published() as here:
        here.publish("orders", GOOD, locked=("/db/host",))
        assert load(Orders).db.pool_max == 5


def test_the_program_itself_may_not_override_a_locked_path_either() -> None:
    with published() as here:
        here.publish("orders", GOOD, locked=("/db/host",))
        with pytest.raises(ConfigRefused) as caught:
            load(Orders, init={"db": {"host": "evil"}})
    assert caught.value.word == "locked"


# ---- classes that cannot work


def test_strict_classes_are_refused_before_anything_is_read() -> None:
    class Color(enum.Enum):
        RED = "red"

    class Strict(PublishedSettings):
        model_config = PublishedConfigDict(service="orders", strict=True)
        when: date
        where: Path
        color: Color
        id: uuid.UUID
        url: HttpUrl

    with pytest.raises(ConfigError) as caught:
        load(Strict, source=Source(url="file:/nowhere", env="dev", trust="x"))
    assert caught.value.word == "settings-class"


def test_single_fields_may_be_strict() -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        size: Annotated[int, Field(strict=True)]

    with published(orders={"size": 3}):
        assert load(S).size == 3
    assert "size" in str(refusal(S, {"size": "3"}))


def test_fields_that_variables_cannot_tell_apart_are_refused() -> None:
    class Twins(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        a__b: int = 1
        Host: str = ""
        host: str = ""

    with published(orders={}), pytest.raises(ConfigError) as caught:
        load(Twins)
    assert len(caught.value.finding.why) == 2


def test_a_class_that_drops_the_source_is_refused() -> None:
    class Dropped(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Db | None = None

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **_: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings,)

    assert refusal(Dropped, GOOD).word == "source-dropped"


def test_a_class_of_ones_own_with_our_source() -> None:
    class Own(BaseSettings):
        model_config = SettingsConfigDict(env_nested_delimiter="__")
        db: Db

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **_: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings, PublishedConfigSource(settings_cls))

    with published(orders=GOOD):
        assert load(Own).db.host == "db.internal"
        assert Own().db.host == "db.internal"  # type: ignore[call-arg]


def test_variables_of_a_class_of_ones_own_are_named_as_it_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(BaseSettings):
        port: int

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], env_settings: PydanticBaseSettingsSource, **_: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (env_settings, PublishedConfigSource(settings_cls))

    monkeypatch.setenv("PORT", "canary")
    error = refusal(Own, {"port": 80})
    assert error.finding.why[0].endswith("from the variable PORT (overrides published)")


def test_making_a_source_does_no_io(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALPIPE_KEY_CMD", f"touch {tmp_path}/asked")
    source = PublishedConfigSource(Orders, source=Source.from_env(url="file:/nowhere", env="dev", trust="x"))
    assert "nowhere" in repr(source)
    assert not (tmp_path / "asked").exists()
    with pytest.raises(ConfigError):
        source()


def test_settings_built_inside_another_load_get_their_own_values() -> None:
    class Inner(PublishedSettings):
        model_config = PublishedConfigDict(service="mailer")
        host: str

    class Outer(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        host: str
        inner: str = ""

        @model_validator(mode="after")
        def nest(self) -> Outer:
            object.__setattr__(self, "inner", f"{load(Inner).host} {Inner().host}")  # type: ignore[call-arg]
            return self

    with published(orders={"host": "outer"}, mailer={"host": "inner"}):
        settings = load(Outer)
    assert (settings.host, settings.inner) == ("outer", "inner inner")


# ---- errors in our words


def test_errors_name_path_demand_and_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bounded(BaseModel):
        port: int
        pool_max: int = Field(le=100)

    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Bounded

    monkeypatch.setenv("ORDERS__DB__POOL_MAX", "777")
    values = {"db": {"port": "canary-1", "pool_max": 5}}
    error = refusal(S, values, origins={"/db/port": "environments/test/orders.yaml:14"})
    assert error.word == "unfit-release"
    assert error.finding.what.endswith("does not fit S: 2 problems")
    assert error.finding.why[:2] == (
        "db.port      must be an integer  from published: environments/test/orders.yaml:14",
        "db.pool_max  must be <= 100      from the variable ORDERS__DB__POOL_MAX (overrides published)",
    )
    assert "canary-1" not in str(error)
    assert "777" not in str(error)


def test_a_missing_key_is_refused_and_never_defaulted() -> None:
    error = refusal(Orders, {"db": {"password": sealed("x")}})
    assert error.finding.why[0] == "db.host  is required, and neither published nor set"


def test_a_variable_that_is_no_json_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS__DB", "{canary")
    error = refusal(Orders, GOOD)
    assert "ORDERS__DB must be JSON" in str(error)
    assert "canary" not in str(error)


def test_validators_text_is_never_shown() -> None:
    class Loud(BaseModel):
        host: str
        password: SecretStr

        @field_validator("host")
        @classmethod
        def tell(cls, value: str) -> str:
            raise ValueError(f"bad host {value}")

        @field_validator("password")
        @classmethod
        def blab(cls, value: SecretStr) -> SecretStr:
            raise ValueError(f"bad password {value.get_secret_value()}")

    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Loud

    error = refusal(S, {"db": {"host": "canary-host", "password": sealed("hunter2")}})
    assert "canary-host" not in str(error)
    assert "hunter2" not in str(error)
    assert [line.split()[0] for line in error.finding.why[:2]] == ["db.host", "db.password"]


def test_a_validator_above_a_secret_gets_our_text() -> None:
    class Above(BaseModel):
        password: SecretStr

        @model_validator(mode="before")
        @classmethod
        def blab(cls, data: Any) -> Any:
            raise PydanticCustomError("code_hunter2", "leak {it}", {"it": str(data["password"])})

    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Above

    error = refusal(S, {"db": {"password": sealed("hunter2")}})
    assert "hunter2" not in str(error)
    assert error.finding.why[0].startswith("db  was refused by a validator")


def test_a_validators_own_code_is_shown_where_no_secret_is() -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        low: int

        @field_validator("low")
        @classmethod
        def check(cls, value: int) -> int:
            raise PydanticCustomError("pool_order", "pool {value}", {"value": value})

    assert "pool_order" in str(refusal(S, {"low": 1}))


def test_any_exception_of_a_validator_is_a_refusal() -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Db

        @model_validator(mode="after")
        def broken(self) -> S:
            raise KeyError(self.db.password.get_secret_value())

    error = refusal(S, GOOD)
    assert "KeyError" in str(error)
    assert "hunter2" not in str(error)


# ---- what leaves the process


def test_settings_do_not_pickle_and_do_not_change() -> None:
    with published(orders=GOOD) as here:
        settings = load(Orders)
        for thing in (settings, here.sources["orders"]):
            with pytest.raises(TypeError):
                pickle.dumps(thing)
    with pytest.raises(Exception, match="frozen"):
        settings.db = None  # type: ignore[assignment,misc]
    assert settings.model_copy().db.host == "db.internal"


def test_nothing_shows_a_secret() -> None:
    with published(orders=GOOD):
        loaded = load_reported(Orders)
    for shown in (repr(loaded), str(loaded.settings), repr(loaded.snapshot), repr(loaded.report)):
        assert "hunter2" not in shown


def test_debug_output_of_pydantic_settings_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class S(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Db
        pin: Secret[int]
        flags: Secret[dict[str, bool]]

    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    values = {**GOOD, "pin": sealed(424242), "flags": sealed({"canary-key": True})}
    with caplog.at_level(logging.DEBUG), published(orders=values):
        load(S)
    assert "published" in caplog.text
    for canary in ("hunter2", "424242", "canary-key"):
        assert canary not in caplog.text


@pytest.mark.parametrize("wrong", ["Orders", int, None])
def test_what_is_no_settings_class_is_a_mistake_of_the_program(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a settings class is needed"):
        load(wrong)


def test_errors_are_ours_and_carry_an_exit_code() -> None:
    error = refusal(Orders, {})
    assert isinstance(error, SealpipeError)
    assert error.word == "unfit-release"


def test_types_are_inferred(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(
        "from pydantic import BaseModel, SecretStr\n"
        "from sealpipe import PublishedConfigDict, PublishedSettings, Source, load\n"
        "class Db(BaseModel):\n    host: str\n    password: SecretStr\n"
        "class S(PublishedSettings):\n"
        "    model_config = PublishedConfigDict(service='s', config_unknown='forbid')\n"
        "    db: Db\n"
        "settings = load(S, source=Source.from_env(wait=1.0), init={'db': {}})\n"
        "reveal_type(settings.db.host)\n"
        "settings.nothing\n"
        "load(int)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "typed.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(Path(__file__).parents[2] / "pipeline"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Revealed type is "str"' in done.stdout or "builtins.str" in done.stdout
    assert '"S" has no attribute "nothing"' in done.stdout
    assert 'Value of type variable "S" of "load" cannot be "int"' in done.stdout
    assert done.stdout.count("error:") == 2, done.stdout
