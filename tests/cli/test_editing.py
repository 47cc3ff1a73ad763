"""`set`, `get`, `unset`, `seal`, `mv` as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terminal import Terminal, new_repository

SECRET = "hunter2-canary-value"


@pytest.fixture
def shop(tmp_path: Path) -> Terminal:
    return new_repository(tmp_path / "shop", "checkout")


def set_password(shop: Terminal, value: str = SECRET) -> None:
    shop("set", "dev/checkout", "db.password", "--secret", stdin=value.encode() + b"\n")


class TestSet:
    def test_a_secret_is_sealed_read_back_and_shown_nowhere(self, shop: Terminal) -> None:
        done = shop("set", "dev/checkout", "db.password", "--secret", stdin=SECRET.encode() + b"\n")
        assert done.out == ""
        assert done.err == (
            "sealed  environments/dev/checkout.yaml:3\n"
            "schema  schemas/checkout.schema.json now knows db.password as a secret\n"
        )
        assert all(SECRET.encode() not in data for data in shop.files().values())
        assert shop("get", "dev/checkout", "db.password").out == SECRET + "\n"
        schema = json.loads(shop.text("schemas/checkout.schema.json"))
        password = schema["properties"]["db"]["properties"]["password"]
        assert password == {"type": "string", "writeOnly": True}

    def test_a_value_on_the_command_line_is_refused_at_a_secret_path(self, shop: Terminal) -> None:
        set_password(shop)
        before = shop.files()
        done = shop.fail(2, "set", "dev/checkout", "db.password", "another-canary")
        assert "error[secret-on-command-line]" in done.err
        assert "another-canary" not in done.err
        assert "hint: sealpipe set dev/checkout db.password\n" in done.err
        assert shop.files() == before
        done = shop.fail(2, "set", "dev/checkout", "api.key", "another-canary", "--secret")
        assert "hint: sealpipe set dev/checkout api.key --secret\n" in done.err
        assert shop.files() == before

    def test_a_map_cannot_bring_a_secret_in_plain(self, shop: Terminal) -> None:
        set_password(shop)
        before = shop.files()
        done = shop.fail(4, "set", "dev/checkout", "db", "{password: map-canary}")
        assert "error[plaintext-secret]: db db.password in it is a secret" in done.err
        assert "hint: sealpipe set dev/checkout db.password\n" in done.err
        assert "map-canary" not in done.err
        assert shop.files() == before

    def test_anybody_can_seal_without_a_reading_key(
        self, shop: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_password(shop)
        pin = shop("trust", "show", "--format", "json").out
        monkeypatch.setenv("SEALPIPE_TRUST", json.loads(pin)["pin"])
        monkeypatch.setenv("XDG_CONFIG_HOME", str(shop.folder.parent / "nobody"))
        shop("set", "dev/checkout", "db.password", stdin=b"set by a stranger")
        shop.fail(6, "get", "dev/checkout", "db.password")
        monkeypatch.undo()

    def test_a_forged_keyring_is_not_sealed_to(self, shop: Terminal) -> None:
        set_password(shop)
        keyring = shop.text("trust/dev.keyring.yaml")
        own = next(line for line in keyring.splitlines() if "public: x25519:" in line)
        shop.write("trust/dev.keyring.yaml", keyring.replace(own, "  public: x25519:" + "A" * 43))
        before = shop.files()
        shop.fail(6, "set", "dev/checkout", "db.password", stdin=b"for the thief")
        assert shop.files() == before

    @pytest.mark.parametrize(
        ("typed", "kept", "kind"),
        [
            ("20", 20, "integer"),
            ("2.5", 2.5, "number"),
            ("true", True, "boolean"),
            ("db.internal", "db.internal", "string"),
            ("22:30", "22:30", "string"),
            ("no", "no", "string"),
            ("", "", "string"),
            ("[a, b]", ["a", "b"], "array"),
            ("{x: 1}", {"x": 1}, "object"),
        ],
    )
    def test_an_unknown_path_gets_the_type_that_the_value_reads_as(
        self, shop: Terminal, typed: str, kept: object, kind: str
    ) -> None:
        shop("set", "dev/checkout", "a.b", typed)
        assert json.loads(shop("get", "dev/checkout", "a.b", "--format", "json").out)["value"] == kept
        schema = json.loads(shop.text("schemas/checkout.schema.json"))
        assert schema["properties"]["a"]["properties"]["b"]["type"] == kind
        shop("validate")

    def test_the_schema_decides_what_a_known_path_gets(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "version", "latest")
        shop("set", "dev/checkout", "version", "20")
        assert 'version: "20"' in shop.text("environments/dev/checkout.yaml")

    def test_a_value_that_breaks_the_schema_is_not_written(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "db.pool_max", "20")
        before = shop.files()
        done = shop.fail(4, "set", "dev/checkout", "db.pool_max", "many")
        assert "error[wrong-type]: db.pool_max the value must be a whole number" in done.err
        assert shop.files() == before

    def test_a_secret_that_breaks_the_schema_is_not_sealed_and_not_shown(self, shop: Terminal) -> None:
        set_password(shop)
        text = shop.text("schemas/checkout.schema.json")
        shop.write(
            "schemas/checkout.schema.json",
            text.replace('"writeOnly": true', '"writeOnly": true, "minLength": 30'),
        )
        before = shop.files()
        done = shop.fail(4, "set", "dev/checkout", "db.password", stdin=b"short-canary")
        assert "error[too-short]" in done.err
        assert "short-canary" not in done.err
        assert shop.files() == before

    def test_only_the_line_changes(self, shop: Terminal) -> None:
        text = "# head\n\ndb:   # the database\n  pool_max:   10  # per pod\n\n  host: 'a'\n# tail\n"
        shop.write("environments/dev/checkout.yaml", text)
        shop.write(
            "schemas/checkout.schema.json",
            '{"type": "object", "additionalProperties": false, "properties": {"db": {"type": "object", '
            '"additionalProperties": false, "properties": {"pool_max": {"type": "integer"}, '
            '"host": {"type": "string"}}}}}\n',
        )
        done = shop("set", "dev/checkout", "db.pool_max", "20")
        assert done.err == "set     environments/dev/checkout.yaml:4  db.pool_max  10 → 20\n"
        assert shop.text("environments/dev/checkout.yaml") == text.replace("  10 ", "  20 ")
        assert shop("set", "dev/checkout", "db.pool_max", "20").err.startswith("same ")

    def test_random_file_and_type(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "a.random", "--random", "--secret")
        assert len(shop("get", "dev/checkout", "a.random").out.strip()) == 32
        shop("set", "dev/checkout", "a.random", "--random", "12")
        first = shop("get", "dev/checkout", "a.random").out
        assert len(first.strip()) == 12
        shop("set", "dev/checkout", "a.random", "--random", "12")
        assert shop("get", "dev/checkout", "a.random").out != first
        (shop.folder / "blob").write_bytes(b"\x00\xff\n")
        shop("set", "dev/checkout", "a.blob", "--file", "blob", "--type", "bytes", "--secret")
        assert shop("get", "dev/checkout", "a.blob").out == "AP8K\n"
        shop("set", "dev/checkout", "a.pin", "--type", "int", "--secret", "--file", "-", stdin=b"42\n")
        assert shop("get", "dev/checkout", "a.pin").out == "42\n"
        assert (
            "error[wrong-type]"
            in shop.fail(2, "set", "dev/checkout", "a.pin", "--type", "bool", stdin=b"1").err
        )

    def test_leading_zero_is_no_int(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "a.pin", "--type", "int", "--secret", stdin=b"42")
        done = shop.fail(2, "set", "dev/checkout", "a.pin", stdin=b"0042-canary")
        assert "canary" not in done.err

    def test_dry_run_writes_nothing(self, shop: Terminal) -> None:
        before = shop.files()
        done = shop("set", "dev/checkout", "db.password", "--secret", "--dry-run", stdin=SECRET.encode())
        assert done.err == (
            "would change  schemas/checkout.schema.json\nwould change  environments/dev/checkout.yaml\n"
        )
        assert shop.files() == before

    def test_places_that_do_not_exist(self, shop: Terminal) -> None:
        assert "did you mean `dev`?" in shop.fail(2, "set", "dve/checkout", "a", "1").err
        done = shop.fail(2, "set", "dev/chekout", "a", "1")
        assert "did you mean `checkout`?" in done.err
        assert "hint: sealpipe add service chekout --in dev\n" in done.err
        assert "error[usage]: a service is needed here" in shop.fail(2, "set", "dev", "a", "1").err

    def test_a_secret_in_an_abstract_environment_is_refused_with_the_place_to_set_it(
        self, shop: Terminal
    ) -> None:
        set_password(shop)
        done = shop.fail(5, "set", "base/checkout", "db.password", stdin=b"x")
        assert "error[sealed-in-abstract]" in done.err

    def test_a_shared_layer_gets_its_file_and_its_key(self, shop: Terminal) -> None:
        done = shop.fail(4, "set", "dev/_all", "log.key", "--secret", stdin=b"x")
        hint = done.err.split("hint: ")[1].strip()
        file = hint.split(" > ")[1]
        shop.write(file, hint.split("'")[1])
        shop("set", "dev/_all", "log.key", "--secret", stdin=b"shared-secret")
        assert shop("get", "dev/checkout", "log.key").out == "shared-secret\n"
        shop("validate")

    def test_a_path_of_a_shared_layer_is_added_to_the_layer_s_schema(self, shop: Terminal) -> None:
        log = {"type": "object", "additionalProperties": False, "properties": {"level": {"type": "string"}}}
        schema = {"type": "object", "additionalProperties": False, "properties": {"log": log}}
        shop.write("schemas/_all.schema.json", json.dumps(schema, indent=2))
        shop("set", "dev/_all", "log.level", "info")
        own = shop.text("schemas/checkout.schema.json")
        done = shop("set", "dev/checkout", "log.levels", "3")
        assert "schema  schemas/_all.schema.json now knows log.levels\n" in done.err
        assert "was that meant?" in done.err
        assert shop.text("schemas/checkout.schema.json") == own
        shop("validate")

    def test_no_input_is_not_an_empty_value(self, shop: Terminal) -> None:
        before = shop.files()
        assert "nothing came from stdin" in shop.fail(2, "set", "dev/checkout", "a.key", "--secret").err
        assert shop.files() == before
        shop("set", "dev/checkout", "a.key", "--secret", "--file", "-")
        assert shop("get", "dev/checkout", "a.key").out == "\n"

    def test_a_name_that_sounds_secret_is_not_written_in_clear(self, shop: Terminal) -> None:
        before = shop.files()
        done = shop.fail(2, "set", "dev/checkout", "db.password", "oops")
        assert "error[sounds-secret]: db.password sounds like a secret" in done.err
        assert "oops" not in done.err
        assert shop.files() == before
        shop("set", "dev/checkout", "db.password_min_length", "12", "--plain")
        assert shop("get", "dev/checkout", "db.password_min_length").out == "12\n"

    def test_json_has_no_value(self, shop: Terminal) -> None:
        done = shop(
            "set", "dev/checkout", "db.password", "--secret", "--format", "json", stdin=SECRET.encode()
        )
        assert json.loads(done.out)["kind"] == "sealed"
        assert SECRET not in done.out


class TestPrompt:
    def test_a_secret_is_asked_for_without_echo(self, shop: Terminal) -> None:
        import os
        import pty
        import subprocess
        import sys

        set_password(shop)
        master, slave = pty.openpty()
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "pipeline")}
        process = subprocess.Popen(
            [sys.executable, "-m", "sealpipe", "set", "dev/checkout", "db.password"],
            cwd=shop.folder,
            env=environ,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        seen = b""
        while b"Value (hidden): " not in seen:
            seen += os.read(master, 4096)
        os.write(master, b"typed-canary\n")
        while b"sealed" not in seen:
            seen += os.read(master, 4096)
        assert process.wait(timeout=60) == 0
        os.close(master)
        assert b"typed-canary" not in seen
        assert shop("get", "dev/checkout", "db.password").out == "typed-canary\n"


class TestGet:
    def test_layers_published_and_maps(self, shop: Terminal) -> None:
        shop("set", "base/checkout", "db.pool_max", "10")
        shop("set", "dev/checkout", "db.pool_max", "20")
        set_password(shop)
        assert shop("get", "dev/checkout", "db.pool_max").out == "20\n"
        assert shop("get", "dev/checkout", "db.pool_max", "--layer", "base").out == "10\n"
        assert shop("get", "dev/checkout", "/db/pool_max", "--layer", "dev/checkout").out == "20\n"
        assert json.loads(shop("get", "dev/checkout", "db").out) == {"pool_max": 20, "password": SECRET}
        assert shop("get", "dev/checkout", "db.password", "--layer", "dev").out == SECRET + "\n"
        assert "error[not-published]" in shop.fail(5, "get", "dev/checkout", "db", "--published").err
        assert "error[not-set]" in shop.fail(2, "get", "dev/checkout", "db.nothing").err

    def test_control_characters_reach_pipes_and_no_terminal(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "a", "x\x1b[2Jy", "--type", "str")
        assert shop("get", "dev/checkout", "a").out == "x\x1b[2Jy\n"
        shop.shows = True
        assert shop("get", "dev/checkout", "a").out == "x\\x1b[2Jy\n"
        shop.write("environments/dev/checkout.yaml", 'a: "x\\e[2J"\n"k\\e[2J": 1\n')
        for words in (
            ("explain", "dev/checkout"),
            ("explain", "dev/checkout", "a"),
            ("render", "dev/checkout"),
        ):
            assert "\x1b[2J" not in shop.run(*words).out

    @pytest.mark.parametrize("kind", ["a text", "in a secret map", "in a list of secrets"])
    def test_plaintext_at_a_secret_path_is_not_shown(self, shop: Terminal, kind: str) -> None:
        """Published in plain once, called secret since: no command that looks shows it."""
        if kind == "in a secret map":
            secret = {"type": "object", "properties": {"password": {"type": "string"}}}
            path, text = "db.password", f"db: {{password: {SECRET}}}\n"
            plain, marked = {"db": secret}, {"db": {**secret, "writeOnly": True}}
        elif kind == "in a list of secrets":
            path, text = "db", f"db: [{SECRET}]\n"
            plain = {"db": {"type": "array", "items": {"type": "string"}}}
            marked = {"db": {"type": "array", "items": {"type": "string", "writeOnly": True}}}
        else:
            path, text = "db.password", f"db: {{password: {SECRET}}}\n"
            inner = {"type": "object", "additionalProperties": False}
            plain = {"db": {**inner, "properties": {"password": {"type": "string"}}}}
            marked = {"db": {**inner, "properties": {"password": {"type": "string", "writeOnly": True}}}}
        closed = {"type": "object", "additionalProperties": False}
        if kind == "in a secret map":
            plain["db"]["additionalProperties"] = False
        shop.write("schemas/checkout.schema.json", json.dumps({**closed, "properties": plain}))
        shop.write("environments/dev/checkout.yaml", text)
        shop("publish", "dev")
        shop.write("schemas/checkout.schema.json", json.dumps({**closed, "properties": marked}))
        self.shows_nothing(shop, path)

    def shows_nothing(self, shop: Terminal, path: str) -> None:
        for words in (
            ("get", "dev/checkout", path),
            ("get", "dev/checkout", "db"),
            ("render", "dev/checkout"),
            ("render", "dev/checkout", "--format", "json"),
            ("explain", "dev/checkout"),
            ("explain", "dev/checkout", path),
            ("explain", "dev/checkout", path, "--format", "json"),
            ("diff", str(shop.folder), "dev"),
            ("diff", "published:dev", "dev"),
            ("get", "dev/checkout", path, "--published"),
            ("render", "dev/checkout", "--published"),
            ("set", "dev/checkout", "db.password", "--file", SECRET),
            ("validate",),
            ("doctor",),
        ):
            done = shop.run(*words)
            assert SECRET not in done.out + done.err, words

    def test_a_protected_secret_is_not_put_on_a_screen_unasked(
        self, shop: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_password(shop)
        shop("set", "dev/checkout", "db.host", "h")
        shop(
            "trust",
            "admins",
            "dev",
            "--protected",
            "--yes",
            "--recovery-to",
            str(shop.folder.parent / "safe"),
        )
        monkeypatch.setenv("NO_COLOR", "1")
        shop.shows = True
        done = shop.fail(5, "get", "dev/checkout", "db.password")
        assert done.out == ""
        assert "hint: sealpipe get dev/checkout db.password --reveal\n" in done.err
        assert shop("get", "dev/checkout", "db.password", "--reveal").out == SECRET + "\n"
        assert shop("get", "dev/checkout", "db.host").out == "h\n"
        shop.shows = False
        assert shop("get", "dev/checkout", "db.password").out == SECRET + "\n"


class TestUnset:
    def test_removes_from_this_layer_only(self, shop: Terminal) -> None:
        shop("set", "base/checkout", "db.pool_max", "10")
        shop("set", "dev/checkout", "db.pool_max", "20")
        done = shop("unset", "dev/checkout", "db.pool_max")
        assert done.err == "removed environments/dev/checkout.yaml:3  db.pool_max  was 20\n"
        assert shop("get", "dev/checkout", "db.pool_max").out == "10\n"
        done = shop.fail(2, "unset", "dev/checkout", "db.pool_max")
        assert "sealpipe unset dev/checkout db.pool_max --null" in done.err
        shop("unset", "dev/checkout", "db.pool_max", "--null")
        assert "error[not-set]" in shop.fail(2, "get", "dev/checkout", "db.pool_max").err
        shop("validate")

    def test_a_map_with_a_secret_in_it_is_not_shown(self, shop: Terminal) -> None:
        set_password(shop)
        shop.write("environments/dev/checkout.yaml", f"db: {{password: {SECRET}}}\n")
        assert SECRET not in shop("unset", "dev/checkout", "db").err

    def test_a_secret_is_not_shown(self, shop: Terminal) -> None:
        set_password(shop)
        assert shop("unset", "dev/checkout", "db.password").err == (
            "removed environments/dev/checkout.yaml:3  db.password\n"
        )


class TestSeal:
    def test_seals_what_stands_in_plain_and_leaves_the_rest(self, shop: Terminal) -> None:
        set_password(shop)
        sealed = shop.text("environments/dev/checkout.yaml")
        assert shop("seal").err == "nothing to seal\n"
        assert shop.text("environments/dev/checkout.yaml") == sealed
        shop.write("environments/dev/checkout.yaml", f"# c\ndb:\n  password: {SECRET}  # mine\n")
        before = shop.files()
        shop("seal", "dev", "--dry-run")
        assert shop.files() == before
        done = shop("seal", "dev/checkout")
        assert done.err.startswith("sealed     environments/dev/checkout.yaml:3  db.password\n")
        assert SECRET not in shop.text("environments/dev/checkout.yaml")
        assert shop.text("environments/dev/checkout.yaml").endswith("  # mine\n")
        assert shop("get", "dev/checkout", "db.password").out == SECRET + "\n"

    def test_reseals_for_a_new_key(self, shop: Terminal) -> None:
        set_password(shop)
        old = shop.text("environments/dev/checkout.yaml")
        shop("keys", "renew", "dev", "--yes")
        shop.write("environments/dev/checkout.yaml", old)  # an old branch, merged
        assert "stale" in shop.run("validate").out + shop.run("validate").err
        assert shop("seal").err.startswith("re-sealed  environments/dev/checkout.yaml:3  db.password\n")
        assert shop.text("environments/dev/checkout.yaml") != old
        assert shop("get", "dev/checkout", "db.password").out == SECRET + "\n"
        shop("validate")

    def test_a_value_that_breaks_its_schema_stays_and_ends_with_4(self, shop: Terminal) -> None:
        set_password(shop)
        shop.write("environments/dev/checkout.yaml", "db: {password: 12345}\n")
        done = shop.fail(4, "seal")
        assert "error[wrong-type]" in done.err
        assert "12345" not in done.err

    def test_plaintext_in_an_abstract_layer_cannot_be_sealed(self, shop: Terminal) -> None:
        set_password(shop)
        shop.write("environments/base/checkout.yaml", f"db: {{password: {SECRET}}}\n")
        done = shop.fail(4, "seal")
        assert "error[sealed-in-abstract]: environments/base/checkout.yaml:1:16" in done.err
        assert SECRET not in done.err


class TestMv:
    def test_a_plain_value_keeps_its_comment(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "http.timout_s", "3")
        text = shop.text("environments/dev/checkout.yaml")
        shop.write("environments/dev/checkout.yaml", text.replace("timout_s: 3", "timout_s: 3  # fast"))
        done = shop("mv", "dev/checkout", "http.timout_s", "http.timeout_s")
        assert done.err.startswith(
            "moved   environments/dev/checkout.yaml:3  http.timout_s → http.timeout_s\n"
        )
        assert "  timeout_s: 3  # fast\n" in shop.text("environments/dev/checkout.yaml")
        shop("validate")

    def test_a_secret_is_sealed_for_its_new_place(self, shop: Terminal) -> None:
        set_password(shop)
        old = shop.text("environments/dev/checkout.yaml")
        done = shop("mv", "dev/checkout", "db", "database")
        assert "sealed  database.password for the new place\n" in done.err
        assert old.split("password: ")[1] not in shop.text("environments/dev/checkout.yaml")
        assert shop("get", "dev/checkout", "database.password").out == SECRET + "\n"
        shop("validate")

    def test_a_secret_does_not_move_to_a_plain_path(self, shop: Terminal) -> None:
        set_password(shop)
        shop("set", "dev/checkout", "db.name", "x")
        shop("unset", "dev/checkout", "db.name")
        before = shop.files()
        assert "error[sealed-not-secret]" in shop.fail(4, "mv", "dev/checkout", "db.password", "db.name").err
        assert shop.files() == before

    def test_a_plain_value_does_not_move_to_a_secret_path(self, shop: Terminal) -> None:
        set_password(shop)
        shop("unset", "dev/checkout", "db.password")
        shop("set", "dev/checkout", "db.name", "plain-canary")
        before = shop.files()
        done = shop.fail(5, "mv", "dev/checkout", "db.name", "db.password")
        assert "error[plaintext-secret]" in done.err
        assert "plain-canary" not in done.err
        assert shop.files() == before

    def test_a_plain_map_does_not_move_over_a_secret_one(self, shop: Terminal) -> None:
        set_password(shop)
        shop("unset", "dev/checkout", "db")
        shop("set", "dev/checkout", "other.password", "plain-canary", "--plain")
        before = shop.files()
        assert "error[plaintext-secret]" in shop.fail(5, "mv", "dev/checkout", "other", "db").err
        assert shop.files() == before

    def test_what_is_not_there_or_in_the_way(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "a", "1")
        shop("set", "dev/checkout", "b", "2")
        assert "error[not-set]" in shop.fail(2, "mv", "dev/checkout", "c", "d").err
        assert "error[already-set]" in shop.fail(2, "mv", "dev/checkout", "a", "b").err
