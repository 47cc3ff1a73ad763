"""The console script: what each way of ending prints, and what a start costs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sealpipe.cli import options, output, registry
from sealpipe.cli.main import main
from sealpipe.cli.options import Common, Target
from sealpipe.errors import Finding, InputError, RefusedError, TrustError, UsageError, Where

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
SECRET = "hunter2-canary"


def sealpipe(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(PIPELINE), **changes}
    command = [sys.executable, "-m", "sealpipe.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


Body = Callable[[Common], "int | None"]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Body], None]]:
    """Put a body behind `sealpipe probe`, as if a file of cli/ held it."""
    here = Path.cwd()

    def put(body: Body) -> None:
        @options.command("probe", examples=("sealpipe probe dev",))
        @options.target_argument(required=False)
        @options.option("--count", type=int)
        @options.common(formats=("text", "json"), writes=True)
        def probe(opts: Common, target: Target | None, count: int | None) -> int | None:
            return body(opts)

        module = types.ModuleType("sealpipe.cli.probe")
        module.command = probe  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "sealpipe.cli.probe", module)
        monkeypatch.setitem(registry.COMMANDS, "probe", ("probe", "A probe", ()))

    yield put
    os.chdir(here)


def raises(error: BaseException) -> Body:
    def body(_: Common) -> int | None:
        raise error

    return body


def test_version_and_help_import_no_click() -> None:
    for words in (["--version"], ["--help"]):
        code = (
            f"import sys; from sealpipe.cli.main import main; main({words!r}); "
            "print(sorted({'click', 'typing', 're', 'yaml', 'nacl', 'pathlib'} & set(sys.modules)))"
        )
        environ = {**os.environ, "PYTHONPATH": str(PIPELINE)}
        # -S: site-packages may hold editable installs that import pathlib before us.
        done = subprocess.run(
            [sys.executable, "-S", "-c", code], capture_output=True, text=True, env=environ, check=True
        )
        assert done.stdout.rstrip().endswith("[]")


def test_help_names_every_command_and_fits_a_terminal() -> None:
    done = sealpipe("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Configuration from a pull request to a running service.\n")
    for name in registry.COMMANDS:
        assert f"\n  {name} " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110


def test_nothing_typed_shows_the_help_and_is_a_usage_error() -> None:
    done = sealpipe()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Start\n  demo" in done.stderr


def test_unknown_command_is_told_with_what_was_meant() -> None:
    done = sealpipe("vaildate")
    assert done.returncode == 2
    assert done.stderr == (
        "error[usage]: there is no command `vaildate`\n  hint: did you mean `sealpipe validate`?\n"
    )


def test_a_group_alone_shows_its_help_and_is_a_usage_error() -> None:
    done = sealpipe("add")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: sealpipe add ")
    assert "  service      Add a service: its layers, its schema, and its keys" in done.stderr


def test_every_command_of_the_table_has_its_file_and_help() -> None:
    for name, (_, _, subcommands) in registry.COMMANDS.items():
        found = registry.load_command(name)
        assert found.name == name
        assert set(subcommands) <= set(getattr(found, "commands", {})) or name == "completion"


def test_errors_have_their_shape_and_code(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(
        raises(TrustError("no-key", "no key was found", why=["looked in two places"], hint=["sealpipe init"]))
    )
    assert main(["probe"]) == 6
    got = capsys.readouterr()
    assert got.out == ""
    assert got.err == ("error[no-key]: no key was found\n  looked in two places\n  hint: sealpipe init\n")


def test_input_error_prints_all_findings_with_the_line(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]
) -> None:
    one = Finding(
        "unknown-key",
        "checkout has no setting `timout_s` here",
        Where("environments/dev/checkout.yaml", 3, 3),
        "http.timout_s",
        why=("allowed: port, timeout_s",),
        hint=("sealpipe mv dev/checkout http.timout_s http.timeout_s",),
        source="  timout_s: 3",
        width=8,
    )
    two = Finding(
        "plaintext-secret", "not sealed", Where("environments/dev/mailer.yaml", 2, 13), "smtp.password"
    )
    command(raises(InputError([one, two])))
    assert main(["probe", "-C", "."]) == 4
    assert (
        capsys.readouterr().err
        == """\
