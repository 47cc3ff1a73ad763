"""One unit's releases in a running process: read, verified, opened, offered to all who use them, swapped.

One feed a unit and process, however many settings objects stand on it: they take a release all or none.
Whatever fails, what runs keeps running. Knows nothing of pydantic.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable
from typing import Protocol

from sealpipe.client import cache
from sealpipe.client.events import Event, event, log, shown
from sealpipe.client.fetch import fetch
from sealpipe.client.snapshot import Snapshot
from sealpipe.client.source import KeyFinder, Source
from sealpipe.client.start import Opens, checked, opener, pins_of, refuse_older, retired, start
from sealpipe.client.swap import Prepared, commit, locks, running
from sealpipe.client.watching import Watcher
from sealpipe.errors import ConfigError, ConfigRefused, ConfigUnavailable
from sealpipe.released import Release
from sealpipe.releases.check import Seen, newer, seen

OLDER_ALARM = 60.0  # seconds for which a store may lag, or a mirror


class Member(Protocol):
    """Who uses the unit's releases."""

    model: str  # tags the cache with what accepted a release
    stale_after: float  # seconds

    def prepare(self, snapshot: Snapshot) -> Prepared:
        """Make ready, changing nothing. Raises ConfigError for a release that does not fit."""

    def tell(self, happened: Event) -> None:
        """Must return at once and not raise."""


_feeds: weakref.WeakValueDictionary[object, Feed] = weakref.WeakValueDictionary()


def feed_for(source: Source) -> Feed:
    """The process's feed of this source, made when there is none. Does no I/O."""
    found_by = source.key if isinstance(source.key, str | KeyFinder) else id(source.key)
    key = (source.urls, source.unit, source.trust, source.cache, found_by)
    with locks.registry:
        found = _feeds.get(key)
        if found is None:
            found = _feeds[key] = Feed(source)
        return found


