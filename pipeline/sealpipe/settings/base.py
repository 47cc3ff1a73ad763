"""The base class of a service's settings, and the configuration keys that it understands."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Literal, NoReturn, Self

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class PublishedConfigDict(SettingsConfigDict, total=False):
    """pydantic-settings' configuration, with what a published class may say besides."""

    service: str  # SEALPIPE_SERVICE names it where this does not
    config_path: str  # the part of the configuration that this class describes: "db.replicas"
    config_unknown: Literal["report", "forbid"]  # published keys that the class does not have
    config_defaults: Literal["report", "forbid"]  # fields that the release carries no value for


running: weakref.WeakKeyDictionary[type, Callable[[], Any]] = weakref.WeakKeyDictionary()
"""Class -> the settings that a `Live` of it shows in this process, None before it has any."""


class PublishedSettings(BaseSettings):
    """Settings that come from a verified release: init > env > dotenv > published > file secrets > defaults.

    Variables are named `<SERVICE>__DB__HOST`. Instances are frozen and do not pickle. Making one, like
    `load(Settings)`, raises ConfigError's kinds and nothing of pydantic's, whose errors carry values.
    """

    model_config = PublishedConfigDict(
        frozen=True,
        env_nested_delimiter="__",
        env_prefix_target="all",
        dotenv_filtering="only_existing",
        hide_input_in_errors=True,
    )

    def __init__(self, **values: Any) -> None:
        from sealpipe.settings.load import build_in_place

        if _is_built(self):  # a validator that fails would leave what it refused in the object
            raise TypeError(
                "settings are not loaded again into one object: load(Settings), or Live(Settings)"
            )
        build_in_place(self, super().__init__, values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        from sealpipe.settings.source import PublishedConfigSource, without_handed

        published = PublishedConfigSource(settings_cls)
        without_handed(settings_cls, env_settings)
        return init_settings, env_settings, dotenv_settings, published, file_secret_settings

    @classmethod
    def settings_cached(cls) -> Self:
        """What a `Live` of this class shows; without one, as in pydantic-settings, the first load."""
        shown = running.get(cls)
        settings = shown() if shown is not None else None
        return settings if settings is not None else super().settings_cached()

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("settings hold opened secrets and do not leave the process; send the release instead")


def _is_built(settings: BaseSettings) -> bool:
    try:
        object.__getattribute__(settings, "__pydantic_fields_set__")
    except AttributeError:
        return False
    return True