error[unknown-key]: environments/dev/checkout.yaml:3:3  http.timout_s
  checkout has no setting `timout_s` here
      3 |   timout_s: 3
        |   ^^^^^^^^
  allowed: port, timeout_s
  hint: sealpipe -C . mv dev/checkout http.timout_s http.timeout_s

error[plaintext-secret]: environments/dev/mailer.yaml:2:13  smtp.password
  not sealed
"""
    )


def test_a_bug_shows_its_type_and_place_and_nothing_it_holds(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def body(opts: Common) -> int | None:
        password = SECRET
        output.paint(password, password, True)  # KeyError whose text is the password
        return None

    command(body)
    assert main(["probe"]) == 1
    got = capsys.readouterr()
    assert SECRET not in got.out + got.err
    assert "this is a bug in sealpipe" in got.err
    assert "KeyError at sealpipe/cli/output.py:" in got.err
    assert "Traceback" not in got.err


def test_interrupt_is_130_with_a_sentence(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (KeyboardInterrupt(), EOFError()):
        command(raises(error))
        assert main(["probe"]) == 130
        assert "interrupted" in capsys.readouterr().err


def test_a_file_problem_is_no_bug(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raises(PermissionError(13, "Permission denied", "environments/dev/x.yaml")))
    assert main(["probe"]) == 1
    assert capsys.readouterr().err == "error[system]: environments/dev/x.yaml: Permission denied\n"


@pytest.mark.parametrize("words", ["completion bash", "--help"])
def test_the_reader_going_away_is_quiet(words: str) -> None:
    # The reader is gone for certain once `true` has ended and the pipe's only reader with it.
    command = f"(sleep 0.3; {sys.executable} -m sealpipe.cli.main {words}; echo $? >&3) 3>&2 | true"
    environ = {**os.environ, "PYTHONPATH": str(PIPELINE)}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environ, check=True)
    assert done.stderr.strip() == "141"


def test_what_was_typed_is_not_repeated(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda _: None)
    for words in (["dev", SECRET], ["--" + SECRET], ["--count", SECRET], ["dev", "x", SECRET]):
        assert main(["probe", *words]) == 2
        got = capsys.readouterr()
        assert got.err.startswith("error[usage]: ")
        assert SECRET not in got.err + got.out
        assert "probe --help" in got.err


@pytest.mark.parametrize(
    "words",
    [
        ["--yes", "-q", "--format", "json", "--dry-run", "probe", "dev"],
        ["probe", "dev", "--yes", "-q", "--format=json", "--dry-run"],
        ["-q", "--yes", "probe", "--format", "json", "dev", "--dry-run"],
    ],
)
def test_common_options_stand_before_or_after(command: Callable[[Body], None], words: list[str]) -> None:
    seen: list[Common] = []
    command(seen.append)
    assert main(words) == 0
    assert (seen[0].yes, seen[0].quiet, seen[0].dry_run, seen[0].format) == (True, True, True, "json")
    assert not seen[0].verbose


def test_c_works_in_a_folder_from_both_sides(
    command: Callable[[Body], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Common] = []
    command(seen.append)
    for words in (["-C", str(tmp_path), "probe"], ["probe", "-C", str(tmp_path)], [f"-C{tmp_path}", "probe"]):
        assert main(words) == 0
        assert seen[-1].folder == str(tmp_path.resolve())
    assert main(["-C", str(tmp_path / "missing"), "probe"]) == 2
    assert "error[no-folder]" in capsys.readouterr().err


def test_the_return_value_is_the_exit_code(command: Callable[[Body], None]) -> None:
    command(lambda _: 3)
    assert main(["probe"]) == 3


def test_a_format_that_a_command_lacks(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda _: None)
    assert main(["probe", "--format", "sarif"]) == 2
    assert capsys.readouterr().err == "error[usage]: --format is one of text, json here\n"


def test_command_help_has_examples_before_options(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda _: None)
    for words in (["probe", "--help"], ["probe", "-h"], ["help", "probe"]):
        assert main(words) == 0
        text = capsys.readouterr().out
        assert text.index("sealpipe probe dev") < text.index("--count")
        assert text.startswith("Usage: sealpipe probe [OPTIONS] [ENV[/SERVICE]]")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("dev", Target("dev")),
        ("dev/", Target("dev")),
        ("dev/checkout", Target("dev", "checkout")),
        ("dev/_all", Target("dev", "_all")),
        ("environments/dev/checkout.yaml", Target("dev", "checkout")),
        ("./environments/dev", Target("dev")),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert options.parse_target(text) == target


@pytest.mark.parametrize("text", ["", "/", "Dev", "dev/a/b", "../dev", "dev//x", "dev/x.yml", "-dev"])
def test_not_targets(text: str) -> None:
    with pytest.raises(UsageError):
        options.parse_target(text)


def test_colour_follows_the_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.wants_color("always", sys.stdout)
    assert not output.wants_color("auto", io.StringIO())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert output.wants_color("auto", io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.wants_color("auto", sys.stdout)
    assert output.wants_color("always", sys.stdout)


def test_control_characters_do_not_reach_a_terminal() -> None:
    finding = Finding("x", "a\x1b[2Jb\u202ec", Where("f.yaml", 1))
    assert output.finding_lines(finding) == ["error[x]: f.yaml:1 a\\x1b[2Jb\\x202ec"]


def test_a_question_without_a_terminal_is_refused_with_the_flag(tmp_path: Path) -> None:
    opts = Common(str(tmp_path), "", "text", False, False, False, False, False)
    with pytest.raises(RefusedError) as caught:
        output.confirm(opts, "Publish?")
    assert "--yes" in str(caught.value)
    yes = Common(str(tmp_path), "", "text", False, False, True, False, False)
    output.confirm(yes, "Publish?")


def test_verbose_logs_runs_and_writes_and_no_content(tmp_path: Path) -> None:
    code = (
        "import os, subprocess; from sealpipe.cli.output import run_log; run_log(on=True); "
        "subprocess.run(['git', 'rev-parse', '--version']); "
        f"subprocess.run(['sh', '-c', 'true {SECRET}']); "
        f"open('a', 'w').write('{SECRET}'); os.rename('a', 'b')"
    )
    environ = {**os.environ, "PYTHONPATH": str(PIPELINE)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, cwd=tmp_path, check=True
    )
    assert "run git rev-parse --version" in done.stderr
    assert "run sh\n" in done.stderr
    assert "write b" in done.stderr
    assert SECRET not in done.stderr


def test_progress_shows_after_a_second_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    opts = Common("/", "", "text", False, False, False, False, False)
    monkeypatch.setenv("TERM", "xterm")
    for screen, wait, drawn in ((Screen(), 0.0, False), (Screen(), 1.3, True), (io.StringIO(), 1.1, False)):
        monkeypatch.setattr(sys, "stderr", screen)
        with output.progress(opts, "reading") as change:
            change("comparing")
            time.sleep(wait)
        assert ("comparing …" in screen.getvalue()) is drawn
        assert screen.getvalue().endswith("\r\x1b[K") if drawn else screen.getvalue() == ""


def test_the_run_log_ends_with_its_command() -> None:
    program = (
        "import subprocess; from sealpipe.cli.main import main; "
        "main(['completion', 'bash', '-v']); subprocess.run(['true'], check=True); "
        "main(['completion', 'bash']); subprocess.run(['uname'], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "pipeline")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "] run true" in done.stderr
    assert "] run uname" not in done.stderr
