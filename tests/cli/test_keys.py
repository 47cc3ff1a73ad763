"""`sealpipe keys`, `trust` and `connect` as typed: what is printed, what is written, who is refused."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from sealpipe.cli.main import main
from sealpipe.crypto import bech32
from sealpipe.crypto.keys import Identity, parse_private_key, parse_signing_key
from sealpipe.opening import document_keys
from sealpipe.pins import find_pins, store_pin
from team import ANNA, BEN, PROJECT, Team, git

SECRETS = {ANNA: b"\x01" * 32, BEN: b"\x02" * 32}


def key_text(identity: Identity) -> str:
    return bech32.encode("age-secret-key-", SECRETS[identity]).upper()


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Desk:
    """A person at a repository: `desk(...)` runs a command line."""

    def __init__(
        self, team: Team, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.team, self.capfd, self.monkeypatch = team, capfd, monkeypatch
        self.sit(ANNA)
        store_pin(os.environ, team.trust)

    def sit(self, identity: Identity) -> None:
        self.monkeypatch.setenv("SEALPIPE_KEY", key_text(identity))

    def __call__(self, *words: str) -> Said:
        self.capfd.readouterr()
        code = main(list(words))
        return Said(code, *self.capfd.readouterr())


@pytest.fixture
def desk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    here = Path.cwd()
    team = Team(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield Desk(team, capfd, monkeypatch)
    os.chdir(here)


def card_of_ben(desk: Desk) -> str:
    desk.sit(BEN)
    said = desk("keys", "new", "ben")
    desk.sit(ANNA)
    return said.out.strip()


def join_ben(desk: Desk, *environments: str) -> Said:
    safe = desk.team.root / ".sealpipe/safe.key"
    return desk(
        "keys", "grant", "ben", *environments, "--card", card_of_ben(desk), "--recovery-to", str(safe)
    )


class TestNew:
    def test_prints_a_card_and_nothing_else_on_stdout(self, desk: Desk) -> None:
        desk.monkeypatch.delenv("SEALPIPE_KEY")
        first = desk("keys", "new", "zoe")
        assert first.code == 0
        assert first.out.startswith("sealpipe-card-1 zoe age1")
        assert len(first.out.splitlines()) == 1
        path = Path(os.environ["HOME"], ".config/sealpipe/key.txt")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "AGE-SECRET-KEY" not in first.out + first.err
        again = desk("keys", "new", "zoe")
        assert again.out == first.out
        assert "nothing new was made" in again.err

    def test_a_machines_key_signs_and_opens_nothing(self, desk: Desk) -> None:
        said = desk("keys", "new", "ci", "--machine")
        assert parse_signing_key(said.out)
        card = next(line for line in said.err.splitlines() if "sealpipe-card-1" in line).split(maxsplit=1)[1]
        assert desk("trust", "add", "ci", "--card", card, "--publishes", "dev").code == 0
        trust = desk.team.load().trust
        assert trust is not None
        assert (trust.keys["ci"].kind, trust.keys["ci"].read) == ("machine", None)
        assert desk("keys", "grant", "ci", "dev").code == 2
        assert desk("keys", "new", "--machine").code == 2

    def test_dry_run_makes_nothing(self, desk: Desk) -> None:
        desk.monkeypatch.delenv("SEALPIPE_KEY")
        assert desk("keys", "new", "zoe", "--dry-run").code == 0
        assert not Path(os.environ["HOME"], ".config/sealpipe/key.txt").exists()


class TestGrant:
    def test_a_second_person(self, desk: Desk) -> None:
        said = join_ben(desk, "dev", "production")
        assert said.code == 0
        assert "granted    production: _all, _payments, checkout, mailer" in said.err
        assert "trust/roots.yaml" in said.err
        assert said.out == ""
        keyring = desk.team.load().keyrings["production"]
        assert "checkout" in document_keys(keyring, BEN.read)
        safe = desk.team.root / ".sealpipe/safe.key"
        assert stat.S_IMODE(safe.stat().st_mode) == 0o600
        assert parse_signing_key(safe.read_text())
        assert safe.read_text().strip() not in said.err

    def test_the_recovery_key_is_never_lost_silently(self, desk: Desk) -> None:
        """Without a terminal and without a file for it, nothing is written."""
        before = git(desk.team.root, "status", "--porcelain")
        said = desk("keys", "grant", "ben", "dev", "--card", card_of_ben(desk))
        assert said.code == 5
        assert "--recovery-to" in said.err
        assert git(desk.team.root, "status", "--porcelain") == before

    def test_dry_run_writes_nothing(self, desk: Desk) -> None:
        before = git(desk.team.root, "status", "--porcelain")
        said = desk("keys", "grant", "ben", "dev", "--card", card_of_ben(desk), "--dry-run")
        assert said.code == 0
        assert "would change  trust/dev.keyring.yaml" in said.err
        assert git(desk.team.root, "status", "--porcelain") == before

    def test_who_is_no_admin_is_refused(self, desk: Desk) -> None:
        join_ben(desk, "dev")
        desk.sit(BEN)
        said = desk("keys", "grant", "anna", "dev")
        assert said.code == 5
        assert "error[not-admin]" in said.err

    def test_without_a_pin_nothing_is_written(self, desk: Desk) -> None:
        card = card_of_ben(desk)
        (Path(os.environ["HOME"]) / ".config/sealpipe/pins.json").unlink()
        said = desk("keys", "grant", "ben", "dev", "--card", card)
        assert said.code == 6
        assert "error[no-pin]" in said.err

    def test_a_planted_reader_stops_every_writer(self, desk: Desk) -> None:
        path = desk.team.root / "trust/dev.keyring.yaml"
        path.write_text(path.read_text().replace("2026-05-04", "2026-05-05"))
        for words in (
            ("keys", "grant", "anna", "dev"),
            ("keys", "revoke", "anna"),
            ("keys", "renew", "dev"),
            ("connect", "dev/checkout"),
            ("trust", "add", "anna", "--publishes", "dev"),
        ):
            said = desk(*words)
            assert (said.code, "error[unsigned-keyring]" in said.err) == (6, True), words


class TestList:
    def test_text_and_json(self, desk: Desk) -> None:
        desk("connect", "production/checkout")
        text = desk("keys", "list", "production").out
        assert "anna" in text
        assert "(you)" in text
        assert "_all, _payments, checkout  for production/checkout" in text
        found = json.loads(desk("keys", "list", "--format", "json").out)
        [production] = [e for e in found["environments"] if e["environment"] == "production"]
        assert {r["name"]: r["kind"] for r in production["readers"]} == {
            "anna": "person",
            "checkout-1": "machine",
        }
        assert "AGE-SECRET" not in text

    def test_audit_finds_a_stale_seal(self, desk: Desk) -> None:
        file = desk.team.root / "environments/dev/checkout.yaml"
        old = file.read_text()
        assert desk("keys", "audit", "--exit-code").code == 0
        assert desk("keys", "renew", "dev/checkout").code == 0
        file.write_text(old)
        said = desk("keys", "audit", "--exit-code")
        assert said.code == 3
        assert "dev/checkout  db.password" in said.out
        assert "sealpipe seal dev/checkout" in said.err
        assert desk("seal", "dev/checkout").code == 0
        assert desk("keys", "audit", "--exit-code").code == 0
        assert desk("get", "dev/checkout", "db.password").out.strip() == "pw-dev"


class TestRevoke:
    def test_everywhere_with_a_checklist(self, desk: Desk) -> None:
        join_ben(desk, "dev", "production")
        desk.team.commit()
        said = desk("keys", "revoke", "ben", "--checklist", "list.md")
        assert said.code == 0
        assert said.out.splitlines() == [
            "dev/checkout          db.password",
            "production/_payments  psp.token",
            "production/checkout   db.password",
            "production/mailer     smtp.password",
        ]
        assert "sealpipe trust remove ben" in said.err
        assert (desk.team.root / "list.md").read_text().count("- [ ] ") == 4
        for environment in ("dev", "production"):
            assert document_keys(desk.team.load().keyrings[environment], BEN.read) == {}
        assert desk("get", "production/checkout", "db.password").out.strip() == "pw-production"
        assert desk("trust", "remove", "ben").code == 0
        assert desk.team.words() == []
        everything = "".join(p.read_text() for p in desk.team.root.rglob("*.yaml"))
        assert "pw-production" not in said.out + said.err + everything

    def test_a_machine_in_one_environment(self, desk: Desk) -> None:
        desk("connect", "production-eu/checkout")
        said = desk("keys", "revoke", "checkout-1", "--format", "json")
        assert said.code == 0
        assert {row["document"] for row in json.loads(said.out)["secrets"]} == {
            "production/_payments",
            "production/checkout",
            "production-eu/checkout",
        }

    def test_nobody_is_locked_out(self, desk: Desk) -> None:
        said = desk("keys", "revoke", "anna")
        assert (said.code, "error[last-one]" in said.err) == (5, True)


class TestConnect:
    def test_env_and_a_key_file(self, desk: Desk) -> None:
        said = desk("connect", "dev/checkout")
        assert said.code == 0
        lines = dict(line.removeprefix("export ").split("=", 1) for line in said.out.splitlines())
        assert lines["SEALPIPE_URL"] == f"file:{desk.team.root}/.sealpipe/store"
        assert (lines["SEALPIPE_ENV"], lines["SEALPIPE_SERVICE"]) == ("dev", "checkout")
        assert lines["SEALPIPE_TRUST"] == desk.team.pins()[0].text
        path = Path(lines["SEALPIPE_KEY_FILE"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        key = parse_private_key(path.read_text())
        assert "checkout" in document_keys(desk.team.load().keyrings["dev"], key)
        assert path.read_text().strip() not in said.out + said.err
        git(desk.team.root, "check-ignore", str(path))

    def test_the_key_goes_to_a_command_and_nowhere_else(self, desk: Desk) -> None:
        taker = desk.team.root / "taker.py"
        taker.write_text("import sys; open('taken', 'w').write(sys.stdin.read()); print('stored')")
        said = desk("connect", "dev/checkout", "--as", "k8s", "--key-to", f"{sys.executable} {taker}")
        assert said.code == 0
        assert "stored" in said.err
        assert "stored" not in said.out
        secret = (desk.team.root / "taken").read_text().strip()
        assert parse_private_key(secret)
        assert secret not in said.out + said.err
        assert not (desk.team.root / ".sealpipe/keys").exists()
        assert 'SEALPIPE_KEY_FILE, value: "/run/secrets/checkout-key/key"' in said.out

    def test_a_command_that_fails_changes_nothing(self, desk: Desk) -> None:
        before = git(desk.team.root, "status", "--porcelain")
        said = desk("connect", "dev/checkout", "--key-to", "false now")
        assert said.code == 1
        assert git(desk.team.root, "status", "--porcelain") == before

    @pytest.mark.parametrize("kind", ["env", "docker", "k8s", "systemd", "github"])
    def test_every_snippet_names_all_and_holds_no_key(self, desk: Desk, kind: str) -> None:
        said = desk("connect", "production/checkout", "--as", kind)
        for name in ("URL", "ENV", "SERVICE", "TRUST", "KEY"):
            assert f"SEALPIPE_{name}" in said.out
        assert "AGE-SECRET" not in said.out + said.err
        if kind in ("docker", "k8s", "github"):
            assert isinstance(yaml.safe_load(said.out), dict)

    def test_a_key_is_never_overwritten(self, desk: Desk) -> None:
        (desk.team.root / "k").write_text("mine")
        said = desk("connect", "dev/checkout", "--key-to", "./k")
        assert said.code == 2
        assert (desk.team.root / "k").read_text() == "mine"


class TestTrust:
    def test_show(self, desk: Desk) -> None:
        said = desk("trust", "show")
        assert f"SEALPIPE_TRUST={desk.team.pins()[0].text}" in said.out
        assert "signed by anna" in said.out
        found = json.loads(desk("trust", "show", "--format", "json").out)
        assert found["trust"]["project"] == PROJECT
        assert found["signed_by"] == ["anna"]

    def test_a_machines_new_key_is_alone_on_stdout(self, desk: Desk) -> None:
        said = desk("trust", "add", "ci", "--new", "--publishes", "production")
        assert said.code == 0
        assert len(said.out.splitlines()) == 1
        key = parse_signing_key(said.out)
        trust = desk.team.load().trust
        assert trust is not None
        assert trust.keys["ci"].sign == key.public
        assert trust.environments["production"].publishers.of == ("anna", "ci")
        assert said.out.strip() not in said.err
        replaced = desk("trust", "add", "ci", "--new", "--replace", "--publishes", "production")
        assert replaced.code == 0
        assert replaced.out != said.out
        assert desk("trust", "add", "ci", "--new").code == 5
        assert desk.team.words() == []

    def test_two_admins_sign(self, desk: Desk) -> None:
        join_ben(desk, "dev")
        assert desk("trust", "add", "ben", "--admin", "dev", "--root").code == 0
        desk.team.commit()
        said = desk("trust", "admins", "dev", "--need", "2")
        assert said.code == 0
        assert "the keyring of dev; its admins run: sealpipe trust sign" in said.err
        assert desk.team.words() == ["unsigned-keyring"]
        desk.sit(BEN)
        asked = desk("trust", "sign")
        assert (asked.code, "--yes" in asked.err) == (5, True)
        assert desk("trust", "sign", "--yes").code == 0
        assert desk.team.words() == []
        assert "error[nothing-to-sign]" in desk("trust", "sign", "--yes").err

    def test_sign_shows_what_changed(self, desk: Desk) -> None:
        join_ben(desk, "dev")
        desk("trust", "add", "ben", "--root")
        desk.team.commit()
        assert desk("trust", "admins", "--root", "--need", "2").code == 0
        desk.sit(BEN)
        said = desk("trust", "sign", "--yes")
        assert "root            anna, safe, ben  →  2 of anna, safe, ben" in said.err
        assert desk.team.words() == []

    def test_the_recovery_key_signs_a_new_admin(self, desk: Desk) -> None:
        join_ben(desk, "dev")
        desk.team.commit()
        safe = desk.team.root / ".sealpipe/safe.key"
        desk.monkeypatch.delenv("SEALPIPE_KEY")
        desk.monkeypatch.setenv("SEALPIPE_SIGNING_KEY_FILE", str(safe))
        card = desk("keys", "new", "anna2").out.strip()
        said = desk("trust", "add", "anna2", "--card", card, "--admin", "production")
        assert said.code == 0, said.err
        assert desk.team.words() == []

    def test_usage(self, desk: Desk) -> None:
        for words in (
            ("trust", "admins"),
            ("trust", "admins", "dev"),
            ("trust", "admins", "--root", "--protected"),
            ("trust", "add", "zoe"),
            ("trust", "add", "x", "--new", "--card", "y"),
            ("trust", "add", "x", "--card", "y"),
            ("trust", "remove", "zoe"),
            ("connect", "dev/nothing"),
            ("connect", "base/checkout"),
            ("connect", "nowhere/checkout"),
            ("keys", "grant", "anna", "nowhere"),
            ("keys", "grant", "zoe", "dev"),
            ("keys", "list", "nowhere"),
            ("keys", "renew", "nowhere"),
            ("keys", "renew", "dev/nothing"),
        ):
            said = desk(*words)
            assert said.code == 2, (words, said.err)
            assert "Traceback" not in said.err
            assert said.out == ""


class TestPins:
    def test_the_version_of_the_target_branch_is_remembered(self, desk: Desk) -> None:
        desk("trust", "add", "ci", "--new", "--publishes", "dev")
        desk("keys", "grant", "anna", "dev")
        assert find_pins(os.environ, PROJECT)[0].min_version == 1
        desk.team.commit()
        desk("keys", "grant", "anna", "dev")
        assert find_pins(os.environ, PROJECT)[0].min_version == 2

    def test_the_newest_root_is_pinned_once_it_is_on_the_target_branch(self, desk: Desk) -> None:
        old = find_pins(os.environ, PROJECT)[0].digest
        join_ben(desk, "dev")
        desk("keys", "list")
        desk("keys", "grant", "ben", "dev")
        assert find_pins(os.environ, PROJECT)[0].digest == old
        desk.team.commit()
        desk("keys", "grant", "ben", "dev")
        assert find_pins(os.environ, PROJECT)[0].digest != old
        (desk.team.root / "trust/roots.yaml").unlink()
        assert desk("keys", "grant", "ben", "dev").code == 0
