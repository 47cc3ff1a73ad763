"""`sealpipe run` with real child processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.programs import SECRET, Here, copy, make


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return make(tmp_path_factory.mktemp("run"))


@pytest.fixture
def here(made: Here, tmp_path: Path) -> Iterator[Here]:
    found = copy(made, tmp_path)
    yield found
    assert not list(found.memory.iterdir())


def look(here: Here) -> list[str]:
    return [sys.executable, str(here.home / "look.py")]


def test_a_program_gets_what_is_published_and_not_the_files(here: Here) -> None:
    here.sealpipe("set", "dev/checkout", "db.host", "not-published")
    done = here.sealpipe("run", "dev/checkout", "--", *look(here), "an argument", "--flag")
    seen = json.loads(done.stdout)
    assert (seen["host"], seen["pool_max"], seen["password"]) == ("db.internal", 20, SECRET)
    assert seen["argv"] == ["an argument", "--flag"]
    assert "overridden" not in done.stderr
    assert SECRET not in done.stderr


def test_your_key_does_not_reach_the_program(here: Here) -> None:
    key = (here.home / ".config/sealpipe/key.txt").read_text().splitlines()[-1]
    (here.home / ".config/sealpipe/key.txt").unlink()
    code = "import os, sys; print('\\n'.join(f'{k}={v}' for k, v in os.environ.items()), sys.argv)"
    done = here.sealpipe(
        "run",
        "dev/checkout",
        "--",
        sys.executable,
        "-c",
        code,
        SEALPIPE_KEY=key,
        SEALPIPE_SIGNING_KEY_CMD="false",
        SOPS_AGE_KEY=key,
    )
    assert key not in done.stdout
    assert "SOPS_AGE_KEY" not in done.stdout
    assert "SEALPIPE_SIGNING_KEY" not in done.stdout
    assert "SEALPIPE_KEY_FILE=/" in done.stdout


def test_programs_in_other_languages_get_variables(here: Here) -> None:
    line = 'echo "$CHECKOUT__DB__HOST $CHECKOUT__DB__POOL_MAX $CHECKOUT__DB__PASSWORD"'
    done = here.sealpipe("run", "dev/checkout", "--", "sh", "-c", line)
    assert done.stdout == f"db.internal 20 {SECRET}\n"


def test_a_variable_that_is_set_stays(here: Here) -> None:
    done = here.sealpipe("run", "dev/checkout", "--", *look(here), CHECKOUT__DB__POOL_MAX="5")
    assert json.loads(done.stdout)["pool_max"] == 5
    assert "db.pool_max is overridden by the variable CHECKOUT__DB__POOL_MAX" in done.stderr


def test_locked_values_are_not_overridden(here: Here) -> None:
    schema = here.root / "schemas/checkout.schema.json"
    text = json.loads(schema.read_text())
    text["properties"]["db"]["properties"]["host"]["x-locked"] = True
    schema.write_text(json.dumps(text))
    here.sealpipe("publish", "dev")
    assert json.loads(here.sealpipe("run", "dev/checkout", "--", *look(here)).stdout)["host"] == "db.internal"
    done = here.sealpipe("run", "dev/checkout", "--", "true", code=5, CHECKOUT__DB__HOST="evil")
    assert "error[locked]" in done.stderr
    assert "evil" not in done.stderr
    assert "unset CHECKOUT__DB__HOST" in done.stderr


def test_only_the_bootstrap(here: Here) -> None:
    done = here.sealpipe("run", "dev/checkout", "--bootstrap-only", "--", *look(here))
    seen = json.loads(done.stdout)
    assert seen["password"] == SECRET
    assert seen["names"] == [f"SEALPIPE_{name}" for name in ("ENV", "KEY_FILE", "SERVICE", "TRUST", "URL")]


@pytest.mark.parametrize("name", ["c.json", "c.yaml", "c.env"])
def test_a_file_in_memory_with_a_link_to_it(here: Here, name: str) -> None:
    line = (
        f"test -L {name} && cat {name} && stat -L -c %a {name} && readlink {name}; env | grep -c CHECKOUT__"
    )
    done = here.sealpipe("run", "dev/checkout", "--file", name, "--", "sh", "-c", line, code=None)
    text, mode, target, variables = done.stdout.rsplit("\n", 4)[:-1]
    assert SECRET in text
    if name != "c.env":
        assert json.loads(text)["db"] == {"host": "db.internal", "pool_max": 20, "password": SECRET}
    else:
        assert "CHECKOUT__DB__POOL_MAX='20'" in text
    assert (mode, variables) == ("600", "0")
    assert Path(target).is_relative_to(here.memory)
    assert not (here.root / name).is_symlink()
    assert not Path(target).exists()


def test_a_file_that_is_there_is_not_replaced(here: Here) -> None:
    (here.root / "c.json").write_text("mine")
    done = here.sealpipe("run", "dev/checkout", "--file", "c.json", "--", "true", code=5)
    assert "error[file-exists]" in done.stderr
    assert (here.root / "c.json").read_text() == "mine"
    assert (
        "error[usage]" in here.sealpipe("run", "dev/checkout", "--file", "c.ini", "--", "true", code=2).stderr
    )
    done = here.sealpipe("run", "dev/checkout", "--file", "none/c.json", "--", "true", code=2)
    assert "error[usage]: --file none/c.json: there is no folder none\n" in done.stderr


@pytest.mark.parametrize("code", [0, 1, 42])
def test_the_programs_code_is_ours(here: Here, code: int) -> None:
    here.sealpipe("run", "dev/checkout", "--", "sh", "-c", f"exit {code}", code=code)


def test_a_program_that_a_signal_ended(here: Here) -> None:
    here.sealpipe("run", "dev/checkout", "--", "sh", "-c", "kill -9 $$", code=137)


def test_programs_that_are_not_there(here: Here) -> None:
    (here.root / "data").write_text("x")
    assert "nosuch: No such file" in here.sealpipe("run", "dev/checkout", "--", "nosuch", code=127).stderr
    here.sealpipe("run", "dev/checkout", "--", "./data", code=126)
    assert "error[usage]" in here.sealpipe("run", "dev/checkout", code=2).stderr


TRAP = """
import os, signal, sys, time
def end(number, frame):
    os.write(1, b"got " + signal.Signals(number).name.encode() + b"\\n")
    sys.exit(9)
