"""Every refusal of the commands that write, sign and publish: a folder each, with the exact text.

`cases/refusals` has plan, publish, rollback, approve and adopt; `cases/refusals-trust` keys and trust;
`cases/refusals-writing` what changes values. `refusing.py` says what the steps are.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leaking import Sweep
from refusing import Case
from shipping import Shop

CASES = Path(__file__).parent.parent / "cases"
NAMES = sorted(
    f"{kind}/{folder.name}"
    for kind in ("refusals", "refusals-trust", "refusals-writing")
    for folder in Path(CASES, kind).iterdir()
    if folder.is_dir()
)
leaks = Sweep("pw-dev", "pw-production", "canary", "another-dev", "another-production")


@pytest.mark.parametrize("name", NAMES)
def test_refused_with_exactly_this_text(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    case = Case(Shop(folder, monkeypatch, capsys))
    refused = case.play((CASES / name / "steps.txt").read_text())
    done = refused.done
    assert done.code == refused.code, done
    assert case.said(done.err) == (CASES / name / "expected.txt").read_text()
    everything = done.err + done.out
    for text in ("Traceback", "ENC[NACL1"):
        assert text not in everything
    assert not leaks(everything)
    assert not re.search(r"-KEY-1[A-Z0-9]", everything)
    assert refused.after == refused.before  # nothing half done


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) >= 200


@pytest.mark.parametrize("name", NAMES)
def test_every_case_ends_with_a_refusal(name: str) -> None:
    steps = (CASES / name / "steps.txt").read_text().splitlines()
    assert steps[-1].startswith("refused ")
    assert re.search(
        r"^(?:error|warning)\[[a-z-]+\]", (CASES / name / "expected.txt").read_text(), re.MULTILINE
    )