class Feed:
    """Its methods may be called from every thread. Services get theirs from `feed_for`."""

    def __init__(self, source: Source, opens: Opens | None = None) -> None:
        self.source = source
        self._opens = opens
        self.snapshot: Snapshot | None = None
        self.origin = ""
        self.error: ConfigError | None = None  # why the last offer, or the last read, was nothing
        self._missed_at = ""  # the URL that the error is about, "" for a release's own
        self.refusals = 0  # in a row
        self.swaps = 0
        self.confirmed = time.monotonic()  # when a source last answered with nothing newer than what runs
        self.stale = False
        self._members: list[Member] = []
        self._lock = threading.RLock()
        self._offering = False
        self._seen: Seen | None = None
        self._said: set[tuple[str, str]] = set()
        self._older_since: float | None = None
        self._watcher: Watcher | None = None
        running.add(self)

    # ---- members

    def join(self, member: Member, *, watch: bool) -> None:
        """Give the member a release, the one that runs here or the first usable one; then watch for more.

        Raises ConfigError's kinds when there is none that it takes; nothing has changed then. A member that
        is one already gets a watcher where it has lost it.
        """
        with self._lock:
            if self.snapshot is None:
                self._begin(member)
            elif member not in self._members:
                prepared = member.prepare(self.snapshot)
                commit([prepared])
                self._members.append(member)
                self._note(self.snapshot.release, [member])
                prepared.after()
            if watch:
                self._ensure_watcher()

    def _begin(self, member: Member) -> None:
        started = start(self.source, member.model, member.prepare, opens=self._opens)
        commit([started.value])
        self.snapshot, self.origin = started.snapshot, started.origin
        self._seen = seen(started.snapshot.release)
        self._members.append(member)
        self.confirmed = time.monotonic()
        for refusal in started.refused:
            self.error = refusal
            self._tell(event("refused", self.source.unit, f"at start: {refusal.finding.what}", error=refusal))
        for note in started.notes:
            self._tell(event("cache", self.source.unit, note))
        self._tell_of("loaded", started.snapshot.release, f"loaded from {self.origin}")
        started.value.after()

    def leave(self, member: Member) -> None:
        """The member takes no more releases. The last one out ends the watcher, within a second."""
        with self._lock:
            if member in self._members:
                self._members.remove(member)
            watcher = self._watcher
            if self._members or watcher is None:
                return
            self._watcher = None
        watcher.stop()

    @property
    def watching(self) -> bool:
        """Whether the watcher runs: asked of the thread itself, never remembered."""
        return self._watcher is not None and self._watcher.alive

    def _ensure_watcher(self) -> None:
        if not self.watching:
            self._watcher = Watcher(self.source, self.take, self.missed, self._tell_failed, self.check_stale)
            self._watcher.start()

    # ---- what comes in

    def refresh(self, timeout: float) -> str:
        """Look now: "applied", "unchanged", "refused" or "unavailable". Never raises for what it finds."""
        if not self._lock.acquire(timeout=timeout):
            return "unavailable"
        try:
            if self._offering:
                return "unchanged"  # asked from inside a validator: that release is on its way
            until = time.monotonic() + timeout
            outcome = "unavailable"
            for position, url in enumerate(self.source.urls):
                failed: ConfigError | None = None
                try:
                    fetched = fetch(url, self.source.unit, timeout=max(0.05, until - time.monotonic()))
                except ConfigError as error:
                    failed = error
                if failed is None:
                    return self.take(fetched.raw, _origin(fetched.origin, position), url)
                if self.missed(failed, url) == "refused":
                    outcome = "refused"
            return outcome
        finally:
            self._lock.release()

    def missed(self, error: ConfigError, url: str) -> str:
        """A source gave no release. Says so once an outage; returns "unavailable" or "refused"."""
        with self._lock:
            self.error, self._missed_at = error, url
            kind = "unavailable" if isinstance(error, ConfigUnavailable) else "refused"
            self._once((kind, url), event(kind, self.source.unit, error.finding.what, error=error))
            return kind

    def take(self, raw: bytes, origin: str, url: str = "") -> str:
        """Judge a release and, when it is newer and every member takes it, put it in place.

        Returns "applied", "unchanged" or "refused". An older one than what runs is "unchanged".
        """
        failed: ConfigError | None = None
        outcome = "refused"
        with self._lock:
            self._answered(url)
            if self.snapshot is not None and raw == self.snapshot.release.raw:
                return self._confirm()
            try:
                outcome = self._judge(raw, origin)
            except ConfigError as error:
                failed = error
            if failed is not None:
                self._refuse(raw, failed)
            return outcome

    def _judge(self, raw: bytes, origin: str) -> str:
        release = checked(raw, pins_of(self.source), self.source.unit)
        verdict = newer(self._seen, release)
        if verdict == "older" or self._is_running(release):
            return self._older(release) if verdict == "older" else self._confirm()
        refuse_older(release, self._marks(release))
        self._older_since = None
        if self._seen is None or release.order > self._seen.order:
            self._seen = seen(release)
        if release.payload.retired is not None:
            raise retired(release)
        snapshot = (self._opens or opener(self.source))(release)
        prepared = self._prepare_all(snapshot)
        commit(prepared)
        self.snapshot, self.origin = snapshot, origin
        self.swaps += 1
        self._confirm()
        self.error, self._missed_at = None, ""
        self.refusals = 0
        self._note(release, self._members)
        self._tell_of("applied", release, f"applied from {origin}")
        for one in prepared:
            one.after()
        return "applied"

    def _prepare_all(self, snapshot: Snapshot) -> list[Prepared]:
        ready: list[Prepared] = []
        failed: ConfigError | None = None
        self._offering = True
        try:
            for member in self._members:
                ready.append(member.prepare(snapshot))  # noqa: PERF401  # what is ready is let go of
        except ConfigError as error:
            failed = error
        except Exception as error:  # noqa: BLE001  # whatever it is, the message may hold values
            failed = _unforeseen(snapshot.release, error)
        except SystemExit as error:
            failed = _unforeseen(snapshot.release, error)
        finally:
            self._offering = False
        if failed is not None:
            for one in ready:
                one.discard()
            raise failed
        return ready

    def _is_running(self, release: Release) -> bool:
        return self.snapshot is not None and self.snapshot.release.digest == release.digest

    def _marks(self, release: Release) -> cache.Marks:
        """What may not be gone below: here, and in any process that shares the cache."""
        folder = self.source.cache
        marks = cache.read_marks(folder, release.unit, release.payload.project) if folder else cache.Marks()
        mine = self._seen
        if mine is None or (marks.seen is not None and marks.seen.order > mine.order):
            return marks
        return cache.Marks(mine)

    def _older(self, release: Release) -> str:
        now = time.monotonic()
        self._older_since = self._older_since or now
        if now - self._older_since > OLDER_ALARM:
            text = f"{shown(release)} has been offered for a minute, and a newer one runs"
            happened = event("older", self.source.unit, text, release=release)
            self._once(("older", release.digest), happened)
        return "unchanged"

    def _refuse(self, raw: bytes, error: ConfigError) -> None:
        self.error, self._missed_at = error, ""
        self.refusals += 1
        kind = {"two-releases": "alarm", "forked-trust": "alarm", "retired": "retired"}.get(
            error.word, "refused"
        )
        running = shown(self.snapshot.release) if self.snapshot else "nothing"
        text = f"{error.finding.what}; {running} keeps running"
        self._once(("refused", f"{error.word} {hash(raw)}"), event(kind, self.source.unit, text, error=error))

    def _confirm(self) -> str:
        self.confirmed = time.monotonic()
        self.stale = False
        self._older_since = None
        if not self._missed_at:  # what was refused is not offered any more
            self.error, self.refusals = None, 0
        return "unchanged"

    def _answered(self, url: str) -> None:
        self._said.discard(("refused", url))
        if ("unavailable", url) in self._said:
            self._said.discard(("unavailable", url))
            self._tell(event("recovered", self.source.unit, "the store answers again"))
        if url and self._missed_at == url:
            self.error, self._missed_at = None, ""

    # ---- what goes out

    def check_stale(self) -> None:
        """Say, once, that nobody has confirmed what runs for too long. Never stops anything."""
        with self._lock:
            limit = min((member.stale_after for member in self._members), default=float("inf"))
            age = time.monotonic() - self.confirmed
            if age > limit and not self.stale:
                self.stale = True
                text = f"{self.source.unit}: no source has confirmed what runs for {age:.0f} s"
                self._tell(event("stale", self.source.unit, text))

    def _note(self, release: Release, members: Iterable[Member]) -> None:
        """Keep it for the next start. A cache that cannot be written is an event, never a failure."""
        problem = ""
        try:
            for model in {member.model for member in members} if self.source.cache else ():
                cache.note_accepted(self.source.cache, release, model)
        except TimeoutError:
            problem = f"the cache {self.source.cache} is locked by another process"
        except OSError as error:
            problem = f"the cache {self.source.cache} was not written: {error.strerror}"
        if problem:
            self._once(("cache", problem), event("cache", self.source.unit, problem))

    def _once(self, key: tuple[str, str], happened: Event) -> None:
        if key not in self._said:
            if len(self._said) > 1000:  # a hostile store must not fill the memory
                self._said.clear()
            self._said.add(key)
            self._tell(happened)

    def _tell_of(self, kind: str, release: Release, text: str) -> None:
        said = f"{shown(release)} {text}"
        self._tell(event(kind, self.source.unit, said, release=release, origin=self.origin))

    def _tell_failed(self, error: BaseException) -> None:
        text = f"{self.source.unit}: the watcher met {type(error).__name__} and goes on"
        self._tell(event("watcher-failed", self.source.unit, text))

    def _tell(self, happened: Event) -> None:
        log(happened)
        for member in list(self._members):
            member.tell(happened)

    def end(self) -> None:
        """The process ends: no thread of ours may write a log line into its last moments."""
        if self._watcher is not None:
            self._watcher.stop(patience=0.1)

    # ---- fork

    def reborn(self) -> None:
        """In a forked child: locks that nobody holds, and a watcher of its own where there was one."""
        watched = self._watcher is not None
        self._lock = threading.RLock()
        self._offering = False
        if self._watcher is not None:
            self._watcher.abandon()
            self._watcher = None
        if watched and self._members:
            self._ensure_watcher()


def _origin(origin: str, position: int) -> str:
    return "mirror" if position and origin == "store" else origin


def _unforeseen(release: Release, error: BaseException) -> ConfigRefused:
    return ConfigRefused(
        "unfit-release", f"{shown(release)} cannot be used: taking it raised {type(error).__name__}"
    )