for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"):
    signal.signal(getattr(signal, name), end)
print(os.environ["SEALPIPE_KEY_FILE"], flush=True)
for _ in range(600):  # not one sleep: a signal just before its system call would wait for its end
    time.sleep(0.05)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_signals_are_passed_on_and_the_folder_is_swept(here: Here, name: str) -> None:
    process = here.start("run", "dev/checkout", "--", sys.executable, "-c", TRAP)
    assert process.stdout is not None
    key = Path(process.stdout.readline().strip())
    assert key.exists()
    assert key.parent.stat().st_mode & 0o077 == 0
    assert key.stat().st_mode & 0o077 == 0
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (9, f"got {name}\n"), err
    assert not key.parent.exists()


DEAF = """
import signal, sys, threading
from sealpipe.serving.serve import run_program
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
sys.exit(run_program([sys.executable, "-c", sys.argv[1]], {"SEALPIPE_KEY_FILE": "started"}))
"""


def test_a_signal_is_passed_on_also_when_it_interrupts_no_call() -> None:
    """One that comes just before the wait: here every one, since another thread is given it."""
    child = "import signal; signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])\n" + TRAP
    words = [sys.executable, "-c", DEAF, child]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (9, "got SIGTERM\n")


def test_secrets_are_in_no_argument_list(here: Here) -> None:
    process = here.start("run", "dev/checkout", "--", sys.executable, "-c", TRAP)
    assert process.stdout is not None
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (str(process.pid), *children):
        assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    process.terminate()
    process.communicate(timeout=20)


