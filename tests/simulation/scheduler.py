"""Actors that run the real code in threads, one at a time: whoever holds the baton runs to its next call.

Every decision - who goes on, what befalls a call - comes from one `Choices`, so a run is a function of
its seed or of its list of choices.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Protocol


class Died(BaseException):
    """The process ends here."""


class Choices(Protocol):
    def whom(self, options: Sequence[str]) -> int:
        """Who goes on: "=" before the name of who just ran, "*" before an event that is no process."""

    def fault(self, options: Sequence[str]) -> int:
        """What befalls a call; option 0 is nothing."""


class Seeded:
    """Decisions of a seed."""

    def __init__(self, seed: int, *, stay: float, faults: float, events: float) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a seed is to be repeated
        self.stay, self.faults, self.events = stay, faults, events

    def whom(self, options: Sequence[str]) -> int:
        if options[0].startswith("=") and self.random.random() < self.stay:
            return 0
        events = [n for n, option in enumerate(options) if option.startswith("*")]
        if events and self.random.random() < self.events:
            return self.random.choice(events)
        return self.random.randrange(len(options) - len(events))

    def fault(self, options: Sequence[str]) -> int:
        if len(options) < 2 or self.random.random() >= self.faults:
            return 0
        return 1 + self.random.randrange(len(options) - 1)


class Bounded:
    """One path of an exhaustive exploration: a prefix of decisions, then option 0 everywhere.

    A decision for another option than 0 is a departure where somebody is interrupted or something
    befalls a call; their number is bounded, that of free choices (the one who ran has ended) is not.
    """

    def __init__(self, prefix: Sequence[int], *, interruptions: int, faults: int) -> None:
        self.prefix = list(prefix)
        self.taken: list[int] = []
        self.width: list[int] = []
        self.left = {"whom": interruptions, "fault": faults}

    def whom(self, options: Sequence[str]) -> int:
        return self._pick(options, "whom" if options[0].startswith("=") else "")

    def fault(self, options: Sequence[str]) -> int:
        return self._pick(options, "fault")

    def _pick(self, options: Sequence[str], budget: str) -> int:
        width = 1 if budget and not self.left[budget] else len(options)
        if width == 1:
            return 0
        at = len(self.taken)
        picked = self.prefix[at] if at < len(self.prefix) else 0
        self.taken.append(picked)
        self.width.append(width)
        if picked and budget:
            self.left[budget] -= 1
        return picked

    def following(self) -> list[int] | None:
        """The prefix of the next path; None when this was the last."""
        for at in reversed(range(len(self.taken))):
            if self.taken[at] + 1 < self.width[at]:
                return [*self.taken[:at], self.taken[at] + 1]
        return None


class Scripted:
    """Decisions written down: for what seeds find too rarely.

    ("until", process, call) lets it run until it is about to make that call or has ended; ("once",
    process) is one step of it; ("event", name); ("fault", name) befalls the next call that can meet it.
    After the script option 0 is taken.
    """

    def __init__(self, script: Sequence[tuple[str, ...]]) -> None:
        self.script = list(script)
        self.next_call: Callable[[str], str] = lambda _: ""

    def whom(self, options: Sequence[str]) -> int:
        names = [option.lstrip("=") for option in options]
        while self.script and self.script[0][0] != "fault":
            kind, name, *rest = self.script[0]
            if kind == "event":
                self.script.pop(0)
                return next(n for n, option in enumerate(names) if option.startswith("*" + name))
            if kind == "once" or name not in names or self.next_call(name).startswith(rest[0]):
                self.script.pop(0)
            if name in names and (kind == "once" or not self.next_call(name).startswith(rest[0])):
                return names.index(name)
        return self._running(names)

    def _running(self, names: Sequence[str]) -> int:
        later = next((step[1] for step in self.script if step[0] in ("once", "until")), "")
        return names.index(later) if later in names else 0

    def fault(self, options: Sequence[str]) -> int:
        if self.script and self.script[0][0] == "fault" and self.script[0][1] in options:
            return list(options).index(self.script.pop(0)[1])
        return 0


def _closed() -> threading.Lock:
    """A lock that is taken: its next `acquire` waits for a `release` by another thread."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class Actor:
    """One process. `turn` is called by its store before each request takes effect."""

    def __init__(self, name: str, work: Callable[[Actor], None], scheduler: Scheduler) -> None:
        self.name, self.work, self.scheduler = name, work, scheduler
        self.alive = True
        self.doomed = False
        self.doing = ""  # the call that it is about to make
        self.slept = 0.0  # its own time beside that of the world
        self.met = 0  # faults that its calls met
        self.crash: BaseException | None = None
        self._go = _closed()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        self._go.acquire()
        try:
            if not self.doomed:
                self.work(self)
        except Died:
            pass
        except BaseException as error:  # noqa: BLE001 - looked at by the scheduler's thread
            self.crash = error
        self.alive = False
        self.scheduler.baton.release()

    def turn(self) -> None:
        """Give the baton back and wait for it. Raises Died where the process is to end."""
        self.scheduler.baton.release()
        self._go.acquire()
        if self.doomed:
            raise Died

    def resume(self) -> None:
        """Run this actor to its next turn; called by the scheduler's thread alone."""
        self.scheduler.current = self
        self._go.release()
        self.scheduler.baton.acquire()
        self.scheduler.current = None


class Scheduler:
    """Picks who goes on until nobody is left."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        if isinstance(choices, Scripted):
            choices.next_call = lambda name: next(
                (actor.doing for actor in self.actors if actor.name == name), ""
            )
        self.baton = _closed()
        self.actors: list[Actor] = []
        self.current: Actor | None = None
        self.last: Actor | None = None
        self.steps = 0

    def add(self, name: str, work: Callable[[Actor], None]) -> Actor:
        actor = Actor(name, work, self)
        self.actors.append(actor)
        return actor

    def step(self, events: Sequence[str]) -> str | None:
        """One step of one actor, or the name of the event that was picked; "" when an actor went on."""
        alive = [actor for actor in self.actors if actor.alive]
        if not alive:
            return None
        if self.last in alive:
            alive.remove(self.last)
            alive.insert(0, self.last)
        stays = alive[0] is self.last
        names = [("=" if stays and not n else "") + actor.name for n, actor in enumerate(alive)]
        picked = self.choices.whom([*names, *events])
        self.steps += 1
        if picked >= len(alive):
            return events[picked - len(alive)]
        self.last = alive[picked]
        self.last.resume()
        return ""

    def end(self, actors: Sequence[Actor] | None = None) -> None:
        """These processes, or all, die where they are."""
        for actor in list(self.actors if actors is None else actors):
            while actor.alive:
                actor.doomed = True
                actor.resume()
