"""The published configuration as a pydantic-settings source, for `PublishedSettings` and for people's own
`settings_customise_sources`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from sealpipe.client.snapshot import Snapshot
from sealpipe.client.source import Source, shown_url, variable_prefix
from sealpipe.client.variables import variables_of
from sealpipe.errors import ConfigError, ConfigRefused, SecretUnreadable
from sealpipe.paths import lookup, parse_path, settle, show_path
from sealpipe.settings.base import PublishedSettings
from sealpipe.settings.fit import Fitted, Misfit, Override, Path, fit
from sealpipe.settings.origin import Above, where_from
from sealpipe.settings.shape import Record, members_of


@dataclass(slots=True)
class Candidate:
    """A snapshot on its way into one class; `fitted` is set by the source when it was asked."""

    cls: type[BaseSettings]
    snapshot: Snapshot = field(repr=False)
    fitted: Fitted | None = field(default=None, repr=False)
    above: tuple[Above, ...] = field(default=(), repr=False)
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


_candidate: ContextVar[Candidate | None] = ContextVar("sealpipe_candidate", default=None)


@contextmanager
def offering(candidate: Candidate) -> Iterator[None]:
    """Inside, the candidate's class takes its published values from the candidate's snapshot."""
    token = _candidate.set(candidate)
    try:
        yield
    finally:
        _candidate.reset(token)


def offered_to(cls: type[BaseSettings]) -> Candidate | None:
    """The candidate for exactly this class: another service's settings built meanwhile get their own."""
    found = _candidate.get()
    return found if found is not None and found.cls is cls else None


class PublishedConfigSource(PydanticBaseSettingsSource):
    """A source like those of pydantic-settings: put it into your own `settings_customise_sources`.

    Making one does no I/O. Asked by `load`, it gives the release that `load` is trying; asked by a bare
    `Settings()` of a class of your own, it finds the newest usable one itself and raises ConfigError's
    kinds. What then does not fit is pydantic's error, which holds values: `load(Settings)` hides them.
    """

    __name__ = "published"  # its key in `settings_sources_data`

    def __init__(self, settings_cls: type[BaseSettings], *, source: Source | None = None) -> None:
        super().__init__(settings_cls)
        self.source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return None, field_name, False  # the whole document comes from `__call__`

    def __call__(self) -> dict[str, Any]:
        candidate = offered_to(self.settings_cls)
        if candidate is not None:
            return self._fitted(candidate)
        from sealpipe.settings.load import source_for, start_for

        return start_for(self.settings_cls, source_for(self.settings_cls, self.source), self._fit_snapshot)

    def _fit_snapshot(self, snapshot: Snapshot) -> dict[str, Any]:
        return self._fitted(Candidate(self.settings_cls, snapshot))

    def _fitted(self, candidate: Candidate) -> dict[str, Any]:
        upstream = dict(self.current_state)
        candidate.above = tuple(
            Above(name, dict(state)) for name, state in self.settings_sources_data.items()
        )
        candidate.states = self.settings_sources_data
        candidate.fitted = fit_to_class(candidate, upstream)
        return candidate.fitted.values

    def __repr__(self) -> str:
        url = shown_url(self.source.url) if self.source else "SEALPIPE_URL"
        return f"PublishedConfigSource(url={url!r})"


def without_handed(cls: type[BaseSettings], env_settings: PydanticBaseSettingsSource) -> None:
    """Leave out the variables that `sealpipe run` made of this very release: they override nothing."""
    candidate = offered_to(cls)
    run = os.environ.get("SEALPIPE_RUN")
    if candidate is None or run != candidate.snapshot.release.digest:
        return
    if isinstance(env_settings, EnvSettingsSource):
        given = variables_of(candidate.snapshot.release.unit.service, candidate.snapshot.values)
        texts = {name.lower(): variable.text for name, variable in given.items()}
        env_settings.env_vars = {
            name: text
            for name, text in env_settings.env_vars.items()
            if text is None or texts.get(name.lower()) != text
        }


def config_of(cls: type[BaseSettings], name: str, default: str = "") -> str:
    """A key of the class's configuration that is ours (`PublishedConfigDict`)."""
    found = cls.model_config.get(name)
    return found if isinstance(found, str) else default


def base_of(cls: type[BaseSettings]) -> Path:
    """The part of the document that the class describes."""
    text = config_of(cls, "config_path")
    return tuple(step for step in parse_path(text) if isinstance(step, str | int)) if text else ()


def prefix_of(cls: type[BaseSettings], service: str) -> str:
    """What the class's variables begin with: its own `env_prefix`, else `CHECKOUT__` for our classes."""
    own = cls.model_config.get("env_prefix")
    if own or not issubclass(cls, PublishedSettings):
        return str(own or "")
    below = "".join(f"{str(step).upper().replace('-', '_')}__" for step in base_of(cls))
    return variable_prefix(service) + below


