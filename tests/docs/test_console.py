"""The machinery that runs the pages: it must notice what is wrong on one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .console import Shell, Wrong, commands, matches, parts, run_page


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    folder = tmp_path / "page"
    folder.mkdir()
    return Shell(folder, os.environ)


def block(text: str, note: str = "") -> str:
    return f"{note}\n```console\n{text}\n```\n" if note else f"```console\n{text}\n```\n"


def test_commands_run_in_order_and_keep_folder_and_variables(shell: Shell) -> None:
    page = block("$ mkdir a && cd a\n$ export NAME=anna") + "words\n"
    page += block("$ basename $PWD; echo $NAME\na\nanna")
    assert run_page(page, shell) == 3


def test_wrong_output_is_found(shell: Shell) -> None:
    with pytest.raises(Wrong, match="line 2"):
        run_page(block("$ echo two\none"), shell)


def test_output_that_the_page_does_not_show_is_found(shell: Shell) -> None:
    with pytest.raises(Wrong, match="it printed:\nsurprise"):
        run_page(block("$ echo surprise"), shell)


def test_a_failing_command_needs_its_exit_code_shown(shell: Shell) -> None:
    with pytest.raises(Wrong, match="ended with 4"):
        run_page(block("$ (exit 4)"), shell)
    assert run_page(block("$ (exit 4)\n$ echo $?\n4"), shell) == 2
    with pytest.raises(Wrong):
        run_page(block("$ (exit 4)\n$ echo $?\n5"), shell)


def test_stderr_counts(shell: Shell) -> None:
    run_page(block("$ echo oops >&2\noops"), shell)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (("a … c",), "a b c\n", True),
        (("a … c",), "a\nb c\n", False),
        (("a", "…", "z"), "a\nb\nc\nz\n", True),
        (("a", "…", "z"), "a\nz\n", True),
        (("a", "…", "z"), "a\nb\n", False),
        (("a.c",), "abc\n", False),
        (("…",), "", True),
        ((), "", True),
        ((), "x\n", False),
        (("a",), "\x1b[31ma\x1b[0m  \n", True),
        (("done …",), "done \n", True),
    ],
)
def test_wildcards(expected: tuple[str, ...], printed: str, same: bool) -> None:
    assert matches(expected, printed) is same


def test_continued_lines() -> None:
    [one, two] = commands(parts(block("$ cat <<X\n> a\n> X\na\n$ echo \\\n  b\nb"))[0])
    assert one.text == "cat <<X\na\nX"
    assert one.expected == ("a",)
    assert two.text == "echo \\\n  b"
    assert two.expected == ("b",)


def test_set_up_files_and_skips(shell: Shell) -> None:
    page = (
        "<!-- docs-test: run\nmkdir made\n-->\n"
        "<!-- docs-test: file made/config.yaml -->\n```yaml\na: 1\n```\n"
        + block("$ cat made/config.yaml\na: 1")
        + block("$ false", "<!-- docs-test: skip needs a server -->")
    )
    assert run_page(page, shell) == 1


def test_failing_set_up_is_found(shell: Shell) -> None:
    with pytest.raises(Wrong, match="set-up ended with 1"):
        run_page("<!-- docs-test: run\nfalse\n-->\n", shell)


def test_a_skip_needs_a_reason(shell: Shell) -> None:
    with pytest.raises(Wrong, match="say why"):
        run_page(block("$ false", "<!-- docs-test: skip -->"), shell)


def test_notes_stand_above_their_block_and_are_spelled_right(shell: Shell) -> None:
    with pytest.raises(Wrong, match="directly above"):
        run_page("<!-- docs-test: skip why -->\nwords\n" + block("$ true"), shell)
    with pytest.raises(Wrong, match="is known"):
        run_page("<!-- docs-test: skp why -->\n" + block("$ true"), shell)


def test_stdin_and_typing(shell: Shell) -> None:
    run_page(block("$ cat\nhello", "<!-- docs-test: stdin hello\\n -->"), shell)
    asks = "$ read -rsp 'Value: ' v; echo; test -t 0 && echo \"${#v} characters\""
    run_page(block(f"{asks}\nValue:\n6 characters", "<!-- docs-test: types secret -->"), shell)
