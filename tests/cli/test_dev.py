"""`sealpipe dev` with real child processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.programs import SECRET, Here, copy, make


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return make(tmp_path_factory.mktemp("dev"))


@pytest.fixture
def here(made: Here, tmp_path: Path) -> Iterator[Here]:
    found = copy(made, tmp_path)
    yield found
    assert not list(found.memory.iterdir())


def look(here: Here) -> list[str]:
    return [sys.executable, str(here.home / "look.py")]


def seen_by(here: Here, *options: str, **more: str) -> dict[str, object]:
    done = here.sealpipe("dev", "dev/checkout", *options, "--", *look(here), **more)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def edit(here: Here, old: str, new: str) -> None:
    file = here.root / "environments/dev/checkout.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_program_gets_the_files_as_they_are(here: Here) -> None:
    edit(here, "db.internal", "not-published-yet")
    seen = seen_by(here)
    assert (seen["host"], seen["pool_max"], seen["password"]) == ("not-published-yet", 20, SECRET)
    assert seen["names"] == [f"SEALPIPE_{name}" for name in ("ENV", "KEY_FILE", "SERVICE", "TRUST", "URL")]


def test_a_local_layer_is_the_top_one(here: Here) -> None:
    local = here.root / "environments/dev/checkout.local.yaml"
    local.write_text("db:\n  host: localhost\n")
    seen = seen_by(here)
    assert (seen["host"], seen["pool_max"], seen["password"]) == ("localhost", 20, SECRET)
    assert "localhost" not in here.sealpipe("plan", "dev").stdout


def test_a_local_layer_is_validated_where_it_stands(here: Here) -> None:
    local = here.root / "environments/dev/checkout.local.yaml"
    local.write_text("db:\n  host: localhost\n  pool_max: many\n")
    done = here.sealpipe("dev", "dev/checkout", "--", "touch", "started", code=4)
    assert "error[wrong-type]: environments/dev/checkout.local.yaml:3" in done.stderr
    assert not (here.root / "started").exists()


def test_a_local_layer_has_no_name_of_its_own(here: Here) -> None:
    schema = here.root / "schemas/checkout.schema.json"
    text = json.loads(schema.read_text())
    text["properties"]["db"]["required"] = ["host"]
    schema.write_text(json.dumps(text))
    (here.root / "environments/dev/checkout.local.yaml").write_text("db:\n  host: null\n")
    done = here.sealpipe("dev", "dev/checkout", "--", "true", code=4)
    assert "error[missing-key]" in done.stderr
    assert "hint: sealpipe set dev/checkout db.host" in done.stderr
    assert "dev.local" not in done.stderr


@pytest.mark.parametrize("value", ["canary-value", "ENC[NACL1,type:str,data:AAAA]"])
def test_a_local_layer_holds_no_secret(here: Here, value: str) -> None:
    local = here.root / "environments/dev/checkout.local.yaml"
    local.write_text(f"db:\n  password: {value}\n")
    done = here.sealpipe("dev", "dev/checkout", "--", "true", code=4)
    assert "error[local-secret]: environments/dev/checkout.local.yaml:2" in done.stderr
    assert value not in done.stderr
    assert "sealpipe set dev/checkout db.password" in done.stderr


def test_what_is_not_valid_does_not_start(here: Here) -> None:
    edit(here, "pool_max: 20", "pool_max: many")
    done = here.sealpipe("dev", "dev/checkout", "--", "touch", "started", code=4)
    assert "environments/dev/checkout.yaml" in done.stderr
    assert not (here.root / "started").exists()


def test_unknown_units_and_missing_commands(here: Here) -> None:
    assert "error[unknown-service]" in here.sealpipe("dev", "dev/nosuch", "--", "true", code=2).stderr
    assert "error[usage]" in here.sealpipe("dev", "dev/checkout", code=2).stderr


def test_secrets_are_made_up_only_when_asked_for(here: Here) -> None:
    (here.home / ".config/sealpipe/key.txt").unlink()
    done = here.sealpipe("dev", "dev/checkout", "--", "true", code=6)
    assert "your key does not open db.password" in done.stderr
    seen = seen_by(here, "--fake-secrets")
    assert seen["password"] == "fake"


def test_made_up_secrets_fit_the_schema(here: Here) -> None:
    (here.home / ".config/sealpipe/key.txt").unlink()
    schema = here.root / "schemas/checkout.schema.json"
    text = json.loads(schema.read_text())
    text["properties"]["db"]["properties"]["password"]["minLength"] = 32
    schema.write_text(json.dumps(text))
    assert len(str(seen_by(here, "--fake-secrets")["password"])) >= 32


def test_a_key_that_opens_opens_also_with_fake_secrets(here: Here) -> None:
    assert seen_by(here, "--fake-secrets")["password"] == SECRET


WAIT = """
import sys, time
from sealpipe import Source
from sealpipe.client.start import start
last = None
while True:
    try:
        found = start(Source.from_env(), "m", lambda s: s).value
    except Exception as error:
        print("ERROR", error, flush=True)
        raise
    if found.release.digest != last:
        last = found.release.digest
        print(found.values["db"]["host"], found.release.payload.number, flush=True)
    if found.values["db"]["host"] == "end":
        sys.exit(3)
    time.sleep(0.05)
"""


def eventually(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_saved_changes_are_handed_on_and_broken_ones_are_not(here: Here) -> None:
    process = here.start("dev", "dev/checkout", "--", sys.executable, "-c", WAIT)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "db.internal 1\n"
    edit(here, "db.internal", "second")
    assert process.stdout.readline() == "second 2\n"
    edit(here, "pool_max: 20", "pool_max: many")
    lines: list[str] = []
    while "still as it was before" not in (line := process.stderr.readline()):
        lines.append(line)
    assert "error[wrong-type]" in "".join(lines)
    edit(here, "pool_max: many", "pool_max: 20")
    edit(here, "second", "end")
    assert process.stdout.readline() == "end 3\n"
    process.communicate(timeout=20)
    assert process.returncode == 3


def test_an_ide_gets_a_file_that_holds_no_secret(here: Here) -> None:
    process = here.start("dev", "dev/checkout", "--write", "ide")
    file = here.root / "ide/sealpipe.env"
    eventually(file.exists)
    text = file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert SECRET not in text
    assert "AGE-SECRET-KEY" not in text
    variables = dict(line.split("=", 1) for line in text.splitlines())

    done = subprocess.run(
        look(here), env=here.environ(**variables), capture_output=True, text=True, check=True, cwd=here.root
    )
    assert json.loads(done.stdout)["password"] == SECRET
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not file.exists()
