"""A live settings object's part in its unit's feed: build aside, swap, tell."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sealpipe.client.events import Event, event, log, shown
from sealpipe.client.feed import Feed, feed_for
from sealpipe.client.snapshot import Snapshot
from sealpipe.client.source import Source
from sealpipe.client.swap import forked
from sealpipe.errors import ConfigError, ConfigUnavailable
from sealpipe.frozen import replace
from sealpipe.live.derived import Derived, Made
from sealpipe.live.status import Status
from sealpipe.live.subscribers import Changes, Held, Listener, Subscriber
from sealpipe.settings.base import PublishedSettings, running
from sealpipe.settings.check import check_class, model_tag, need_class
from sealpipe.settings.load import Report, accepted, answer_help, report_of, source_for
from sealpipe.settings.rebuild import (
    Captured,
    captured,
    overlaid,
    overridden,
    rebuild,
    refuse_own_constructor,
)
from sealpipe.settings.restart import restart_values
from sealpipe.settings.source import Candidate, prefix_of


class Ready:
    """A release made ready for one object."""

    def __init__(self, part: Part, held: Held, candidate: Candidate, made: list[Made]) -> None:
        self.part, self.held, self.candidate, self.made = part, held, candidate, made
        self.old = [one.derived.standing() for one in made]

    def commit(self) -> None:
        self.part.before, self.part.held = self.part.held, self.held
        self.part.candidate = self.candidate
        for one in self.made:
            one.derived.put(one)
        self.part.show()

    def discard(self) -> None:
        for one in self.made:
            if one.new:
                one.derived.close_now(one.value)

    def after(self) -> None:
        for one, old in zip(self.made, self.old, strict=True):
            if one.new:
                one.derived.let_go(old)
        self.part.swapped()


class Part:
    """What a `Live` has behind it. `put` assigns the settings that it shows."""

    def __init__(
        self,
        cls: type[Any],
        source: Source | None,
        init: Mapping[str, Any],
        put: Callable[[Any], None],
        stale_after: float,
    ) -> None:
        need_class(cls)
        self.cls, self.given_source, self.init, self.put = cls, source, dict(init), put
        self.stale_after = stale_after
        self.model = ""
        self.prefix = ""
        self.feed: Feed | None = None
        self.stopped = False
        self.held: Held | None = None
        self.before: Held | None = None
        self.first: dict[str, Any] = {}  # path -> value at the start, of what needs a restart
        self.candidate: Candidate | None = None
        self.captured: Captured | None = None
        self.unknown: tuple[str, ...] = ()
        self.defaulted: tuple[str, ...] = ()
        self.overrides: list[Mapping[str, Any]] = []
        self.subscribers: list[Subscriber] = []
        self.listeners: list[Listener] = []
        self.derived: list[Derived[Any]] = []
        _parts.add(self)

    # ---- start and stop

    def start(self) -> None:
        """Load and watch, or watch again. Raises ConfigError's kinds."""
        if self.feed is None:
            check_class(self.cls)
            refuse_own_constructor(self.cls)
            answer_help(self.cls)
            source = source_for(self.cls, self.given_source).checked()
            self.model = model_tag(self.cls)
            self.prefix = prefix_of(self.cls, source.service)
            self.feed = feed_for(source)
        self.feed.join(self, watch=True)
        self.stopped = False
        running[self.cls] = _shown_by(weakref.ref(self))

    def stop(self) -> None:
        if self.feed is None or self.stopped:
            return
        self.stopped = True
        self.feed.leave(self)
        if self.held is not None:
            self.say(event("stopped", self.feed.source.unit, f"{self.feed.source.unit}: no longer followed"))
        for subscriber in list(self.subscribers):
            if isinstance(subscriber, Changes):
                subscriber.end()

    # ---- a release

    def prepare(self, snapshot: Snapshot) -> Ready:
        """Build the settings and what is derived of them, changing nothing."""
        candidate = Candidate(self.cls, snapshot)
        kept = self.captured
        settings = accepted(candidate, self._builder(candidate, kept), self.prefix)
        if kept is None:
            self.captured = captured(candidate)
        made: list[Made] = []
        failed: ConfigError | None = None
        for derived in self.derived:
            try:
                made.append(derived.prepare(settings, snapshot))
            except ConfigError as error:
                failed = error
                break
        ready = Ready(self, Held(settings, snapshot), candidate, made)
        if failed is not None:
            ready.discard()
            raise failed
        return ready

    def _builder(self, candidate: Candidate, kept: Captured | None) -> Callable[[], Any]:
        cls = self.cls
        if kept is not None:
            above: dict[str, Any] = {}
            for values in self.overrides:
                above = overlaid(values, above)
            found = overridden(kept, above) if above else kept
            return lambda: rebuild(candidate, found, cls)
        given: dict[str, Any] = {"_env_prefix": self.prefix} if issubclass(cls, PublishedSettings) else {}
        return lambda: cls(**self.init, **given)

    def show(self) -> None:
        if self.held is not None:
            self.put(self.held.settings)

    def swapped(self) -> None:
        """After a swap: events about it, then everybody who listens."""
        now, before = self.held, self.before
        if now is None or self.feed is None:
            return
        report = self.report()
        if report.unknown and report.unknown != self.unknown:
            text = f"{report.release} has keys that {self.cls.__name__} does not know"
            unit = self.feed.source.unit
            self.say(event("unknown", unit, f"{text}: {', '.join(report.unknown)}", paths=report.unknown))
        if before is None:
            self.first = restart_values(now.settings)
            self._say_first(report)
        else:
            self._say_changes(self.defaulted, now, report)
        self.unknown, self.defaulted = report.unknown, report.defaulted
        self.wake()

    def wake(self) -> None:
        for one in list(self.subscribers):
            if not one.wake():
                with suppress(ValueError):  # others come and go while this one is woken
                    self.subscribers.remove(one)

    def _say_first(self, report: Report) -> None:
        unit = self._feed.source.unit
        if report.overridden:
            names = ", ".join(f"{path} by {who}" for path, who in report.overridden.items())
            text = f"{report.release} is overridden: {names}"
            self.say(event("overridden", unit, text, paths=tuple(report.overridden)))

    def _say_changes(self, before: tuple[str, ...], now: Held, report: Report) -> None:
        unit, release = self._feed.source.unit, now.snapshot.release
        lost = tuple(path for path in report.defaulted if path not in before)
        if lost:
            text = f"{report.release} carries {', '.join(lost)} no longer: the default stands"
            self.say(event("defaulted", unit, text, release=release, paths=lost))
        restart = self.restart_required()
        if restart:
            text = f"{report.release}: only a restart brings the change of {', '.join(restart)} into effect"
            self.say(event("restart-required", unit, text, release=release, paths=restart))

    # ---- what is told

    def tell(self, happened: Event) -> None:
        """To the listeners of this object."""
        for listener in self.listeners:
            listener.tell(happened)

    def say(self, happened: Event) -> None:
        """To the log and the listeners: what is about this object alone."""
        log(happened)
        self.tell(happened)

    def say_failed(self, text: str) -> None:
        self.say(event("callback-failed", self._feed.source.unit, text))

    @property
    def _feed(self) -> Feed:
        if self.feed is None:
            raise AssertionError  # only what was started tells
        return self.feed

    def report(self) -> Report:
        if self.candidate is None:
            raise AssertionError  # only what was loaded is reported
        found = report_of(self.candidate, self.prefix, origin=self._feed.origin)
        return replace(found, release=shown(self.candidate.snapshot.release))

    def restart_required(self) -> tuple[str, ...]:
        if self.held is None:
            return ()
        now = restart_values(self.held.settings)
        return tuple(path for path, value in now.items() if self.first.get(path, value) != value)

    def status(self) -> Status:
        feed, held = self.feed, self.held
        if feed is None or held is None:
            named = source_for(self.cls, self.given_source).unit if feed is None else feed.source.unit
            error = feed.error if feed is not None else None
            return Status("new", str(named), error_word=error.word if error else "", error=_text(error))
        release = held.snapshot.release
        report = self.report()
        return Status(
            state=self._state(feed),
            unit=str(release.unit),
            release=shown(release),
            digest=release.digest,
            order=str(release.order),
            commit=str((release.payload.git or {}).get("commit", "")),
            published_at=release.payload.created_at,
            origin=feed.origin,
            confirmed_ago=round(time.monotonic() - feed.confirmed, 3),
            swaps=feed.swaps,
            refusals=feed.refusals,
            unknown=report.unknown,
            defaulted=report.defaulted,
            overridden=report.overridden,
            restart_required=self.restart_required(),
            error_word=feed.error.word if feed.error else "",
            error=_text(feed.error),
        )

    def _state(self, feed: Feed) -> str:
        if self.stopped or not feed.watching:
            return "stopped"
        if feed.stale:
            return "stale"
        if feed.error is None:
            return "live"
        return "cached" if isinstance(feed.error, ConfigUnavailable) else "refusing"

    # ---- tests

    @contextmanager
    def overriding(self, values: Mapping[str, Any]) -> Iterator[None]:
        """Inside, these values stand above every source. Validated like everything else."""
        self.overrides.append(values)
        try:
            self._again()
        except BaseException:
            self.overrides.remove(values)
            raise
        try:
            yield
        finally:
            self.overrides.remove(values)
            self._again()

    def _again(self) -> None:
        """Build the running release once more and show it."""
        if self.held is None or self.feed is None:
            raise AssertionError  # `testing.override` has loaded it
        ready = self.prepare(self.held.snapshot)
        ready.commit()
        ready.after()

    # ---- fork

    def reborn(self) -> None:
        for derived in self.derived:
            derived.reborn()
        for listener in self.listeners:
            listener.reborn()
        self.subscribers[:] = [one for one in self.subscribers if one.reborn()]


_parts: weakref.WeakSet[Part] = weakref.WeakSet()


def _reborn() -> None:
    for part in list(_parts):
        part.reborn()


forked.append(_reborn)


def _shown_by(part: weakref.ref[Part]) -> Callable[[], Any]:
    """For `settings_cached`, without keeping the part alive."""

    def shown() -> Any:
        found = part()
        return found.held.settings if found is not None and found.held is not None else None

    return shown


def _text(error: ConfigError | None) -> str:
    return error.finding.what if error else ""
