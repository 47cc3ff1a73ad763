"""`init` and `add`: what they make, what they leave alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from terminal import Terminal, new_repository

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def shop(tmp_path: Path) -> Terminal:
    return new_repository(tmp_path / "shop")


class TestInit:
    def test_outside_git(self, tmp_path: Path, clean_surroundings: Path) -> None:
        done = Terminal(tmp_path)("init", "--name", "anna")
        assert done.out == ""
        assert done.err == (
            "key        made your key ~/.config/sealpipe/key.txt "
            "(only you can read it; keep a copy in a safe place)\n"
            "wrote      sealpipe.yaml · trust/ (you are admin and publisher) · "
            "environments/base, environments/dev\n"
            "           .gitattributes .gitignore\n"
            "next       sealpipe add service checkout --in dev\n"
            "           sealpipe set dev/checkout db.password --secret\n"
            "           sealpipe publish dev\n"
            "           sealpipe run dev/checkout -- python app.py\n"
        )
        key = clean_surroundings / ".config/sealpipe/key.txt"
        assert key.stat().st_mode & 0o777 == 0o600
        assert key.parent.stat().st_mode & 0o777 == 0o700
        assert not (tmp_path / ".git").exists()
        Terminal(tmp_path)("validate")
        Terminal(tmp_path)("doctor")
        assert "AGE-SECRET-KEY" not in done.err
        assert all(b"AGE-SECRET-KEY" not in data for data in Terminal(tmp_path).files().values())

    def test_a_second_time_is_refused_and_changes_nothing(self, shop: Terminal) -> None:
        before = shop.files()
        assert "error[exists]" in shop.fail(5, "init").err
        assert shop.files() == before

    def test_in_a_folder_that_is_made(self, tmp_path: Path) -> None:
        done = Terminal(tmp_path)("init", "conf/prod", "--name", "anna")
        assert "next       cd conf/prod\n" in done.err
        assert (tmp_path / "conf/prod/sealpipe.yaml").is_file()
        assert "error[usage]" in Terminal(tmp_path).fail(2, "init", "conf/prod/sealpipe.yaml").err

    def test_dry_run_makes_nothing_not_even_a_key(self, tmp_path: Path, clean_surroundings: Path) -> None:
        done = Terminal(tmp_path)("init", "new", "--dry-run")
        assert "would write  sealpipe.yaml\n" in done.err
        assert list(tmp_path.iterdir()) == []
        assert not (clean_surroundings / ".config").exists()

    def test_an_age_key_is_used(self, tmp_path: Path, clean_surroundings: Path) -> None:
        new_repository(tmp_path / "first")
        ours = clean_surroundings / ".config/sealpipe/key.txt"
        sops = clean_surroundings / ".config/sops/age/keys.txt"
        sops.parent.mkdir(parents=True)
        ours.rename(sops)
        done = Terminal(tmp_path)("init", "second")
        assert done.err.startswith(
            "key        found your age key ~/.config/sops/age/keys.txt; using it (nothing new to keep safe)\n"
        )
        assert not ours.exists()
        sops.rename(tmp_path / "mine.txt")
        done = Terminal(tmp_path)("init", "third", "--key", "mine.txt")
        assert not ours.exists()
        assert f"           export SEALPIPE_KEY_FILE={tmp_path}/mine.txt\n" in done.err

    def test_existing_files_of_git_are_added_to(self, tmp_path: Path) -> None:
        terminal = Terminal(tmp_path)
        terminal.write(".gitignore", "*.pyc\n.sealpipe/")
        terminal.write(".gitattributes", "* text=auto\n")
        terminal("init")
        assert terminal.text(".gitignore") == "*.pyc\n.sealpipe/\n*.local.yaml\n"
        assert terminal.text(".gitattributes").startswith("* text=auto\n# Files under trust/")

    def test_the_hook_stops_an_invalid_commit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        git(tmp_path, "init", "-q")
        command = tmp_path / "bin/sealpipe"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nPYTHONPATH={PIPELINE} exec {sys.executable} -m sealpipe "$@"\n')
        command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
        shop = Terminal(tmp_path)
        done = shop("init")
        assert "a pre-commit hook that runs `sealpipe validate --changed-since HEAD`" in done.err
        shop("add", "service", "checkout", "--in", "dev")
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", "one")
        shop.write("environments/dev/checkout.yaml", "wrong: 1\n")
        git(tmp_path, "add", "-A")
        done2 = subprocess.run(
            ["git", "commit", "-qm", "two"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done2.returncode != 0
        assert "unknown-key" in done2.stdout + done2.stderr
        shop.write("environments/dev/checkout.yaml", "# nothing\n")
        git(tmp_path, "commit", "-qam", "two")

    def test_a_hook_of_yours_is_kept(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "-q")
        hook = tmp_path / ".git/hooks/pre-commit"
        hook.write_text("#!/bin/sh\n")
        done = Terminal(tmp_path)("init")
        assert hook.read_text() == "#!/bin/sh\n"
        assert "your pre-commit hook was kept" in done.err

    def test_a_hooks_folder_of_all_repositories_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "hooks").mkdir()
        repository = tmp_path / "repository"
        repository.mkdir()
        git(repository, "init", "-q")
        git(repository, "config", "core.hooksPath", str(tmp_path / "hooks"))
        done = Terminal(repository)("init")
        assert list((tmp_path / "hooks").iterdir()) == []
        assert "no hook was put into it" in done.err

    def test_below_the_top_of_git(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "-q")
        Terminal(tmp_path)("init", "conf")
        assert "sealpipe -C conf validate" in (tmp_path / ".git/hooks/pre-commit").read_text()

    def test_github_workflows(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "-q")
        shop = Terminal(tmp_path)
        shop.write(".github/CODEOWNERS", "* @me\n")
        shop("init", "--github")
        assert (tmp_path / ".github/workflows/config-check.yml").is_file()
        assert shop.text(".github/CODEOWNERS") == "* @me\n"
        shop("add", "environment", "staging", "--publish-to", "file:/srv/staging")
        shop("init", "--github")  # again: the workflows follow sealpipe.yaml, what people wrote stays
        assert "environment: [staging]" in shop.text(".github/workflows/config-publish.yml")
        assert shop.text(".github/CODEOWNERS") == "* @me\n"

    def test_the_root_is_pinned(self, shop: Terminal, clean_surroundings: Path) -> None:
        pins = json.loads((clean_surroundings / ".config/sealpipe/pins.json").read_text())
        assert len(pins) == 1
        entry = next(iter(pins.values()))
        assert entry["pin"].startswith("st1-")
        assert entry["version"] == 1


class TestAddService:
    def test_what_it_makes(self, shop: Terminal) -> None:
        done = shop("add", "service", "checkout", "--in", "dev")
        assert "environments/dev/checkout.yaml\n" in done.err
        assert json.loads(shop.text("schemas/checkout.schema.json"))["additionalProperties"] is False
        assert shop.text("environments/base/checkout.yaml").startswith("# checkout")
        assert "  checkout:\n" in shop.text("trust/dev.keyring.yaml")
        shop("validate")
        before = shop.files()
        assert "error[exists]" in shop.fail(5, "add", "service", "checkout", "--in", "dev").err
        assert "error[bad-name]" in shop.fail(2, "add", "service", "Check_", "--in", "dev").err
        assert "error[unknown-environment]" in shop.fail(2, "add", "service", "x", "--in", "qa").err
        assert "error[abstract-environment]" in shop.fail(2, "add", "service", "x", "--in", "base").err
        shop("add", "service", "x", "--dry-run")
        assert shop.files() == before

    def test_values_become_layers_types_and_sealed_secrets(self, shop: Terminal) -> None:
        shop.write(
            "in.yaml", "db: {host: db.internal, pool_max: 10, password: canary-password}\nhosts: [a, b]\n"
        )
        done = shop("add", "service", "mailer", "--in", "dev", "--from", "in.yaml")
        assert "sealed     db.password\n" in done.err
        assert "canary-password" not in shop.text("environments/dev/mailer.yaml")
        assert "canary" not in shop.text("environments/base/mailer.yaml")
        assert shop("get", "dev/mailer", "db.password").out == "canary-password\n"
        assert json.loads(shop("get", "dev/mailer", "hosts").out) == ["a", "b"]
        shop("validate")
        assert "error[wrong-type]" in shop.fail(4, "set", "dev/mailer", "db.pool_max", "x").err

    def test_a_schema_from_a_pydantic_class(self, shop: Terminal) -> None:
        shop.write(
            "shop_settings.py",
            "from pydantic import BaseModel, SecretStr\n"
            "class Db(BaseModel):\n    host: str\n    password: SecretStr = SecretStr('default-canary')\n"
            "class Checkout(BaseModel):\n    db: Db\n    port: int = 8080\n",
        )
        done = shop("add", "service", "checkout", "--schema", "shop_settings:Checkout")
        assert "missing    db.host\n" in done.err
        assert "next       sealpipe set dev/checkout db.host\n" in done.err
        text = shop.text("schemas/checkout.schema.json")
        assert "canary" not in text
        assert text.count('"additionalProperties": false') == 2
        shop("set", "dev/checkout", "db.host", "h")
        shop("set", "dev/checkout", "db.password", stdin=b"typed")
        shop("validate")
        done = shop("set", "dev/checkout", "port", "9090")
        assert "schema " not in done.err

    def test_a_settings_class_of_a_service(self, shop: Terminal) -> None:
        shop.write(
            "service.py",
            "from pathlib import Path\n"
            "from typing import Annotated, Literal\n"
            "from pydantic import BaseModel, Field, HttpUrl, Secret, SecretBytes, SecretStr\n"
            "from sealpipe import PublishedSettings\n"
            "class Cash(BaseModel):\n    kind: Literal['cash']\n"
            "class Card(BaseModel):\n    kind: Literal['card']\n    key: SecretStr\n"
            "class Settings(PublishedSettings):\n"
            "    url: HttpUrl = HttpUrl('https://x.example')\n"
            "    folder: Path = Path('/tmp')\n"
            "    pin: Secret[int] | None = None\n"
            "    blob: SecretBytes | None = None\n"
            "    tags: dict[str, int] = {}\n"
            "    pay: Annotated[Cash | Card, Field(discriminator='kind')] = Cash(kind='cash')\n",
        )
        shop("add", "service", "checkout", "--schema", "service:Settings")
        shop("set", "dev/checkout", "folder", "/srv")
        shop("set", "dev/checkout", "pay.kind", "card")
        shop("set", "dev/checkout", "pay.key", stdin=b"sealed")
        shop("set", "dev/checkout", "blob", stdin=b"sealed")
        done = shop.run("validate")
        assert done.code == 0, done.out
        assert "error[secret-on-command-line]" in shop.fail(2, "set", "dev/checkout", "pin", "1").err

    @pytest.mark.parametrize("name", ["nothing_here:X", "json:Nothing", "json:loads", "not a name"])
    def test_a_class_that_is_none(self, shop: Terminal, name: str) -> None:
        before = shop.files()
        shop.fail(2, "add", "service", "checkout", "--in", "dev", "--schema", name)
        assert shop.files() == before

    def test_where_it_runs_must_be_said_when_there_is_a_choice(self, shop: Terminal) -> None:
        shop("add", "environment", "staging", "--publish-to", "file:.sealpipe/store")
        done = shop.fail(2, "add", "service", "checkout")
        assert "hint: sealpipe add service checkout --in dev\n" in done.err
        shop("add", "service", "checkout", "--in", "dev,staging")
        assert (shop.folder / "environments/staging/checkout.yaml").is_file()
        shop("validate")


class TestAddEnvironment:
    def test_the_entry_is_spliced_in_and_everything_is_signed(self, shop: Terminal) -> None:
        before = shop.text("sealpipe.yaml")
        shop("add", "environment", "staging", "--publish-to", "file:.sealpipe/store")
        after = shop.text("sealpipe.yaml")
        assert after.startswith(before)
        assert after.endswith("  staging:\n    publish_to: file:.sealpipe/store\n")
        shop("validate")
        shop("add", "service", "checkout", "--in", "staging")
        shop("set", "staging/checkout", "a.key", "--secret", stdin=b"for-staging")
        assert shop("get", "staging/checkout", "a.key").out == "for-staging\n"

    def test_a_layer_only_needs_no_trust(self, shop: Terminal) -> None:
        shop("add", "environment", "shared")
        assert not (shop.folder / "trust/shared.keyring.yaml").exists()
        shop("validate")

    def test_inheriting(self, shop: Terminal) -> None:
        shop("add", "service", "checkout", "--in", "dev")
        shop("set", "dev/checkout", "a", "1")
        shop(
            "add", "environment", "dev-eu", "--extends", "dev", "--inherit-services",
            "--publish-to", "file:.sealpipe/eu",
        )  # fmt: skip
        assert shop("get", "dev-eu/checkout", "a").out == "1\n"
        shop("validate")

    def test_refusals(self, shop: Terminal) -> None:
        before = shop.files()
        assert "error[exists]" in shop.fail(5, "add", "environment", "dev").err
        assert "error[bad-name]" in shop.fail(2, "add", "environment", "Dev").err
        assert "error[unknown-environment]" in shop.fail(2, "add", "environment", "x", "--extends", "y").err
        done = shop.fail(4, "add", "environment", "x", "--publish-to", "consul://user:pass-canary@host/x")
        assert "canary" not in done.err
        assert shop.files() == before

    def test_only_root_and_admins_may(self, shop: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEALPIPE_TRUST", json.loads(shop("trust", "show", "--format", "json").out)["pin"])
        monkeypatch.setenv("XDG_CONFIG_HOME", str(shop.folder.parent / "ben"))
        shop("keys", "new", "ben")
        before = shop.files()
        shop.fail(2, "add", "environment", "qa", "--publish-to", "file:x")
        assert "error[not-admin]" in shop.fail(5, "add", "service", "checkout", "--in", "dev").err
        assert shop.files() == before
        monkeypatch.undo()
