"""A program that is restarted, or sent a signal, when its configuration changes."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from sealpipe.errors import UsageError
from sealpipe.serving.serve import Forwarding, exit_code, no_program

GRACE = 10.0  # seconds between asking a program to end and ending it
_POLL = 0.05


def signal_of(name: str) -> int | None:
    """The number of `HUP` or `SIGHUP`; None for `none`. UsageError for what is no signal."""
    if name.lower() == "none":
        return None
    wanted = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    try:
        return int(signal.Signals[wanted])
    except KeyError:
        known = False
    if not known:
        raise UsageError("usage", f"{name} is not a signal here", hint=["for example --signal HUP"])
    return None


def supervise(
    command: Sequence[str],
    environ: Callable[[], Mapping[str, str]],
    changed: threading.Event,
    *,
    restart: bool,
    send: int | None,
    renew: Callable[[], None],
) -> int:
    """Run a program until it ends by itself, and give its exit code (128 + n for a signal).

    Each time `changed` is set, `renew` is called, then the program is restarted, with what `environ`
    gives by then, or sent `send`. Signals are passed on; one that asks for the end is not followed by a
    restart. Raises UsageError [no-program] as `serve.run_program`.
    """
    with Forwarding() as signals:
        while True:
            process = _started(command, environ())
            signals.to(process)
            code = _until_end(process, changed, signals, restart=restart, send=send, renew=renew)
            if code is not None:
                return exit_code(code)


def _started(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    problem: OSError | None = None
    try:
        return subprocess.Popen(list(command), env=dict(environ))
    except OSError as error:
        problem = error
    raise no_program(command[0], problem)


def _until_end(
    process: subprocess.Popen[bytes],
    changed: threading.Event,
    signals: Forwarding,
    *,
    restart: bool,
    send: int | None,
    renew: Callable[[], None],
) -> int | None:
    """The program's own exit code, or None when it was ended for a restart."""
    while True:
        code = process.poll()
        if code is not None:
            return code
        if not changed.wait(_POLL):
            continue
        changed.clear()
        renew()
        if signals.ending:
            continue
        if restart:
            end(process)
            signals.hold()
            return process.returncode if signals.ending else None
        if send is not None and process.poll() is None:
            process.send_signal(send)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the program to end, and end it when it does not."""
    process.terminate()
    until = time.monotonic() + GRACE
    while process.poll() is None and time.monotonic() < until:
        time.sleep(_POLL)
    if process.poll() is None:
        process.kill()
        process.wait()
