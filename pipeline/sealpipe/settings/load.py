"""`load`: from the bootstrap variables to a typed, verified settings object."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsError

from sealpipe.client.snapshot import Snapshot
from sealpipe.client.source import Source
from sealpipe.client.start import start
from sealpipe.errors import ConfigError, ConfigRefused
from sealpipe.frozen import frozen, replace
from sealpipe.paths import show_path, to_pointer
from sealpipe.settings.base import PublishedSettings
from sealpipe.settings.check import check_class, model_tag, need_class
from sealpipe.settings.fit import Path
from sealpipe.settings.origin import where_from
from sealpipe.settings.problems import Problem, problems_of
from sealpipe.settings.rebuild import overlaid
from sealpipe.settings.source import (
    Candidate,
    base_of,
    config_of,
    offered_to,
    offering,
    prefix_of,
    refuse_without_source,
)

S = TypeVar("S", bound=BaseSettings)
T = TypeVar("T")
_log = logging.getLogger("sealpipe")


@frozen
class Report:
    """What came with the settings; paths only, never a value."""

    release: str  # "dev/checkout #42 (7c1e9a)"
    origin: str  # "store", "file", "variable" or "cache"
    unknown: tuple[str, ...]  # published, not in the class, left out
    defaulted: tuple[str, ...]  # in the class, not in the release
    overridden: Mapping[str, str]  # path -> who replaces the published value
    refused: tuple[ConfigError, ...]  # what was tried before, and why it was not taken
    notes: tuple[str, ...]


@frozen
class Loaded(Generic[S]):
    """Settings with the report about them."""

    settings: S
    snapshot: Snapshot
    report: Report


def load(cls: type[S], /, *, source: Source | None = None, init: Mapping[str, Any] | None = None) -> S:
    """An instance of `cls` from the newest release that is verified and fits it.

    `source` replaces the SEALPIPE_* variables; `init` values win over everything. Unknown keys, defaults
    and overrides are logged to "sealpipe". Raises ConfigError's kinds, whose `exit_code` (78, or 75 when
    only the store is away) is what a service should end with; their text holds no value. Does not watch.
    """
    loaded = load_reported(cls, source=source, init=init)
    _log_report(loaded.report)
    return loaded.settings


def load_or_exit(
    cls: type[S], /, *, source: Source | None = None, init: Mapping[str, Any] | None = None
) -> S:
    """As `load`, for a program's first lines: instead of a ConfigError the process ends with its exit code
    and its text on stderr, without a traceback (78: fix and deploy again, 75: start again later)."""
    failed: ConfigError | None = None
    try:
        return load(cls, source=source, init=init)
    except ConfigError as error:
        failed = error
    sys.stderr.write(f"error[{failed.word}]: {failed}\n")
    raise SystemExit(failed.exit_code)


def load_reported(
    cls: type[S], /, *, source: Source | None = None, init: Mapping[str, Any] | None = None
) -> Loaded[S]:
    """Like `load`, with the report instead of log lines."""
    need_class(cls)
    values = dict(init or {})
    return _load(cls, source_for(cls, source), lambda prefix: cls(**values, **prefix))


def build_in_place(settings: BaseSettings, build: Callable[..., None], values: dict[str, Any]) -> None:
    """The constructor of `PublishedSettings`: part of a `load`, or one of its own."""
    cls = type(settings)
    if offered_to(cls) is not None:
        build(**values)
        return
    given = {name: values.pop(name) for name in list(values) if name == "_env_prefix"}
    loaded = _load(cls, source_for(cls, None), lambda prefix: build(**values, **(prefix | given)))
    _log_report(loaded.report)


def source_for(cls: type[BaseSettings], source: Source | None) -> Source:
    """The source of a class: given, or from SEALPIPE_*; the service that the class names wins."""
    service = config_of(cls, "service")
    found = source or Source.from_env(service=service or None)
    return replace(found, service=service or found.service)


def start_for(cls: type[BaseSettings], source: Source, accept: Callable[[Snapshot], T]) -> T:
    """Start a class from a source with no more than the first usable release."""
    check_class(cls)
    return start(source, model_tag(cls), accept).value


def _load(cls: type[S], source: Source, build: Callable[[dict[str, Any]], Any]) -> Loaded[S]:
    check_class(cls)
    answer_help(cls)
    source.checked()
    prefix = prefix_of(cls, source.service)
    given = {"_env_prefix": prefix} if issubclass(cls, PublishedSettings) else {}
    last: list[Candidate] = []

    def accept(snapshot: Snapshot) -> Any:
        candidate = Candidate(cls, snapshot)
        built = accepted(candidate, lambda: build(given), prefix)
        last[:] = [candidate]
        return built

    started = start(source, model_tag(cls), accept)
    told = report_of(last[0], prefix, origin=started.origin, refused=started.refused, notes=started.notes)
    return Loaded(started.value, started.snapshot, told)


def answer_help(cls: type[BaseSettings]) -> None:
    """SystemExit after the help text, where the command line asks for it: no store is needed for that."""
    given = cls.model_config.get("cli_parse_args")
    words = sys.argv[1:] if given is True else list(given or ())
    if {"-h", "--help"} & set(words):
        CliSettingsSource(cls, cli_parse_args=words)


def accepted(candidate: Candidate, build: Callable[[], T], prefix: str) -> T:
    """Build the settings for one candidate; every failure becomes a ConfigError with our text.

    Errors are raised after the handler has ended: a chained exception would carry the values on.
    """
    problems: list[Problem] = []
    failure = ""
    built: Any = None
    with offering(candidate):
        try:
            built = build()
        except ConfigError:
            raise
        except ValidationError as error:
            problems = problems_of(error, _merged(candidate))
            failure = "validation"
        except SettingsError as error:
            failure = _settings_error(error, prefix)
        except Exception as error:  # noqa: BLE001  # a user's validator may raise anything
            failure = f"a validator of {candidate.cls.__name__} raised {type(error).__name__}"
    if failure == "validation":
        raise _unfit(candidate, problems, prefix)
    if failure:
        raise ConfigRefused("unfit-release", f"{_name(candidate)} cannot be used: {failure}")
    refuse_without_source(candidate)
    defaulted = _defaulted(candidate)
    if defaulted and config_of(candidate.cls, "config_defaults", "report") == "forbid":
        raise ConfigRefused(
            "defaults",
            f"{_name(candidate)} has no value for {', '.join(defaulted)}",
            why=[f"{candidate.cls.__name__} forbids defaults"],
        )
    return built  # type: ignore[no-any-return]


def _settings_error(error: SettingsError, prefix: str) -> str:
    """What pydantic-settings could not read: the field's name in its message. Its cause holds the value."""
    text = str(error)
    field = text.split('"')[1] if text.count('"') >= 2 else ""
    if "DotEnv" in text:
        return f"the dotenv file: {prefix}{field.upper()} must be JSON"
    if "Env" in text:
        return f"the variable {prefix}{field.upper()} must be JSON"
    return f"a settings source could not read {field or 'its values'}"


