"""What `connect` prints for a platform, held against what the platform takes; completion in real shells."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.cli.programs import Here, copy, make

from sealpipe.cli.render.text_connect import snippet

BIN = Path(sys.executable).parent
VARIABLES = {
    "SEALPIPE_URL": "consul+https://a:8501,b:8501/shop?token=$x%20{y}&dc='eu' file:/srv/a\\b",
    "SEALPIPE_ENV": "production",
    "SEALPIPE_SERVICE": "shop-api",
    "SEALPIPE_TRUST": "st1-abc@7,st1-def",
}
KEY = "/srv/my keys/50%$HOME,shop.key"


def text(kind: str, key_file: str = "") -> str:
    return "\n".join(snippet(kind, VARIABLES, "shop-api", key_file)) + "\n"


def done(*words: str | Path, **more: object) -> str:
    ran = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, timeout=60, **more)  # type: ignore[call-overload]
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return str(ran.stdout)


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_shell_exports_what_was_meant(shell: str) -> None:
    program = text("env", KEY) + 'printf "%s\\n" "$SEALPIPE_URL" "$SEALPIPE_TRUST" "$SEALPIPE_KEY_FILE"'
    assert done(shell, "-c", program).splitlines() == [
        VARIABLES["SEALPIPE_URL"],
        VARIABLES["SEALPIPE_TRUST"],
        KEY,
    ]


@pytest.mark.parametrize("key_file", ["", KEY])
def test_docker_compose(key_file: str, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    given = text("docker", key_file)
    file.write_text(given.replace("  shop-api:\n", "  shop-api:\n    image: shop\n", 1))
    done(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    service = yaml.safe_load(given)["services"]["shop-api"]
    assert service["environment"]["SEALPIPE_URL"].replace("$$", "$") == VARIABLES["SEALPIPE_URL"]
    compose = shutil.which("docker-compose")
    if compose is not None:  # what it makes of the file itself, where it is installed
        file.write_text("version: '3.8'\n" + file.read_text())
        read = yaml.safe_load(
            done(compose, "-f", file, "config", env={"PATH": os.environ["PATH"], "x": "no"})
        )
        told = read["services"]["shop-api"]["environment"]["SEALPIPE_URL"]
        assert told.replace("$$", "$") == VARIABLES["SEALPIPE_URL"]
        if key_file:
            assert read["secrets"]["shop-api-key"]["file"].replace("$$", "$") == KEY


def test_kubernetes_containers_and_volumes() -> None:
    parts = yaml.safe_load(text("k8s").replace("# in the pod:\n", ""))
    assert {one["name"]: one["value"] for one in parts["env"]}["SEALPIPE_URL"] == VARIABLES["SEALPIPE_URL"]
    mounted = {one["name"]: one["mountPath"] for one in parts["volumeMounts"]}
    assert mounted.keys() == {one["name"] for one in parts["volumes"]}
    found = {one["name"]: one["value"] for one in parts["env"]}
    assert found["SEALPIPE_KEY_FILE"].startswith(mounted["shop-api-key"])
    assert found["SEALPIPE_CACHE"] == mounted["shop-api-cache"]


@pytest.mark.parametrize("key_file", ["", KEY, "/etc/shop.key"])
def test_systemd(key_file: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    unit = tmp_path / "shop-api.service"
    unit.write_text(f"[Unit]\nDescription=shop\n{text('systemd', key_file)}ExecStart=/bin/true\n")
    ran = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    about = [line for line in ran.stderr.splitlines() if "shop-api" in line]
    assert (ran.returncode, about) == (0, []), ran.stderr


def test_github(tmp_path: Path) -> None:
    """In a job of a workflow: the schema takes it, and zizmor has nothing to say of it."""
    inside = "".join(f"    {line}\n" for line in text("github").splitlines())
    file = tmp_path / ".github/workflows/shop.yml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "name: shop\non: {push: {branches: [main]}}\npermissions: {}\njobs:\n  start:\n    name: start\n"
        f"    runs-on: ubuntu-24.04\n    environment: production\n{inside}    steps:\n      - run: ./start\n"
    )
    job = yaml.safe_load(file.read_text())["jobs"]["start"]
    assert job["env"]["SEALPIPE_URL"] == VARIABLES["SEALPIPE_URL"]
    assert job["env"]["SEALPIPE_KEY"] == "${{ secrets.SHOP_API_KEY }}"
    done(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", file)
    done(BIN / "zizmor", "--offline", "--no-progress", tmp_path)


# ---- completion, where a person presses Tab


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return make(tmp_path_factory.mktemp("completion"))


@pytest.fixture
def here(made: Here, tmp_path: Path) -> Here:
    return copy(made, tmp_path)


class Typing:
    """An interactive shell behind a terminal of its own."""

    def __init__(self, words: list[str], folder: Path, environ: dict[str, str]) -> None:
        self._terminal, theirs = pty.openpty()
        self.shell = subprocess.Popen(
            words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environ, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def until(self, wanted: str, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while wanted not in self.seen:
            ready, _, _ = select.select([self._terminal], [], [], 0.1)
            if ready:
                self.seen += os.read(self._terminal, 65536).decode("utf-8", "replace")
            assert time.monotonic() < end, f"{wanted!r} did not come: {self.seen[-600:]!r}"

    def completes(self, typed: str, wanted: str) -> None:
        """Ctrl-U at the end leaves the line empty for the next."""
        self.seen = ""
        self.type(typed + "\t")
        self.until(wanted)
        self.type("\x15")

    def end(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self._terminal)


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], ""),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -u -d ./.zdump\n"),
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, here: Here) -> Iterator[Typing]:
    words, before = SHELLS[request.param]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not here: apt-get install {words[0]}")
    (here.root / "complete").write_text(before + here.sealpipe("completion", request.param).stdout)
    environ = {**here.environ(), "TERM": "dumb", "PS1": "> ", "LC_ALL": "C.UTF-8"}
    typing = Typing(words, here.root, environ)
    try:
        typing.type("PS1='> '; PROMPT='> '; . ./complete; echo rea''dy\n")
        typing.until("\nready")
        yield typing
    finally:
        typing.end()


def test_tab_in_bash_and_zsh(shell: Typing) -> None:
    shell.completes("sealpipe vali", "sealpipe validate")
    shell.completes("sealpipe schema comp", "sealpipe schema compat")
    shell.completes("sealpipe set dev/che", "dev/checkout")
    shell.completes("sealpipe -C . explain dev/che", "dev/checkout")
    shell.completes("sealpipe set --ran", "--random")


def test_tab_in_fish(here: Here) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not here: apt-get install fish")
    (here.root / "complete.fish").write_text(here.sealpipe("completion", "fish").stdout)

    def complete(line: str) -> list[str]:
        program = f"source complete.fish; complete -C '{line}'"
        told = done("fish", "--no-config", "-c", program, cwd=here.root, env=here.environ())
        return [row.split("\t")[0] for row in told.splitlines()]

    assert "validate" in complete("sealpipe vali")
    assert "compat" in complete("sealpipe schema comp")
    assert "dev/checkout" in complete("sealpipe set dev/che")
    assert "--random" in complete("sealpipe set --ran")
    assert "validate" not in complete("sealpipe set vali")
