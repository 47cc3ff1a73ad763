"""Approval files: whose signature over what counts, and that a forged one is as good as none."""

from __future__ import annotations

from pathlib import Path

import pytest

from publishing import KEYS, PROJECT, A, content, make_draft, make_trust, signing
from sealpipe.documents.write import dump_yaml
from sealpipe.errors import TrustError
from sealpipe.publishing.approvals import approval_file, approvals, approve, missing, role_of
from sealpipe.publishing.sign import sign
from sealpipe.released import Unit
from sealpipe.trees import WorkTree
from sealpipe.trust import Role

ROLES = {"dev": {"publishers": ["ci"], "approvals": {"need": 2, "of": ["anna", "ben"]}}}
TRUST = make_trust(environments=ROLES)
DIGEST = make_draft(A, {"n": 1}).digest
OTHER = make_draft(A, {"n": 2}).digest


def write(root: Path, *names: str, digest: str = DIGEST, at: str = DIGEST, unit: Unit = A) -> Path:
    """The file of `at`, with signatures of these keys over `digest` of `unit`."""
    tree = WorkTree(root)
    data = approve(tree, TRUST, unit, digest, [(name, KEYS[name]) for name in names])
    path = root / approval_file(A, at)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_yaml({**data, "service": A.service, "draft": at}))
    return path


def have(root: Path, digest: str = DIGEST) -> tuple[str, ...]:
    pairs = approvals(WorkTree(root), TRUST, A, digest, None)
    gap = missing(TRUST, A, digest, pairs)
    return gap.have if gap else ("anna", "ben")


def test_approvals_add_up(tmp_path: Path) -> None:
    assert have(tmp_path) == ()
    write(tmp_path, "ben")
    assert have(tmp_path) == ("ben",)
    write(tmp_path, "anna")
    assert have(tmp_path) == ("anna", "ben")


def test_one_key_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "ben", "ben")
    assert have(tmp_path) == ("ben",)


def test_a_signature_over_something_else_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, "anna", digest=OTHER)
    assert have(tmp_path) == ()
    write(tmp_path, "ben", unit=Unit("dev", "b"))
    assert "ben" not in have(tmp_path)


def test_who_is_no_approver_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, "ci")
    assert approvals(WorkTree(tmp_path), TRUST, A, DIGEST, None) == ()


def test_a_file_of_another_content_is_not_looked_at(tmp_path: Path) -> None:
    write(tmp_path, "anna", "ben")
    assert have(tmp_path, OTHER) == ()


def test_a_file_that_is_no_approval_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "anna")
    path.write_text(path.read_text() + "more: 1\n")
    with pytest.raises(TrustError) as caught:
        have(tmp_path)
    assert caught.value.word == "malformed-approval"


def test_what_was_published_was_approved(tmp_path: Path) -> None:
    write(tmp_path, "anna", "ben")
    pairs = approvals(WorkTree(tmp_path), TRUST, A, DIGEST, None)
    found = sign([content(A, {"n": 1}, approvals=pairs)], {}, signing(trust=TRUST)).releases[0].release
    (tmp_path / approval_file(A, DIGEST)).unlink()
    assert len(approvals(WorkTree(tmp_path), TRUST, A, DIGEST, found)) == 2
    assert approvals(WorkTree(tmp_path), TRUST, A, OTHER, found) == ()


def test_where_nobody_asks() -> None:
    assert role_of(make_trust(), "dev") == Role(0, ())
    assert role_of(make_trust(), "nosuch") == Role(0, ())
    assert missing(make_trust(), A, DIGEST, ()) is None
    assert TRUST.project == PROJECT