def _unfit(candidate: Candidate, problems: list[Problem], prefix: str) -> ConfigRefused:
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    base = base_of(candidate.cls)
    rows = [_row(candidate, base, problem, prefix) for problem in problems]
    width = max((len(path) for path, _, _ in rows), default=0)
    text = max((len(what) for _, what, _ in rows), default=0)
    return ConfigRefused(
        "unfit-release",
        f"{_name(candidate)} does not fit {candidate.cls.__name__}: {count}",
        path=rows[0][0] if rows else "",
        why=[f"{path:{width}}  {what:{text}}  {origin}".rstrip() for path, what, origin in rows],
    )


def _row(candidate: Candidate, base: Path, problem: Problem, prefix: str) -> tuple[str, str, str]:
    fitted = candidate.fitted
    at = _published_path(candidate, problem.key)
    above = where_from(problem.key, candidate.above, prefix, os.environ) if problem.key else None
    origins = candidate.snapshot.release.payload.origins
    place = origins.get(to_pointer(base + at))
    what = problem.what
    if above is not None:
        what += ", whole and as JSON" if what == "must be a list" and "variable" in above else ""
        over = fitted is not None and any(o.key == problem.key for o in fitted.overridden)
        origin = f"from {above}" + (" (overrides published)" if over else "")
    elif "is required" in problem.what:
        origin = ""
    else:
        origin = f"from published: {place}" if place else "from published"
    return show_path(base + at) or candidate.cls.__name__, what, origin


def _published_path(candidate: Candidate, key: Path) -> Path:
    """The path as published, where an alias or a variable spelled it otherwise."""
    published = candidate.fitted.published if candidate.fitted else {}
    for size in range(len(key), 0, -1):
        if key[:size] in published:
            return published[key[:size]] + key[size:]
    return key


def _merged(candidate: Candidate) -> Mapping[str, Any]:
    merged: Mapping[str, Any] = {}
    for state in candidate.states.values():
        merged = overlaid(merged, state)
    return merged


def _name(candidate: Candidate) -> str:
    release = candidate.snapshot.release
    return f"{release.unit} #{release.payload.number} ({release.short})"


def _defaulted(candidate: Candidate) -> tuple[str, ...]:
    """Fields that nothing gives a value to; file secrets come after the published source and count."""
    below = {key for name, state in candidate.states.items() if "Secrets" in name for key in state}
    base = base_of(candidate.cls)
    found = candidate.fitted.defaulted if candidate.fitted else []
    return tuple(show_path(base + path) for path in found if path[0] not in below)


def report_of(
    candidate: Candidate,
    prefix: str,
    *,
    origin: str,
    refused: tuple[ConfigError, ...] = (),
    notes: tuple[str, ...] = (),
) -> Report:
    """What came with settings that `accepted` has built."""
    base = base_of(candidate.cls)
    fitted = candidate.fitted
    if fitted is None:
        raise AssertionError  # `accepted` has checked it
    overridden = {
        show_path(base + override.path): where_from(override.key, candidate.above, prefix, os.environ) or ""
        for override in fitted.overridden
    }
    twins = [
        f"{show_path(base + path)} differs from a published key in letter case only; both are there now"
        for path in fitted.twins
    ]
    return Report(
        release=_name(candidate),
        origin=origin,
        unknown=tuple(
            show_path(base + key.path) + (f" (did you mean {key.near}?)" if key.near else "")
            for key in fitted.unknown
        ),
        defaulted=_defaulted(candidate),
        overridden=overridden,
        refused=refused,
        notes=(*notes, *twins),
    )


def _log_report(report: Report) -> None:
    for error in report.refused:
        _log.error("%s; starting with %s from %s", error.finding.what, report.release, report.origin)
    for note in report.notes:
        _log.warning("%s", note)
    if report.unknown:
        _log.warning(
            "%s has keys that the settings do not know: %s", report.release, ", ".join(report.unknown)
        )
    for path, who in report.overridden.items():
        _log.warning("%s is overridden by %s", path, who)
    if report.defaulted:
        _log.info("%s carries no value for %s: defaults apply", report.release, ", ".join(report.defaulted))
    _log.info("%s loaded from %s", report.release, report.origin)
