"""What must be refused before anything acts on trust.yaml and the keyrings of a repository."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealpipe.checks.trusted import require_trusted, settled_version, target_of, trusted_findings
from sealpipe.crypto.keys import Identity, format_public
from sealpipe.editing.writing import apply
from sealpipe.errors import TrustError
from sealpipe.membership.cards import card_of
from sealpipe.membership.connect import connect
from sealpipe.membership.keyring_edit import grant
from sealpipe.membership.revoke import revoke
from sealpipe.membership.trust_edit import Roles, add_key, remove_key, sign_trust, trust_files
from sealpipe.released import Unit
from sealpipe.stages.load import load
from sealpipe.trees import CommitTree
from sealpipe.trust import Pin, parse_pins, parse_trust, pin_text, root_of
from team import ANNA, BEN, CI, PROJECT, Team, git

TRUST = "trust/trust.yaml"
KEYRING = "trust/production.keyring.yaml"


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def edit(team: Team, file: str, old: str, new: str) -> None:
    path = team.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def join_ben(team: Team) -> None:
    granted = grant(
        team.load(), "ben", ["production"], identity=ANNA, keys=[ANNA.sign], card=card_of("ben", BEN)
    )
    assert granted.trust is not None
    team.take(granted.trust, *granted.keyrings)


def revoke_ben(team: Team) -> None:
    for rotation in revoke(team.load(), "ben", identity=ANNA, keys=[ANNA.sign]):
        team.take(rotation.keyring)
        apply(str(team.root), rotation.files)


class TestSignatures:
    def test_an_honest_repository_has_no_finding(self, team: Team) -> None:
        assert team.words() == []

    def test_a_hand_edit_of_trust_is_found(self, team: Team) -> None:
        edit(team, TRUST, "publishers: [anna]", "publishers: [anna]\n    protected: true")
        assert "bad-signature" in team.words()

    def test_own_signer_added_by_pull_request(self, team: Team) -> None:
        mallory = Identity(b"\x66" * 32)
        data = {k: v for k, v in _data(team).items() if k != "signatures"}
        data["keys"]["mallory"] = {"sign": _text(mallory), "read": mallory.read.recipient}
        data["root"] = ["mallory"]
        data["version"] = 2
        data["past"] = [team.trust.digest]
        apply(str(team.root), trust_files(str(team.root), sign_trust(data, [mallory.sign])))
        assert "foreign-root" in team.words()
        with pytest.raises(TrustError) as error:
            require_trusted(team.load(), pins=team.pins())
        assert error.value.word == "foreign-root"

    @pytest.mark.parametrize("role", ["publishers", "break_glass"])
    def test_a_role_that_no_publish_can_meet(self, team: Team, role: str) -> None:
        """Services honour it, one command signs with one key: it is said before anything is published."""
        data = {k: v for k, v in _data(team).items() if k != "signatures"}
        data["keys"]["ci"] = {"sign": format_public("ed25519", CI.public), "kind": "machine"}
        data["environments"]["dev"][role] = {"need": 2, "of": ["anna", "ci"]}
        data["version"] = 2
        data["past"] = [team.trust.digest]
        apply(str(team.root), trust_files(str(team.root), sign_trust(data, [ANNA.sign])))
        assert team.words() == ["publishers-need"]
        with pytest.raises(TrustError) as error:
            require_trusted(team.load(), pins=team.pins())
        assert error.value.word == "publishers-need"

    def test_without_a_pin_reading_warns_and_writing_refuses(self, team: Team) -> None:
        [finding] = trusted_findings(team.load(), pins=())
        assert (finding.word, finding.severity) == ("no-pin", "warning")
        with pytest.raises(TrustError) as error:
            require_trusted(team.load(), pins=())
        assert (error.value.word, error.value.exit_code) == ("no-pin", 6)

    def test_a_hand_edited_keyring_is_found(self, team: Team) -> None:
        edit(team, KEYRING, "2026-05-04", "2026-05-05")
        assert team.words() == ["unsigned-keyring"]

    def test_the_keyring_of_another_environment_is_found(self, team: Team) -> None:
        """Validly signed, and everybody who reads dev would read production's new secrets."""
        shutil.copy(team.root / "trust/dev.keyring.yaml", team.root / KEYRING)
        assert "foreign-keyring" in team.words()

    def test_trust_of_another_project_is_found(self, tmp_path: Path, team: Team) -> None:
        edit(team, "sealpipe.yaml", PROJECT, "a" * 32)
        assert "foreign-trust" in team.words()

    def test_a_missing_trust_file_is_found(self, team: Team) -> None:
        (team.root / TRUST).unlink()
        assert team.words() == ["no-trust"]

    def test_an_unknown_field_is_found(self, team: Team) -> None:
        edit(team, KEYRING, "format: 1", "format: 1\nmin_epoch: 3")
        assert "malformed-keyring" in team.words()

    def test_a_pin_with_a_higher_version_refuses(self, team: Team) -> None:
        [pin] = team.pins()
        assert team.words(pins=(pin._replace(min_version=2),)) == ["older-trust"]

    def test_a_root_change_is_carried_by_its_link(self, team: Team) -> None:
        old = team.pins()
        join_ben(team)  # a second person: the recovery root key appears
        assert (team.root / "trust/roots.yaml").exists()
        assert team.words(pins=old) == []
        (team.root / "trust/roots.yaml").unlink()
        assert "foreign-root" in team.words(pins=old)

    def test_a_broken_link_is_found_without_a_pin(self, team: Team) -> None:
        join_ben(team)
        text = (team.root / "trust/roots.yaml").read_text()
        head, _, _ = text.partition("links:")
        (team.root / "trust/roots.yaml").write_text(head + "links: [{signatures: []}]\n")
        assert "bad-link" in team.words(pins=())


