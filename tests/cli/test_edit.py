"""`edit`: what the editor sees, what is sealed again, and what is left behind."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from sealpipe.cli import editor
from sealpipe.errors import RefusedError
from terminal import Terminal, new_repository

SECRET = "hunter2-canary-value"


@pytest.fixture
def shop(tmp_path: Path) -> Terminal:
    shop = new_repository(tmp_path / "shop", "checkout")
    shop("set", "dev/checkout", "db.host", "db.internal")
    shop("set", "dev/checkout", "db.password", "--secret", stdin=SECRET.encode())
    shop("set", "dev/checkout", "api.token", "--secret", stdin=b"token-canary-value")
    return shop


@pytest.fixture
def typing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An editor that runs edits.py on the file's text and notes what it saw."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import os, pathlib, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "file = pathlib.Path(sys.argv[-1])\n"
        "text = file.read_text()\n"
        f"pathlib.Path({str(tmp_path / 'seen')!r}).write_text("
        "f'{file}\\n{os.stat(file).st_mode:o} {os.stat(file.parent).st_mode:o}\\n{text}')\n"
        "import edits\n"
        "file.write_text(edits.edit(text))\n"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    return tmp_path


def edits(folder: Path, body: str) -> None:
    (folder / "edits.py").write_text(f"def edit(text):\n    return {body}\n")


def test_secrets_are_readable_in_a_private_folder_that_is_gone_afterwards(
    shop: Terminal, typing: Path
) -> None:
    edits(typing, "text")
    before = shop.files()
    done = shop("edit", "dev/checkout")
    assert done.err == "nothing changed\n"
    assert shop.files() == before
    place, modes, *text = (typing / "seen").read_text().splitlines()
    assert modes.split() == [f"{stat.S_IFREG | 0o600:o}", f"{stat.S_IFDIR | 0o700:o}"]
    assert not Path(place).parent.exists()
    assert f"  password: {SECRET}" in text
    assert "  token: token-canary-value" in text
    assert "ENC[" not in "\n".join(text)


def test_only_what_changed_is_sealed_again(shop: Terminal, typing: Path) -> None:
    old = shop.text("environments/dev/checkout.yaml").splitlines()
    edits(typing, f"text.replace({SECRET!r}, 'a-new-password') + 'plain: 1\\n'")
    shop.write("schemas/checkout.schema.json", shop.text("schemas/checkout.schema.json").replace(
        '"properties": {', '"properties": {"plain": {"type": "integer"},', 1))  # fmt: skip
    done = shop("edit", "dev/checkout")
    assert done.err == (
        "wrote      environments/dev/checkout.yaml\n"
        "sealed     environments/dev/checkout.yaml:4  db.password\n"
    )
    new = shop.text("environments/dev/checkout.yaml").splitlines()
    changed = [at for at, (one, other) in enumerate(zip(old, new, strict=False), start=1) if one != other]
    assert changed == [4]
    assert new[len(old) :] == ["plain: 1"]
    assert shop("get", "dev/checkout", "db.password").out == "a-new-password\n"
    shop("validate")


def test_a_new_secret_is_sealed(shop: Terminal, typing: Path) -> None:
    shop("unset", "dev/checkout", "api.token")
    edits(typing, "text + 'api: {token: typed-canary}\\n'")
    shop("edit", "dev/checkout")
    assert "typed-canary" not in shop.text("environments/dev/checkout.yaml")
    assert shop("get", "dev/checkout", "api.token").out == "typed-canary\n"
    shop("validate")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("text + 'db: twice\\n'", "duplicate-key"),
        ("text + 'unknown: 1\\n'", "unknown-key"),
        ("text.replace('db.internal', '[1]')", "wrong-type"),
        (f"text + '# it was {SECRET}\\n'", "plaintext-secret"),
        (f"text.replace('db.internal', {SECRET!r})", "plaintext-secret"),
        (f"text.replace({SECRET!r}, '12')", "wrong-type"),
    ],
)
def test_an_invalid_result_writes_nothing_and_shows_no_value(
    shop: Terminal, typing: Path, body: str, word: str
) -> None:
    edits(typing, body)
    before = shop.files()
    done = shop.fail(4, "edit", "dev/checkout")
    assert f"error[{word}]" in done.err
    assert SECRET not in done.err
    assert shop.files() == before


def test_an_editor_that_fails_changes_nothing(shop: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shop.files()
    monkeypatch.setenv("EDITOR", "false")
    assert (
        "error[editor]: false ended with 1; nothing was changed" in shop.fail(1, "edit", "dev/checkout").err
    )
    monkeypatch.setenv("EDITOR", "/nonexistent/editor")
    assert "error[editor]" in shop.fail(1, "edit", "dev/checkout").err
    assert shop.files() == before


def test_an_interrupt_is_the_editor_s(shop: Terminal, typing: Path) -> None:
    import signal

    (typing / "edits.py").write_text(
        "import os, signal\n"
        "def edit(text):\n"
        "    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "    os.kill(os.getppid(), signal.SIGINT)\n"
        "    return text.replace('db.internal', 'db.default' if default else 'db.ignored')\n"
    )
    before = signal.getsignal(signal.SIGINT)
    shop("edit", "dev/checkout")
    assert "db.default" in shop.text("environments/dev/checkout.yaml")
    assert signal.getsignal(signal.SIGINT) is before


def test_without_a_reading_key_secrets_stay_sealed(
    shop: Terminal, typing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.setenv("SEALPIPE_TRUST", json.loads(shop("trust", "show", "--format", "json").out)["pin"])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(typing / "nobody"))
    edits(typing, "text.replace('db.internal', 'db.other')")
    done = shop("edit", "dev/checkout")
    assert done.err.startswith("stays sealed, your key does not open it: db.password, api.token\n")
    assert SECRET not in (typing / "seen").read_text()
    assert "db.other" in shop.text("environments/dev/checkout.yaml")
    monkeypatch.undo()


def test_a_result_can_be_edited_again(shop: Terminal, typing: Path) -> None:
    """On a terminal: wrong first, then right, and what was typed first is still there."""
    import pty
    import subprocess

    (typing / "edits.py").write_text(
        "import pathlib\n"
        "def edit(text):\n"
        f"    count = pathlib.Path({str(typing / 'count')!r})\n"
        "    count.write_text((count.read_text() if count.exists() else '') + 'x')\n"
        "    if 'wrong' in text:\n"
        "        return text.replace('wrong: 1\\n', '')\n"
        "    return text.replace('db.internal', 'db.second') + 'wrong: 1\\n'\n"
    )
    master, slave = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": str(Path(editor.__file__).parents[2]), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sealpipe", "edit", "dev/checkout"],
        cwd=shop.folder,
        env=environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    while b"[E/d]" not in seen:
        seen += os.read(master, 4096)
    os.write(master, b"e\n")
    assert process.wait(timeout=60) == 0
    os.close(master)
    assert b"error[unknown-key]" in seen
    assert (typing / "count").read_text() == "xx"
    assert "db.second" in shop.text("environments/dev/checkout.yaml")
    assert "wrong" not in shop.text("environments/dev/checkout.yaml")


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["vim"], "NONE"),
        (["nvim"], "NONE"),
        (["emacs", "-nw"], "--eval"),
        (["code"], "--wait"),
        (["nano"], ""),
    ],
)
def test_editors_are_told_to_keep_no_copies(words: list[str], flag: str) -> None:
    hardened = editor.hardened(words)
    assert hardened[: len(words)] == words
    assert (flag in hardened) if flag else hardened == words


def test_the_editor_is_found_in_the_usual_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "ed")
    assert editor.editor_words("dev/x") == ["ed"]
    monkeypatch.setenv("VISUAL", "code --wait")
    assert editor.editor_words("dev/x") == ["code", "--wait"]
    monkeypatch.setenv("SEALPIPE_EDITOR", "micro")
    assert editor.editor_words("dev/x") == ["micro"]
    for name in ("EDITOR", "VISUAL", "SEALPIPE_EDITOR"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RefusedError):
        editor.editor_words("dev/x")


def test_vim_leaves_no_trace(shop: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    if shutil.which("vim") is None:
        pytest.skip("vim is not installed")
    home = Path(os.environ["HOME"])
    monkeypatch.setenv("EDITOR", "vim -es -c ':%s/db.internal/db.vim/' -c ':wq'")
    shop("edit", "dev/checkout")
    assert "db.vim" in shop.text("environments/dev/checkout.yaml")
    for path in [*home.rglob("*"), *shop.folder.rglob("*")]:
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
