"""`sealpipe watch` and `run --watch` with real child processes and a real store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from tests.cli.programs import SECRET, Here, copy, make


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return make(tmp_path_factory.mktemp("watch"))


@pytest.fixture
def here(made: Here, tmp_path: Path) -> Iterator[Here]:
    found = copy(made, tmp_path)
    yield found
    assert not list(found.memory.iterdir())


@pytest.fixture
def started(here: Here) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        process = here.start(*words)
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().rstrip("\n")


def publish(here: Here, value: str) -> None:
    here.sealpipe("set", "dev/checkout", "db.pool_max", value)
    here.sealpipe("publish", "dev")


# ---- watch


def test_releases_are_lines(here: Here, started: Callable[..., subprocess.Popen[str]]) -> None:
    process = started("watch", "dev/checkout")
    first = json.loads(line(process.stdout))
    assert first["kind"] == "release"
    assert (first["unit"], first["number"], first["values"]["db"]["pool_max"]) == ("dev/checkout", 1, 20)
    assert first["values"]["db"]["password"] == "sealed (str)"
    publish(here, "30")
    second = json.loads(line(process.stdout))
    assert (second["number"], second["values"]["db"]["pool_max"]) == (2, 30)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130


def test_secrets_only_on_request(here: Here) -> None:
    shut = here.sealpipe("watch", "dev/checkout", "--once")
    assert SECRET not in shut.stdout
    opened = here.sealpipe("watch", "dev/checkout", "--once", "--reveal")
    assert json.loads(opened.stdout)["values"]["db"]["password"] == SECRET


def test_without_a_key_it_still_follows(here: Here) -> None:
    (here.home / ".config/sealpipe/key.txt").unlink()
    done = here.sealpipe("watch", "dev/checkout", "--once")
    assert json.loads(done.stdout)["values"]["db"]["pool_max"] == 20


def test_what_is_not_taken_is_a_line(here: Here, started: Callable[..., subprocess.Popen[str]]) -> None:
    process = started("watch", "dev/checkout")
    line(process.stdout)
    head = here.root / ".sealpipe/store/dev/heads/checkout"
    good = head.read_bytes()
    head.with_suffix(".new").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    head.with_suffix(".new").replace(head)
    told = json.loads(line(process.stdout))
    assert told["kind"] == "refused"
    assert told["word"]


def test_nothing_published_is_said_at_once(here: Here) -> None:
    here.sealpipe("add", "service", "mailer", "--in", "dev")
    done = here.sealpipe("watch", "dev/mailer", "--once", code=5)
    assert "error[not-published]: dev/mailer was never published" in done.stderr
    assert done.stdout == ""


# ---- run --watch

SHOW = "import os, sys, time; print(os.environ['CHECKOUT__DB__POOL_MAX'], flush=True); time.sleep(60)"


def test_a_program_is_restarted(here: Here, started: Callable[..., subprocess.Popen[str]]) -> None:
    process = started("run", "dev/checkout", "--watch", "--", sys.executable, "-c", SHOW)
    assert line(process.stdout) == "20"
    publish(here, "30")
    assert line(process.stdout) == "30"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM


def test_a_program_that_ends_ends_the_command(here: Here) -> None:
    done = here.sealpipe(
        "run", "dev/checkout", "--watch", "--", sys.executable, "-c", "raise SystemExit(7)", code=7
    )
    assert "Traceback" not in done.stderr


def test_a_program_that_does_not_want_to_end(
    here: Here, started: Callable[..., subprocess.Popen[str]]
) -> None:
    stubborn = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
        "print(os.getpid(), flush=True)\n"
        "while True: time.sleep(0.1)"
    )
    process = started("run", "dev/checkout", "--watch", "--", sys.executable, "-c", stubborn)
    first = int(line(process.stdout))
    publish(here, "30")
    assert line(process.stdout) == "asked"
    second = int(line(process.stdout))  # after the grace it is ended
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    os.kill(second, signal.SIGKILL)
    assert process.wait(20) == 128 + signal.SIGKILL


READ = (
    "import json, os, signal, sys, time\n"
    "def show(*_): print(json.load(open(sys.argv[1]))['db']['pool_max'], flush=True)\n"
    "signal.signal(signal.SIGHUP, show)\n"
    "show()\n"
    "while True: time.sleep(0.1)"
)


def test_a_file_and_a_signal(
    here: Here, tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    file = str(tmp_path / "config.json")
    words = ("--watch", "--signal", "HUP", "--file", file, "--", sys.executable, "-c", READ, file)
    process = started("run", "dev/checkout", *words)
    assert line(process.stdout) == "20"
    publish(here, "30")
    assert line(process.stdout) == "30"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert not Path(file).is_symlink()


def test_a_release_that_no_variables_can_carry_is_not_taken(
    here: Here, started: Callable[..., subprocess.Popen[str]]
) -> None:
    schema = here.root / "schemas/checkout.schema.json"
    text = json.loads(schema.read_text())
    text["properties"]["a__b"] = {"type": "string"}
    schema.write_text(json.dumps(text))
    process = started("run", "dev/checkout", "--watch", "--", sys.executable, "-c", SHOW)
    assert line(process.stdout) == "20"
    here.sealpipe("set", "dev/checkout", "a__b", "x")
    here.sealpipe("publish", "dev")
    time.sleep(1.0)
    assert process.poll() is None
    here.sealpipe("unset", "dev/checkout", "a__b")
    publish(here, "40")
    assert line(process.stdout) == "40"


def test_a_signal_needs_something_to_read_again(here: Here) -> None:
    done = here.sealpipe("run", "dev/checkout", "--watch", "--signal", "HUP", "--", "true", code=2)
    assert "--file" in done.stderr
    done = here.sealpipe(
        "run", "dev/checkout", "--watch", "--signal", "NOPE", "--bootstrap-only", "--", "true", code=2
    )
    assert "NOPE is not a signal" in done.stderr


def test_watching_imports_no_pydantic(here: Here) -> None:
    done = here.sealpipe(
        "run", "dev/checkout", "--watch", "--", "true", PYTHONVERBOSE="", PYTHONPROFILEIMPORTTIME="1"
    )
    assert "pydantic" not in done.stderr
    assert "import time" in done.stderr