class TestTarget:
    """`main` is the target branch; work happens on a branch."""

    def test_a_change_that_follows_is_fine(self, team: Team) -> None:
        git(team.root, "switch", "-qc", "work")
        join_ben(team)
        team.commit()
        assert team.words() == []

    def test_forked_trust_and_keyring(self, team: Team) -> None:
        """Both branches change it: taking one side of the merge would undo the other's revocation."""
        git(team.root, "switch", "-qc", "work")
        join_ben(team)
        team.commit()
        git(team.root, "switch", "-q", "main")
        machine = connect(team.load(), Unit("production", "mailer"), identity=ANNA, keys=[ANNA.sign])
        team.take(
            add_key(team.load(), [ANNA.sign], "ci", sign_public=CI.public, kind="machine"),
            *machine.keyrings,
        )
        team.commit()
        git(team.root, "switch", "-q", "work")
        findings = trusted_findings(team.load(), pins=team.pins())
        assert [f.word for f in findings] == ["forked-trust", "forked-keyring"]
        hints = [hint for f in findings for hint in f.hint]
        assert f"git checkout main -- {TRUST}" in hints

    def test_the_hint_works(self, team: Team) -> None:
        self.test_forked_trust_and_keyring(team)
        for file in (TRUST, KEYRING):
            git(team.root, "checkout", "main", "--", file)
        (team.root / "trust/roots.yaml").unlink()
        join_ben(team)
        team.commit()
        assert team.words() == []
        keyring = team.load().keyrings["production"]
        assert {"ben", "mailer-1"} <= set(keyring.readers)

    def test_yesterdays_keyring_restored(self, team: Team) -> None:
        """Ben was revoked; he puts back the signed keyring of the day before."""
        join_ben(team)
        yesterday = (team.root / KEYRING).read_bytes()
        team.commit("ben reads")
        revoke_ben(team)
        team.commit("ben is gone")
        git(team.root, "switch", "-qc", "ben")
        (team.root / KEYRING).write_bytes(yesterday)
        team.commit("restore")
        assert team.words() == ["older-keyring"]
        git(team.root, "switch", "-q", "main")
        git(team.root, "merge", "-q", "--ff-only", "ben")
        # Once merged, only the history tells.
        assert team.words() == ["older-keyring"]

    def test_yesterdays_keyring_in_the_working_copy(self, team: Team) -> None:
        join_ben(team)
        yesterday = (team.root / KEYRING).read_bytes()
        team.commit()
        revoke_ben(team)
        team.commit()
        (team.root / KEYRING).write_bytes(yesterday)
        with pytest.raises(TrustError) as error:
            require_trusted(team.load(), pins=team.pins())
        assert error.value.word == "older-keyring"

    def test_yesterdays_trust_restored(self, team: Team) -> None:
        join_ben(team)
        yesterday = (team.root / TRUST).read_bytes()
        team.commit()
        team.take(remove_key(team.load(), [ANNA.sign], "ben"))
        team.commit()
        (team.root / TRUST).write_bytes(yesterday)
        team.commit("back")
        assert "older-trust" in team.words()

    def test_a_removed_keyring_is_found(self, team: Team) -> None:
        git(team.root, "switch", "-qc", "work")
        (team.root / KEYRING).unlink()
        team.commit()
        assert team.words() == ["forked-keyring"]

    def test_a_branch_that_lies_behind_warns_and_does_not_write(self, team: Team) -> None:
        git(team.root, "switch", "-qc", "work")
        team.commit("work")
        git(team.root, "switch", "-q", "main")
        join_ben(team)
        team.commit()
        git(team.root, "switch", "-q", "work")
        findings = trusted_findings(team.load(), pins=team.pins())
        assert {(f.word, f.severity) for f in findings} == {
            ("older-trust", "warning"),
            ("older-keyring", "warning"),
        }
        with pytest.raises(TrustError):
            require_trusted(team.load(), pins=team.pins())

    def test_the_remotes_branch_is_the_target_where_there_is_one(self, team: Team, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
        remote = tmp_path_factory.mktemp("remote")
        git(remote, "init", "-q", "--bare", "-b", "main")
        git(team.root, "remote", "add", "origin", str(remote))
        git(team.root, "push", "-q", "origin", "main")
        join_ben(team)
        team.commit()
        target = target_of(team.load())
        assert target is not None
        assert target.trust is not None
        assert target.trust.version == 1
        assert settled_version(team.load()) == 1
        git(team.root, "push", "-q", "origin", "main")
        assert settled_version(team.load()) == 2

    def test_an_unsigned_high_version_in_the_history_blocks_nobody(self, team: Team) -> None:
        git(team.root, "switch", "-qc", "work")
        edit(team, TRUST, "version: 1", "version: 999")
        edit(team, KEYRING, "version: 1", "version: 999")
        team.commit("mischief")
        git(team.root, "switch", "-q", "main")
        git(team.root, "merge", "-q", "--no-ff", "-m", "m", "work")
        git(team.root, "checkout", "HEAD~1", "--", "trust")
        team.commit("undo")
        assert team.words() == []

    def test_versions_rise_above_all_that_was_seen(self, team: Team) -> None:
        git(team.root, "switch", "-qc", "work")
        join_ben(team)
        team.take(add_key(team.load(), [ANNA.sign], "ben", sign_public=None, roles=Roles(publishes=("dev",))))
        team.commit()
        git(team.root, "checkout", "main", "--", "trust")
        (team.root / "trust/roots.yaml").unlink()
        edit_ = add_key(team.load(), [ANNA.sign], "ci", sign_public=CI.public, kind="machine")
        assert edit_.trust.version == 4

    def test_a_commit_can_be_checked_too(self, team: Team) -> None:
        join_ben(team)
        team.commit()
        workspace = load(CommitTree(team.root, "HEAD"))
        assert team.words(workspace) == []

    def test_outside_git_signatures_still_count(self, tmp_path: Path, team: Team) -> None:
        bare = tmp_path / "copy"
        shutil.copytree(team.root, bare, ignore=shutil.ignore_patterns(".git", "copy"))
        # Inside the other repository's folder and not part of it: still read, still signed.
        from sealpipe.trees import WorkTree

        workspace = load(WorkTree(bare))
        workspace = replace(workspace, commit=workspace.commit._replace(commit=""))
        assert team.words(workspace) == []


def _data(team: Team) -> dict[str, Any]:
    from sealpipe.documents.read import read_yaml

    return read_yaml((team.root / TRUST).read_text(), file=TRUST)


def _text(identity: Identity) -> str:
    from sealpipe.crypto.keys import format_public

    return format_public("ed25519", identity.sign.public)


def test_pins_of_the_new_root_match_too(team: Team) -> None:
    join_ben(team)
    trust = team.load().trust
    assert trust is not None
    pins: tuple[Pin, ...] = parse_pins(pin_text(PROJECT, root_of(trust)))
    assert team.words(pins=pins) == []
    assert parse_trust(_data(team)).version == 2