def fit_to_class(candidate: Candidate, upstream: Mapping[str, Any]) -> Fitted:
    """The snapshot's values fitted to the class. Raises ConfigRefused or SecretUnreadable."""
    cls, snapshot = candidate.cls, candidate.snapshot
    base = base_of(cls)
    values = snapshot.values
    if base:
        settled = settle(values, base)
        values = lookup(values, settled) if settled is not None else {}
        if not isinstance(values, Mapping):
            raise ConfigRefused(
                "config-path",
                f"{_named(snapshot)}: {show_path(base)} is not a map, and {cls.__name__} describes one",
            )
    shown = "/" + "/".join(str(step) for step in base) if base else ""
    locked = [
        p.removeprefix(shown) for p in snapshot.release.draft.locked if not shown or p.startswith(shown + "/")
    ]
    root = Record(cls.__name__, members_of(cls), cls.model_config.get("extra") == "allow")
    fitted = fit(root, values, upstream, locked)
    _refuse_misfits(cls, snapshot, fitted, base)
    _refuse_locked(candidate, fitted, base)
    if config_of(cls, "config_unknown", "report") == "forbid" and fitted.unknown:
        names = [show_path(base + unknown.path) for unknown in fitted.unknown]
        raise ConfigRefused(
            "unknown-keys",
            f"{_named(snapshot)} has keys that {cls.__name__} does not know: {', '.join(names)}",
            why=[
                f"{show_path(base + unknown.path)}  {_origin(snapshot, base + unknown.path)}"
                for unknown in fitted.unknown
            ],
        )
    return fitted


def _refuse_misfits(cls: type[BaseSettings], snapshot: Snapshot, fitted: Fitted, base: Path) -> None:
    if not fitted.misfits:
        return
    first = fitted.misfits[0]
    kind = ConfigRefused if first.word == "plain-to-secret" else SecretUnreadable
    count = f"{len(fitted.misfits)} secret{'s' if len(fitted.misfits) > 1 else ''}"
    raise kind(
        first.word,
        f"{_named(snapshot)} does not fit {cls.__name__}: {count} and the types of the class disagree",
        path=show_path(base + first.path),
        why=[_misfit_line(snapshot, base, misfit) for misfit in fitted.misfits],
        hint=list(dict.fromkeys(_hint(snapshot, misfit) for misfit in fitted.misfits if misfit.hint)),
    )


def _misfit_line(snapshot: Snapshot, base: Path, misfit: Misfit) -> str:
    return f"{show_path(base + misfit.path)} {misfit.what}   {_origin(snapshot, base + misfit.path)}"


def _hint(snapshot: Snapshot, misfit: Misfit) -> str:
    return misfit.hint.replace("ENV/SERVICE", str(snapshot.release.unit))


def _refuse_locked(candidate: Candidate, fitted: Fitted, base: Path) -> None:
    if not fitted.locked:
        return
    prefix = prefix_of(candidate.cls, candidate.snapshot.release.unit.service)
    lines = [_locked_line(candidate, base, override, prefix) for override in fitted.locked]
    raise ConfigRefused(
        "locked",
        f"{_named(candidate.snapshot)} locks what this process overrides: {len(lines)} path"
        + ("s" if len(lines) > 1 else ""),
        path=show_path(base + fitted.locked[0].path),
        why=lines,
        hint=[
            "take the override away, or publish the value: sealpipe set "
            f"{candidate.snapshot.release.unit} {show_path(base + fitted.locked[0].path)}"
        ],
    )


def _locked_line(candidate: Candidate, base: Path, override: Override, prefix: str) -> str:
    source = where_from(override.key, candidate.above, prefix, os.environ) or "this process"
    return f"{show_path(base + override.path)} is locked and set by {source}"


def _origin(snapshot: Snapshot, path: Path) -> str:
    from sealpipe.paths import to_pointer

    where = snapshot.release.payload.origins.get(to_pointer(path))
    return f"from published: {where}" if where else "from published"


def _named(snapshot: Snapshot) -> str:
    payload = snapshot.release.payload
    return f"{payload.unit} #{payload.number} ({snapshot.release.short})"


def refuse_without_source(candidate: Candidate) -> None:
    """ConfigError [source-dropped] when the class never asked for its published values."""
    if candidate.fitted is None:
        raise ConfigError(
            "source-dropped",
            f"{candidate.cls.__name__} never asks for its published values",
            why=["its settings_customise_sources leaves PublishedConfigSource out"],
            hint=[
                "return PublishedConfigSource(settings_cls) among its sources, before file_secret_settings"
            ],
        )
