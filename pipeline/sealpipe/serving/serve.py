"""A program with its configuration: the folder in memory that carries it, its variables, and its life."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from sealpipe.client.throwaway import Throwaway, throwaway, throwaway_release
from sealpipe.client.variables import FILE_KINDS, file_text, variables_of
from sealpipe.errors import RefusedError, UsageError
from sealpipe.files import write_atomic
from sealpipe.frozen import NamedTuple
from sealpipe.released import Unit
from sealpipe.releases.wire import release_digest, split_release
from sealpipe.serving.handing import Handed
from sealpipe.trees import PROJECT_FILE

# What would let a program act as the person who started it, or read more than its own configuration.
_OURS = ("SEALPIPE_", "SOPS_AGE_KEY")
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
_POLL = 0.2


class Carrier:
    """A unit's releases in a private folder, rewritten in place, with keys made for this one run."""

    def __init__(self, folder: Path, unit: Unit) -> None:
        self.folder = folder
        self.keys: Throwaway = throwaway(unit)
        self.number = 0  # of writes
        self.digest = ""
        self._seq = 0
        write_atomic(folder / "key", (self.keys.key_text + "\n").encode(), mode=0o600)

    @property
    def file(self) -> Path:
        return self.folder / f"{self.keys.unit.service}.release"

    def write(self, handed: Handed) -> None:
        """Replace the release by one of these values."""
        self.number += 1
        self._seq = max(self._seq + 1, time.time_ns() // 1_000_000)
        raw = throwaway_release(
            self.keys,
            handed.values,
            merge_keys=handed.merge_keys,
            locked=handed.locked,
            origins=handed.origins,
            number=handed.number or self.number,
            seq=self._seq,
        )
        self.digest = release_digest(split_release(raw).payload.body)
        write_atomic(self.file, raw, mode=0o600)

    def bootstrap(self) -> dict[str, str]:
        """The SEALPIPE_* variables that lead to the release; the key is a file: variables are passed on."""
        unit = self.keys.unit
        return {
            "SEALPIPE_URL": f"release:{self.file}",
            "SEALPIPE_ENV": unit.environment,
            "SEALPIPE_SERVICE": unit.service,
            "SEALPIPE_TRUST": self.keys.pin,
            "SEALPIPE_KEY_FILE": str(self.folder / "key"),
        }


def child_environment(environ: Mapping[str, str], *more: Mapping[str, str]) -> dict[str, str]:
    """The variables of a child: ours without what belongs to the person's own sealpipe and sops keys."""
    found = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
    for given in more:
        found.update(given)
    return found


def value_variables(handed: Handed, environ: Mapping[str, str]) -> dict[str, str]:
    """The values as variables; one that is set already stays, because variables override.

    RefusedError [locked] for such a one at a locked path, [variable-names] as `variables_of`.
    """
    found = variables_of(handed.unit.service, handed.values)
    taken = [name for name in found if name in environ]
    locked = [
        name
        for name in taken
        if any(f"{found[name].pointer}/".startswith(f"{pointer}/") for pointer in handed.locked)
    ]
    if locked:
        raise RefusedError(
            "locked",
            f"{handed.unit} locks what {', '.join(locked)} would override",
            hint=[f"unset {' '.join(locked)}"],
        )
    return {name: variable.text for name, variable in found.items() if name not in taken}


def bootstrap_lines(bootstrap: Mapping[str, str]) -> str:
    """A dotenv file for an IDE: it names files in memory and holds no secret."""
    return "".join(f"{name}={value}\n" for name, value in bootstrap.items())


@contextmanager
def values_file(path: str, handed: Handed, folder: Path) -> Iterator[Path]:
    """The values in a file of the private folder, with a link at `path` for as long as the block runs.

    The kind follows the ending of `path` (.json, .yaml, .env). Raises UsageError for another one, and
    RefusedError [file-exists] rather than replace anything.
    """
    link = Path(path).absolute()
    if link.suffix not in FILE_KINDS:
        raise UsageError("usage", f"--file takes a name that ends with {', '.join(FILE_KINDS)}")
    if not link.parent.is_dir():
        raise UsageError("usage", f"--file {path}: there is no folder {Path(path).parent}")
    if link.exists() or (link.is_symlink() and not str(link.readlink()).endswith(f"/values{link.suffix}")):
        raise RefusedError("file-exists", f"{path} is there already and is not replaced")
    target = folder / f"values{link.suffix}"
    write_atomic(target, file_text(link.suffix, handed.unit.service, handed.values).encode(), mode=0o600)
    link.unlink(missing_ok=True)  # a link that an earlier run left behind leads nowhere
    link.symlink_to(target)
    try:
        yield target
    finally:
        with suppress(OSError):
            link.unlink(missing_ok=True)


def rewrite_values(path: str, handed: Handed, folder: Path) -> None:
    """Replace what `values_file` has put behind the link, at once and as a whole."""
    kind = Path(path).suffix
    text = file_text(kind, handed.unit.service, handed.values)
    write_atomic(folder / f"values{kind}", text.encode(), mode=0o600)


# ---- the program


def run_program(
    command: Sequence[str], environ: Mapping[str, str], *, every: Callable[[], None] | None = None
) -> int:
    """Run a program to its end and give its exit code (128 + n for a signal). Signals are passed on.

    `every` is called a few times a second meanwhile. UsageError [no-program] with the shell's codes 127
    and 126 where there is no such program, or it cannot be run.
    """
    problem: OSError | None = None
    with Forwarding() as signals:
        try:
            process = subprocess.Popen(list(command), env=dict(environ))
        except OSError as error:
            problem = error
        else:
            signals.to(process)
            return exit_code(_wait(process, signals, every))
    raise no_program(command[0], problem)


def exit_code(code: int) -> int:
    """A child's code as a shell shows it."""
    return code if code >= 0 else 128 - code


def no_program(name: str, problem: OSError | None) -> UsageError:
    why = (problem.strerror if problem else "") or "cannot be run"
    error = UsageError("no-program", f"{name}: {why}")
    error.exit_code = 127 if isinstance(problem, FileNotFoundError) else 126
    return error


def _wait(process: subprocess.Popen[bytes], signals: Forwarding, every: Callable[[], None] | None) -> int:
    # Not process.wait(): a signal that comes just before its system call would wait for the child's end.
    while (code := process.poll()) is None:
        if not signals.pause(None if every is None else _POLL) and every is not None:
            every()
    return code


class Forwarding:
    """Passes signals on to a process; what arrives before there is one waits for it."""

    ending = False  # somebody asked for the end

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Forwarding:
        self._awake, self._waking = socket.socketpair()
        for end in (self._awake, self._waking):
            end.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        for name in _FORWARDED:
            number = signal.Signals[name]
            self._before[number] = signal.signal(number, self._arrived)
        # A child's end wakes as well; with the default action nothing would be written.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._awake.close()
        self._waking.close()

    def pause(self, seconds: float | None) -> bool:
        """Until a signal comes or a child ends, also one that came since the last pause; whether one did."""
        if not select.select([self._awake], [], [], seconds)[0]:
            return False
        with suppress(BlockingIOError):
            while self._awake.recv(4096):
                pass
        return True

    def hold(self) -> None:
        """There is no process any more: what arrives waits for the next one."""
        self._process = None

    def to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        waiting, self._waiting = self._waiting, []
        for number in waiting:
            self._pass_on(number)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self.ending = self.ending or number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
        # Ctrl-C reaches the whole group on a terminal: passing it on would deliver it twice.
        if number == signal.SIGINT and _on_terminal():
            return
        if self._process is None:
            self._waiting.append(number)
        else:
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


def _on_terminal() -> bool:
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno()) == os.getpgrp() if sys.__stdin__ else False
    except (OSError, ValueError):
        return False


# ---- what changes on save


class Watched(NamedTuple):
    """Names, sizes and times of a repository's files: differs when something was saved."""

    entries: tuple[tuple[str, int, int], ...]


def watched(root: str) -> Watched:
    """The state of the files that a configuration is made of."""
    found: list[tuple[str, int, int]] = []
    stack = [Path(root, name) for name in (PROJECT_FILE, "trust", "schemas", "environments")]
    while stack:
        path = stack.pop()
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                stack.extend(path.iterdir())
                continue
            seen = path.lstat()
            found.append((str(path), seen.st_mtime_ns, seen.st_size))
    return Watched(tuple(sorted(found)))
