"""After a change of root, on a machine whose pin moved on: what was published before is still ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sealpipe.flows.targets import reader_of
from sealpipe.pins import find_pins
from sealpipe.roots import Pin, root_digest
from sealpipe.stages.load import load
from sealpipe.trees import WorkTree
from terminal import Terminal, new_repository


@pytest.fixture
def shop(tmp_path: Path) -> Terminal:
    """One release under the first root; then a recovery key makes a second one, and the pin moves on."""
    folder = tmp_path / "shop"
    folder.mkdir()
    made = new_repository(folder, "checkout")
    made("set", "dev/checkout", "db.pool_max", "20")
    made("publish", "dev")
    made("set", "dev/checkout", "db.pool_max", "30")
    made("publish", "dev")
    made("add", "environment", "qa", "--publish-to", "file:../qa")
    made("trust", "admins", "qa", "--protected", "--branch", "main", "--recovery-to", "../recovery")
    return made


def moved_on(shop: Terminal) -> None:
    from sealpipe.pins import store_pin

    workspace = load(WorkTree(str(shop.folder)))
    assert workspace.trust is not None
    assert workspace.roots is not None
    store_pin(os.environ, workspace.trust, workspace.roots)


def test_heads_and_archives_of_before_are_ours(shop: Terminal) -> None:
    moved_on(shop)
    out = shop("status", "dev").out
    assert "EDITED BY HAND" not in out
    assert "1 of 1 as they must be" in shop("verify", "dev").out
    assert "content of #1" in shop("rollback", "dev/checkout", "--dry-run").out
    assert "published  checkout #3" in shop("publish", "dev").out
    assert "1 of 1 as they must be" in shop("verify", "dev").out


def test_a_root_that_the_chain_does_not_carry_counts_for_nothing(shop: Terminal) -> None:
    """Who can write the repository puts a root of his own in front of the chain, without its signatures."""
    from dataclasses import replace

    from sealpipe.roots import Link, Root

    moved_on(shop)
    workspace = load(WorkTree(str(shop.folder)))
    assert workspace.roots is not None
    pins = find_pins(os.environ, workspace.project.id)
    assert len(reader_of(workspace, pins).pins) == 3, "the pin, and the two roots of the chain"
    theirs = Root(1, (bytes(range(32)),))
    forged = replace(
        workspace.roots, roots=(theirs, *workspace.roots.roots), links=(Link(()), *workspace.roots.links)
    )
    digest = root_digest(workspace.project.id, theirs)
    assert digest not in {pin.digest for pin in reader_of(replace(workspace, roots=forged), pins).pins}
    stranger = (Pin(bytes(32), 0, ""),)
    assert reader_of(workspace, stranger).pins == stranger
