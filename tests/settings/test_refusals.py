"""Every way a service refuses to start: a folder each in `cases/refusals-service`, in a real process.

`steps.txt` has the steps of `refusing.py`, and

    served                      publish dev/checkout, make the service's key, set its SEALPIPE_* variables
    settings TEXT               the classes of the service (`\\n` for line ends); `Settings` is loaded
    cache                       start once with a cache that then has what is published
    publish-again               the same with db.pool_max 21
    cut FILE                    without its last bytes
    unset NAME                  take a variable away
    start CODE                  start the service; it must end with this code

`expected.txt` is its stderr.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from refusing import Case, Refused, files
from shipping import Done, Shop

CASES = Path(__file__).parent.parent / "cases" / "refusals-service"
NAMES = sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())
PIPELINE = str(Path(__file__).parents[2] / "pipeline")
SECRETS = ("pw-dev", "another-dev", "canary")
_HEAD = """\
from typing import Any, Literal
from pydantic import BaseModel, Field, Secret, SecretStr, field_validator
from sealpipe import PublishedConfigDict, PublishedSettings, load_or_exit
"""
_GOOD = """\
class Http(BaseModel):
    timeout_s: int
class Db(BaseModel):
    pool_max: int
    password: SecretStr
class Settings(PublishedSettings):
    http: Http
    db: Db
    features: dict[str, bool] = {}
"""
_TAIL = "\nload_or_exit(Settings)\nprint('started')\n"


class ServiceCase(Case):
    """A shop with a service that reads it."""

    settings = _GOOD

    def play(self, steps: str) -> Refused:
        """Play the steps up to the start."""
        self.shop.become("anna")
        for line in steps.splitlines():
            verb, _, rest = line.partition(" ")
            if verb == "start":
                before = files(self.shop)
                return Refused(int(rest), self.start(), before, files(self.shop))
            self.step(verb, rest)
        raise AssertionError("the last step must be `start`")

    def start(self) -> Done:
        """Run the service: its exit code, stdout and stderr."""
        program = Path(os.environ["HOME"], "service.py")
        program.write_text(_HEAD + self.settings + _TAIL)
        environ = {
            name: text
            for name, text in os.environ.items()
            if name.startswith(("SEALPIPE_", "CHECKOUT_")) or name in ("PATH", "HOME", "LANG")
        }
        done = subprocess.run(
            [sys.executable, str(program)],
            env={**environ, "PYTHONPATH": PIPELINE},
            cwd=self.shop.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def said(self, text: str) -> str:
        text = super().said(text)
        return re.sub(
            r"(?<=\()[0-9a-f]{6}(?=\))", "<id>", re.sub(r"\d+ tr(?:ies|y) in \d\.\d s", "<tries>", text)
        )

    def _served(self) -> None:
        key = Path(os.environ["HOME"], "service.key")
        done = self.shop.ok("connect", "dev/checkout", "--key-to", str(key))
        self.shop.commit()
        self.shop.ok("publish", "dev")
        self.shop.become("")
        for line in done.out.splitlines():
            name, _, text = line.removeprefix("export ").partition("=")
            if name.startswith("SEALPIPE_"):
                self._env(name, *shlex.split(text.split("   #")[0]))

    def _settings(self, text: str) -> None:
        self.settings = text

    def _cache(self) -> None:
        self._env("SEALPIPE_CACHE", os.environ["HOME"] + "/cache")
        done = self.start()
        assert (done.code, done.out) == (0, "started\n"), done

    def _publish_again(self) -> None:
        self.shop.set("environments/dev/checkout.yaml", "pool_max: 20", "pool_max: 21")
        key = os.environ.get("SEALPIPE_KEY_FILE", "")
        self.shop.ok("publish", "dev", by="anna")
        self.shop.become("")
        self._env("SEALPIPE_KEY_FILE", key)

    def _cut(self, file: str) -> None:
        path = Path(self.shop.root, file)
        path.write_bytes(path.read_bytes()[:-100])

    def _unset(self, name: str) -> None:
        self.shop.patch.delenv(name)


@pytest.mark.parametrize("name", NAMES)
def test_refuses_to_start_with_exactly_this_text(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    case = ServiceCase(Shop(folder, monkeypatch, capsys))
    refused = case.play((CASES / name / "steps.txt").read_text())
    assert refused.done.code == refused.code, refused.done
    assert case.said(refused.done.err) == (CASES / name / "expected.txt").read_text()
    assert refused.done.out == ""
    for text in ("Traceback", "ENC[", "pydantic", *SECRETS):
        assert text not in refused.done.err
    assert not re.search(r"-KEY-1[A-Z0-9]", refused.done.err)
    assert refused.after == refused.before


def test_what_is_published_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All the cases differ from a service that starts in what they name, and in nothing else."""
    folder = tmp_path / "shop"
    folder.mkdir()
    case = ServiceCase(Shop(folder, monkeypatch, capsys))
    case.shop.become("anna")
    case.step("served", "")
    assert case.start()[:2] == (0, "started\n")
