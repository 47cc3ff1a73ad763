"""`render`, `explain`, `diff`, `doctor`, `completion`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from terminal import Terminal, new_repository

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
SECRET = "hunter2-canary-value"


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def shop(tmp_path: Path) -> Terminal:
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    shop = new_repository(folder, "checkout")
    shop("set", "base/checkout", "db.pool_max", "10")
    shop("set", "dev/checkout", "db.pool_max", "20")
    shop("set", "dev/checkout", "db.password", "--secret", stdin=SECRET.encode())
    return shop


def commit(shop: Terminal, message: str) -> None:
    git(shop.folder, "add", "-A")
    git(shop.folder, "commit", "-qnm", message)


class TestRender:
    def test_secrets_are_named_and_opened_only_when_asked(self, shop: Terminal) -> None:
        done = shop("render", "dev/checkout")
        assert done.out == "db:\n  pool_max: 20\n  password: sealed (str)\n"
        assert (
            shop("render", "dev/checkout", "--reveal").out == f"db:\n  pool_max: 20\n  password: {SECRET}\n"
        )
        found = json.loads(shop("render", "dev/checkout", "--format", "json").out)
        assert found["values"] == {"db": {"pool_max": 20, "password": "sealed (str)"}}
        assert (found["schema_version"], found["sealed"]) == (1, ["/db/password"])

    def test_a_commit_and_what_is_published(self, shop: Terminal) -> None:
        commit(shop, "one")
        shop("publish", "dev")
        shop("set", "dev/checkout", "db.pool_max", "30")
        assert "pool_max: 20" in shop("render", "dev/checkout", "--at", "HEAD").out
        assert "pool_max: 20" in shop("render", "dev/checkout", "--published").out
        assert "pool_max: 30" in shop("render", "dev/checkout").out
        assert SECRET in shop("render", "dev/checkout", "--published", "--reveal").out
        assert shop("get", "dev/checkout", "db.pool_max", "--published").out == "20\n"
        assert "error[unknown-commit]" in shop.fail(2, "render", "dev/checkout", "--at", "nowhere").err
        shop.fail(2, "render", "dev/checkout", "--at", "HEAD", "--published")

    def test_who_cannot_read_reveals_nothing(self, shop: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(shop.folder.parent / "nobody"))
        done = shop.fail(6, "render", "dev/checkout", "--reveal")
        assert done.out == ""
        assert shop("render", "dev/checkout").out.endswith("sealed (str)\n")

    def test_units_that_do_not_exist(self, shop: Terminal) -> None:
        assert "hint: sealpipe add service x --in dev\n" in shop.fail(2, "render", "dev/x").err
        assert "error[abstract-environment]" in shop.fail(2, "render", "base/checkout").err
        assert "error[unknown-environment]" in shop.fail(2, "render", "qa/checkout").err


class TestExplain:
    def test_layers_winner_blame_schema_and_published(self, shop: Terminal) -> None:
        commit(shop, "pool for Black Friday")
        shop("publish", "dev")
        shop("set", "dev/checkout", "db.pool_max", "40")
        commit(shop, "more")
        head = git(shop.folder, "rev-parse", "--short=7", "HEAD").strip()
        lines = shop("explain", "dev/checkout", "db.pool_max").out.splitlines()
        assert lines[0] == "db.pool_max = 40"
        assert lines[2].split() == ["layer", "value"]
        assert lines[3].split() == ["environments/base/checkout.yaml:3", "10"]
        assert lines[4].startswith("▸ environments/dev/checkout.yaml:3")
        assert lines[4].endswith(f'{head} "more"')
        text = "\n".join(lines)
        assert "  schema     integer, no default    schemas/checkout.schema.json:" in text
        assert "  published  20 in #1 (differs: run `sealpipe plan dev`)" in text
        assert "a process may override it with CHECKOUT__DB__POOL_MAX" in text

    def test_a_secret(self, shop: Terminal) -> None:
        out = shop("explain", "dev/checkout", "db.password").out
        assert out.startswith("db.password = sealed (str)\n")
        assert "  who can open it  anna (people)\n" in out
        assert "string, secret" in out
        assert SECRET not in out
        found = json.loads(shop("explain", "dev/checkout", "db.password", "--format", "json").out)
        assert (found["state"], found["value"], found["people"]) == ("sealed", None, ["anna"])
        assert found["layers"][1]["kind"] == "sealed"
        assert found["schema"]["where"].startswith("schemas/checkout.schema.json:")

    def test_everything_of_a_service_or_a_map(self, shop: Terminal) -> None:
        assert shop("explain", "dev/checkout").out == (
            "db.pool_max  20            environments/dev/checkout.yaml:3\n"
            "db.password  sealed (str)  environments/dev/checkout.yaml:4\n"
        )
        assert shop("explain", "dev/checkout", "db").out == shop("explain", "dev/checkout").out

    def test_an_element_of_a_list_is_decided_with_its_list(self, shop: Terminal) -> None:
        shop("set", "base/checkout", "hosts", "[a, b, c]")
        shop("set", "dev/checkout", "hosts", "[x]")
        out = shop("explain", "dev/checkout", "hosts[0]").out
        assert out.startswith('hosts = ["x"]\n')
        assert "▸ environments/dev/checkout.yaml:" in out

    def test_our_own_keywords(self, shop: Terminal) -> None:
        file = shop.folder / "schemas/checkout.schema.json"
        schema = json.loads(file.read_text())
        db = schema["properties"]["db"]
        db["x-restart"] = db["x-locked"] = True
        db["properties"]["pool_max"] |= {
            "x-environment": True, "x-replaced-by": "db.pool", "x-removed-after": "2027-01-31",
        }  # fmt: skip
        db["properties"]["pool"] = {"type": "integer", "deprecated": True}
        file.write_text(json.dumps(schema))
        out = shop("explain", "dev/checkout", "db.pool_max").out
        assert "  on change     needs a restart (x-restart in the schema)\n" in out
        assert "  locked        no process may override it (x-locked in the schema)\n" in out
        assert "  environments  each sets its own (x-environment in the schema)\n" in out
        assert "  deprecated    use db.pool, to be gone after 2027-01-31\n" in out
        assert "CHECKOUT__DB__POOL_MAX" not in out
        found = json.loads(shop("explain", "dev/checkout", "db.pool_max", "--format", "json").out)
        assert (found["variable"], found["taken_from"]) == ("", "")
        assert found["marks"] == {
            "restart": True, "locked": True, "each_environment": True, "deprecated": True,
            "replaced_by": "db.pool", "removed_after": "2027-01-31",
        }  # fmt: skip
        assert "  deprecated  the schema says so\n" in shop("explain", "dev/checkout", "db.pool").out
        shop("unset", "dev/checkout", "db.pool_max")
        inherited = shop("explain", "dev/checkout", "db.pool_max").out
        assert "each sets its own (x-environment in the schema); this is from base\n" in inherited
        assert not json.loads(shop("explain", "dev/checkout", "db.password", "--format", "json").out)[
            "marks"
        ]["each_environment"]

    def test_deleted_and_unknown(self, shop: Terminal) -> None:
        shop("unset", "dev/checkout", "db.pool_max")
        shop("unset", "dev/checkout", "db.pool_max", "--null")
        out = shop("explain", "dev/checkout", "db.pool_max").out
        assert out.startswith("db.pool_max = not set\n")
        assert "deleted (null)" in out
        assert "error[unknown-path]" in shop.fail(2, "explain", "dev/checkout", "db.nothing").err


class TestDiff:
    def test_commits_environments_and_the_store(self, shop: Terminal) -> None:
        commit(shop, "one")
        shop("publish", "dev")
        assert "no difference" in shop("diff", "HEAD", "--exit-code").out
        shop("set", "dev/checkout", "db.pool_max", "30")
        shop("set", "dev/checkout", "db.password", stdin=b"another-canary")
        for words in (
            ["HEAD"],
            ["published:dev", "dev"],
            ["HEAD", "dev"],
            ["published:dev/checkout", "dev/checkout"],
        ):
            done = shop.fail(3, "diff", *words, "--exit-code")
            assert "~ db.pool_max  20 → 30" in done.out, words
            assert "~ db.password  secret changed" in done.out
            assert "canary" not in done.out
        assert shop("diff", "HEAD").code == 0
        found = json.loads(shop("diff", "HEAD", "--format", "json").out)
        assert [c["path"] for c in found["services"][0]["changes"]] == ["db.pool_max", "db.password"]
        assert "canary" not in json.dumps(found)

    def test_secrets_of_two_environments_cannot_be_compared(self, shop: Terminal) -> None:
        shop("add", "environment", "staging", "--publish-to", "file:.sealpipe/store")
        shop("add", "service", "checkout", "--in", "staging")
        shop("set", "staging/checkout", "db.password", stdin=SECRET.encode())
        out = shop("diff", "dev", "staging").out
        assert "~ db.pool_max  20 → 10" in out
        assert "? 1 secret is set in both; without opening nobody can say if they are equal" in out
        assert "secret changed" not in out

    def test_two_services_and_another_folder(self, shop: Terminal) -> None:
        shop("add", "service", "mailer", "--in", "dev")
        shop("set", "dev/mailer", "smtp.host", "mail")
        out = shop("diff", "dev/checkout", "dev/mailer").out
        assert "+ smtp.host" in out
        assert "- db.pool_max" in out
        copy = shop.folder.parent / "copy"
        shutil.copytree(shop.folder, copy)
        shop("set", "dev/mailer", "smtp.host", "other")
        assert "~ smtp.host  mail → other" in shop("diff", str(copy)).out

    def test_what_is_no_side(self, shop: Terminal) -> None:
        assert "error[unknown-side]" in shop.fail(2, "diff", "nothing").err
        assert "error[unknown-environment]" in shop.fail(2, "diff", "published:qa").err


class TestDoctor:
    def test_a_healthy_repository(self, shop: Terminal) -> None:
        commit(shop, "one")
        shop("publish", "dev")
        out = shop("doctor").out
        assert "you         ✓ anna · key ~/.config/sealpipe/key.txt\n" in out
        assert "✓ trust v1 signed by anna\n" in out
        assert "✓ 1 sealed value, all in place, keys current\n" in out
        assert "dev         ✓ file:.sealpipe/store  1 service, all as in the files\n" in out
        assert out.endswith("\nno problems, no warnings\n")
        assert list((shop.folder / ".sealpipe/store/dev").glob("doctor*")) == []

    def test_what_is_wrong_is_found_with_what_to_do(
        self, shop: Terminal, clean_surroundings: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop("publish", "dev")
        head = next((shop.folder / ".sealpipe/store/dev/heads").iterdir())
        head.write_bytes(head.read_bytes().replace(b'"pool_max":20', b'"pool_max":99'))
        shop.write("environments/dev/checkout.yaml", f"db: {{password: {SECRET}}}\n")
        (clean_surroundings / ".config/sealpipe/key.txt").chmod(0o644)
        done = shop.fail(3, "doctor")
        assert "✗ the key file ~/.config/sealpipe/key.txt can be read by others" in done.out
        assert "chmod 600" in done.out
        assert "1 error in the files" in done.out
        assert "no reader would accept the head of dev/checkout" in done.out
        assert "sealpipe verify dev\n" in done.out
        assert SECRET not in done.out
        found = json.loads(shop.fail(3, "doctor", "--format", "json").out)
        assert {check["mark"] for check in found["checks"]} >= {"problem", "ok"}

    def test_without_a_key_and_a_pin(self, shop: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(shop.folder.parent / "nobody"))
        out = shop.fail(3, "doctor").out
        assert "! you have no key here" in out
        assert "sealpipe keys new" in out
        assert "! no root is pinned here" in out

    def test_one_environment(self, shop: Terminal) -> None:
        assert "\ndev " in shop("doctor", "dev").out
        assert "error[unknown-environment]" in shop.fail(2, "doctor", "qa").err


class TestCompletion:
    def complete(self, shop: Terminal, line: str) -> list[str]:
        script = shop("completion", "bash").out
        words = line.split(" ")
        program = (
            f"{script}\nCOMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}\n"
            "_sealpipe\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
        )
        return subprocess.run(
            ["bash", "-c", program], cwd=shop.folder, capture_output=True, text=True, check=True
        ).stdout.split()

    def test_bash_completes_commands_targets_and_options(self, shop: Terminal) -> None:
        assert self.complete(shop, "sealpipe va") == ["validate"]
        assert "dev/checkout" in self.complete(shop, "sealpipe set d")
        assert "base" in self.complete(shop, "sealpipe -C . explain b")
        assert self.complete(shop, "sealpipe set --ran") == ["--random"]
        assert "service" in self.complete(shop, "sealpipe add s")

    def test_zsh_and_fish_scripts_name_every_command(self, shop: Terminal) -> None:
        assert "bashcompinit" in shop("completion", "zsh").out
        fish = shop("completion", "fish").out
        assert "complete -c sealpipe -n __fish_use_subcommand -a set -d " in fish
        assert "-l random" in fish
        shop.fail(2, "completion", "tcsh")


def test_a_command_starts_quickly() -> None:
    """The start of a command beside bare Python: imports must not grow unseen."""
    environ = {**os.environ, "PYTHONPATH": str(PIPELINE), "PYTHONDONTWRITEBYTECODE": ""}

    def cost(*words: str) -> float:
        best = 9.0
        for _ in range(3):
            before = os.times()
            subprocess.run([sys.executable, *words], env=environ, capture_output=True, check=False)
            after = os.times()
            used = after.children_user - before.children_user + after.children_system - before.children_system
            best = min(best, used)
        return best

    own = cost("-m", "sealpipe", "explain", "--help") - cost("-c", "pass")
    assert own < 0.120 * 2, f"{own * 1000:.0f} ms of CPU"  # twice the budget: other work shares the cores


def test_help_of_a_command_imports_nothing_heavy() -> None:
    code = (
        "import sys; from sealpipe.cli.main import main; main(['explain', '--help']); "
        "heavy = {'yaml', 'nacl', 'jsonschema', 'jsonschema_rs', 'pydantic', 'rfc8785', 'urllib3', 'rich'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    environ = {**os.environ, "PYTHONPATH": str(PIPELINE)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout.rstrip().endswith("[]")

    def test_one_store_by_its_address(self, shop: Terminal, tmp_path: Path) -> None:
        shop("publish", "dev")
        done = shop("doctor", "file:.sealpipe/store")
        assert done.out.startswith("file        ✓ answers in")
        assert "conditional writes hold" in done.out
        assert "anna" not in done.out
        assert "error[bad-store-url]" in shop.fail(2, "doctor", "1:x").err

    def test_a_store_that_is_asked_for_and_does_not_answer_is_a_problem(self, shop: Terminal) -> None:
        assert "\n\nno problems, no warnings\n" in shop("doctor").out
        nobody = "consul://127.0.0.1:1/config"
        done = shop.fail(3, "doctor", nobody)
        assert "consul      ✗ 127.0.0.1:1: connection refused [store-unavailable]" in done.out
        assert "look at its address, whether it runs, and whether this machine may reach it" in done.out
        assert done.out.endswith("\n1 problem, no warnings\n")
        file = shop.folder / "sealpipe.yaml"
        file.write_text(file.read_text().replace("file:.sealpipe/store", nobody, 1))
        # Not every store has to be reached from everywhere; the one that is named has.
        assert "dev         - " in shop("doctor").out
        assert "dev         ✗ " in shop.fail(3, "doctor", "dev").out

    def test_a_store_where_there_is_no_repository(self, tmp_path: Path) -> None:
        store = tmp_path / "store"
        (store / "dev").mkdir(parents=True)
        (store / "dev/x").write_text("1")
        outside = tmp_path / "outside"
        outside.mkdir()
        out = Terminal(outside)("doctor", f"file:{store}").out
        assert "conditional writes hold" in out
        found = json.loads(Terminal(outside)("doctor", f"file:{store}", "--format", "json").out)
        assert {check["section"] for check in found["checks"]} == {"file"}
