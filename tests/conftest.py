"""Every test starts without the developer's own keys, settings and git configuration."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["servers.fixtures"]

_OURS = ("SEALPIPE_", "SOPS_", "AGE_", "GIT_", "GITHUB_", "PUBLISHED_")
_SWITCHES = ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "EDITOR", "VISUAL", "PYTHONPATH")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="a skipped test fails: all it needs must be there"
    )


def pytest_configure() -> None:
    # A shell starts what runs behind it with interrupts ignored, and that is inherited: Ctrl-C is tested too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was skipped, by what would bring it: said also where everything else passed."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, times in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED {times} tests: {reason}", yellow=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield
    if item.config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"skipped where skips are forbidden: {reason}"
    return report


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and none of our variables. Returns the home folder."""
    for name in list(os.environ):
        if name.startswith(_OURS) or name in _SWITCHES:
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for kind in ("config", "cache", "state"):
        monkeypatch.setenv(f"XDG_{kind.upper()}_HOME", str(home / f".{kind}"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Anna Example")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "anna@example.org")
    return home