def test_what_was_edited_in_the_store_does_not_start(here: Here) -> None:
    head = next((here.root / ".sealpipe/store").rglob("heads/checkout"))
    head.write_bytes(head.read_bytes()[:-20] + b"x" * 20)
    done = here.sealpipe("run", "dev/checkout", "--", "touch", "started", code=6)
    assert "error[" in done.stderr
    assert not (here.root / "started").exists()


def test_what_was_never_published(here: Here) -> None:
    here.sealpipe("add", "service", "mailer", "--in", "dev")
    done = here.sealpipe("run", "dev/mailer", "--", "true", code=5)
    assert "error[not-published]" in done.stderr
    assert "hint: sealpipe publish dev/mailer\n" in done.stderr
    for words in (("run", "dev/nope", "--", "true"), ("watch", "dev/nope", "--once")):
        done = here.sealpipe(*words, code=2)
        assert "error[unknown-service]: there is no service `nope` in dev" in done.stderr
        assert "hint: sealpipe add service nope --in dev\n" in done.stderr


def test_who_is_no_reader(here: Here) -> None:
    (here.home / ".config/sealpipe/key.txt").unlink()
    done = here.sealpipe("run", "dev/checkout", "--", "true", code=6)
    assert "db.password" in done.stderr
    assert "--fake-secrets" in done.stderr
    done = here.sealpipe("run", "dev/checkout", "--fake-secrets", "--", *look(here))
    seen = json.loads(done.stdout)
    assert seen["host"] == "db.internal"
    assert seen["password"] != SECRET
    assert "made up: db.password" in done.stderr


def connected(here: Here) -> dict[str, str]:
    """The variables of a connected service, after its key is published."""
    key = str(here.home / "svc.key")
    words = ("connect", "dev/checkout", "--format", "json", "--key-to", key)
    variables: dict[str, str] = json.loads(here.sealpipe(*words).stdout)["env"]
    here.sealpipe("publish", "dev")
    return {**variables, "SEALPIPE_KEY_FILE": key}


def test_where_a_service_runs_no_repository_is_needed(here: Here, tmp_path: Path) -> None:
    variables = connected(here)
    elsewhere = Here(tmp_path / "elsewhere", tmp_path / "nobody")
    elsewhere.root.mkdir()
    elsewhere.home.mkdir()
    done = elsewhere.sealpipe("run", "dev/checkout", "--", *look(here), **variables)
    assert json.loads(done.stdout)["password"] == SECRET
    done = elsewhere.sealpipe("run", "dev/checkout", "--bootstrap-only", "--", *look(here), **variables)
    seen = json.loads(done.stdout)
    assert set(seen["names"]) == set(variables)


def test_a_services_codes(here: Here, tmp_path: Path) -> None:
    variables = connected(here)
    gone = {**variables, "SEALPIPE_URL": f"release:{tmp_path}/gone"}
    done = here.sealpipe("run", "dev/checkout", "--", "true", code=75, **gone)
    assert "error[no-release-file]" in done.stderr
    foreign = {**variables, "SEALPIPE_TRUST": "st1-" + "-".join(["qqqq"] * 13)}
    here.sealpipe("run", "dev/checkout", "--", "true", code=78, **foreign)


def test_a_service_key_in_a_repository_opens_with_its_own_boxes(here: Here) -> None:
    connected(here)
    (here.home / ".config/sealpipe/key.txt").unlink()
    key = {"SEALPIPE_KEY_FILE": str(here.home / "svc.key")}
    done = here.sealpipe("run", "dev/checkout", "--bootstrap-only", "--", *look(here), **key)
    seen = json.loads(done.stdout)
    assert seen["password"] == SECRET
    code = "import os; print(os.environ['SEALPIPE_URL'], os.environ['SEALPIPE_KEY_FILE'])"
    done = here.sealpipe("run", "dev/checkout", "--bootstrap-only", "--", sys.executable, "-c", code, **key)
    assert done.stdout.split() == [f"file:{here.root}/.sealpipe/store", str(here.home / "svc.key")]
