"""Changes of trust.yaml: who may make them, what they do to roots, and what waits for a second signature."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealpipe.crypto.keys import Identity, SigningKey, parse_signing_key
from sealpipe.crypto.signing import verify
from sealpipe.errors import RefusedError, SealpipeError, UsageError
from sealpipe.membership.keyring_edit import ensure_document_key
from sealpipe.membership.resign import co_sign, resign_keyrings
from sealpipe.membership.trust_edit import (
    Roles,
    TrustEdit,
    add_environment,
    add_key,
    edit_role,
    remove_key,
    set_need,
)
from sealpipe.trust import chain_matches, check_signed, pin_text, root_of
from team import ANNA, BEN, CARL, CI, PROJECT, Team


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path, ["dev", "production"])


def add_ben(team: Team, roles: Roles = Roles(admin=("dev", "production"), root=True)) -> TrustEdit:  # noqa: B008
    edit = add_key(
        team.load(), [ANNA.sign], "ben", sign_public=BEN.sign.public, read=BEN.read.recipient, roles=roles
    )
    team.take(edit)
    return edit


def word(error: pytest.ExceptionInfo[SealpipeError]) -> str:
    return error.value.word


class TestAdd:
    def test_a_machine_with_roles(self, team: Team) -> None:
        edit = add_key(
            team.load(),
            [ANNA.sign],
            "ci",
            sign_public=CI.public,
            kind="machine",
            roles=Roles(publishes=("production",), break_glass=("dev",)),
        )
        workspace = team.take(edit)
        assert workspace.trust is not None
        assert workspace.trust.version == 2
        assert workspace.trust.past == (team.trust.digest,)
        assert workspace.trust.environments["production"].publishers.of == ("anna", "ci")
        assert workspace.trust.environments["dev"].break_glass.of == ("ci",)
        assert edit.recovery is None
        assert team.words(workspace) == []

    def test_replacing_a_key_keeps_its_roles(self, team: Team) -> None:
        """The runbook's leaked CI key: one command."""
        team.take(
            add_key(
                team.load(), [ANNA.sign], "ci", sign_public=CI.public, kind="machine",
                roles=Roles(publishes=("production",)),
            )
        )  # fmt: skip
        other = SigningKey(b"\x0a" * 32)
        with pytest.raises(RefusedError) as error:
            add_key(team.load(), [ANNA.sign], "ci", sign_public=other.public, kind="machine")
        assert word(error) == "known-name"
        workspace = team.take(
            add_key(team.load(), [ANNA.sign], "ci", sign_public=other.public, kind="machine", replace=True)
        )
        assert workspace.trust is not None
        assert workspace.trust.keys["ci"].sign == other.public
        assert workspace.trust.environments["production"].publishers.of == ("anna", "ci")
        assert team.words(workspace) == []

    def test_the_same_key_under_another_name_is_refused(self, team: Team) -> None:
        with pytest.raises(RefusedError) as error:
            add_key(team.load(), [ANNA.sign], "anna2", sign_public=ANNA.sign.public)
        assert word(error) == "known-key"

    def test_only_root_changes_trust(self, team: Team) -> None:
        add_ben(team, Roles(admin=("dev",)))
        with pytest.raises(RefusedError) as error:
            add_key(team.load(), [BEN.sign], "carl", sign_public=CARL.sign.public)
        assert word(error) == "not-root"

    @pytest.mark.parametrize("name", ["People", "people", "a b", "", "-x", "x" * 65, "ü"])
    def test_names(self, team: Team, name: str) -> None:
        with pytest.raises(UsageError) as error:
            add_key(team.load(), [ANNA.sign], name, sign_public=CI.public)
        assert word(error) == "bad-name"

    def test_an_unknown_environment_or_name(self, team: Team) -> None:
        with pytest.raises(UsageError) as error:
            add_key(team.load(), [ANNA.sign], "anna", sign_public=None, roles=Roles(admin=("staging",)))
        assert word(error) == "unknown-environment"
        with pytest.raises(UsageError) as error:
            add_key(team.load(), [ANNA.sign], "zoe", sign_public=None)
        assert word(error) == "unknown-name"


class TestRecovery:
    def test_is_made_with_the_second_person_and_only_then(self, team: Team) -> None:
        first = add_ben(team, Roles())
        assert first.recovery is not None
        assert first.recovery_name == "safe"
        assert first.trust.root.of == ("anna", "safe")
        assert first.trust.keys["safe"].kind == "recovery"
        second = add_key(
            team.load(), [ANNA.sign], "carl", sign_public=CARL.sign.public, read=CARL.read.recipient
        )
        assert second.recovery is None

    def test_is_made_with_the_first_protected_environment(self, team: Team) -> None:
        edit = set_need(team.load(), [ANNA.sign], "production", protected=True, branch="release")
        assert edit.recovery is not None
        assert edit.trust.environments["production"].protected
        assert edit.trust.environments["production"].branch == "release"

    def test_does_not_print_and_stands_nowhere(self, team: Team) -> None:
        edit = add_ben(team, Roles())
        assert edit.recovery is not None
        assert edit.recovery not in repr(edit)
        for path in team.root.rglob("*"):
            assert not path.is_file() or edit.recovery.encode() not in path.read_bytes()

    def test_old_pins_still_match(self, team: Team) -> None:
        pins = team.pins()
        edit = add_ben(team, Roles())
        workspace = team.load()
        assert workspace.roots is not None
        assert workspace.trust is not None
        assert chain_matches(PROJECT, workspace.roots, pins, verify)
        check_signed(workspace.trust, workspace.roots, verify)
        assert edit.complete
        assert pin_text(PROJECT, root_of(workspace.trust)) != pins[0].text

    def test_signs_when_all_people_are_gone(self, team: Team) -> None:
        """The runbook's last line: the key from the safe makes a new admin, also of what it must sign."""
        edit = add_ben(team, Roles())
        assert edit.recovery is not None
        safe = parse_signing_key(edit.recovery)
        new = Identity(b"\x0b" * 32)
        after = add_key(
            team.load(),
            [safe],
            "anna2",
            sign_public=new.sign.public,
            read=new.read.recipient,
            roles=Roles(admin=("production",)),
        )
        workspace = team.take(after)
        assert team.words(workspace) == []
        assert after.trust.environments["production"].admins.of == ("anna", "anna2")


class TestSecondSignature:
    def test_a_document_that_needs_two_waits_for_the_second(self, team: Team) -> None:
        add_ben(team)
        both = set_need(team.load(), [ANNA.sign], None, need=2)
        # The new root needs two: the link and the document wait.
        assert not both.complete
        workspace = team.take(both)
        assert "bad-link" in team.words(workspace)
        signed = co_sign(workspace, [BEN.sign])
        assert signed is not None
        assert signed.complete
        workspace = team.take(signed)
        assert team.words(workspace) == []
        assert co_sign(workspace, [BEN.sign]) is None
        assert co_sign(workspace, [CARL.sign]) is None

    def test_old_pins_match_through_every_link(self, team: Team) -> None:
        pins = team.pins()
        add_ben(team)
        team.take(set_need(team.load(), [ANNA.sign, BEN.sign], None, need=2))
        team.take(remove_key(team.load(), [ANNA.sign, BEN.sign], "safe"))
        workspace = team.load()
        assert workspace.roots is not None
        # The removed recovery key was due again at once: two people need one.
        assert len(workspace.roots.roots) == 4
        assert chain_matches(PROJECT, workspace.roots, pins, verify)

    def test_more_than_eight_roots_drop_the_oldest_and_say_so(self, team: Team) -> None:
        add_ben(team)
        edit = None
        for number in range(8):
            need = 2 - number % 2
            edit = set_need(team.load(), [ANNA.sign, BEN.sign], None, need=need)
            team.take(edit)
        assert edit is not None
        assert edit.chain is not None
        assert len(edit.chain.roots) == 8
        assert any("SEALPIPE_TRUST" in note for note in edit.notes)

    def test_keyrings_of_two_admins(self, team: Team) -> None:
        add_ben(team)
        workspace = team.take(set_need(team.load(), [ANNA.sign], "production", need=2))
        assert workspace.trust is not None
        assert team.words(workspace) == ["unsigned-keyring"]
        edits, waiting = resign_keyrings(workspace, workspace.trust, [ANNA.sign])
        assert (edits, waiting) == ((), ("production",))
        edits, waiting = resign_keyrings(workspace, workspace.trust, [BEN.sign])
        assert waiting == ()
        assert team.words(team.take(*edits)) == []


class TestRemove:
    def test_keyrings_of_a_removed_admin_are_signed_again(self, team: Team) -> None:
        add_ben(team)
        workspace = team.load()
        assert workspace.trust is not None
        # Ben takes over: the keyrings carry anna's signature only.
        edit = remove_key(workspace, [BEN.sign], "anna")
        workspace = team.take(edit)
        assert set(team.words(workspace)) == {"unsigned-keyring"}
        edits, waiting = resign_keyrings(workspace, edit.trust, [BEN.sign])
        assert waiting == ()
        workspace = team.take(*edits)
        assert team.words(workspace) == []
        assert workspace.keyrings["dev"].version == 1

    def test_a_foreign_keyring_is_never_signed_into_place(self, team: Team) -> None:
        dev = (team.root / "trust/dev.keyring.yaml").read_text()
        (team.root / "trust/production.keyring.yaml").write_text(dev.replace("version: 1", "version: 2"))
        workspace = team.load()
        assert workspace.trust is not None
        edits, _ = resign_keyrings(workspace, workspace.trust, [ANNA.sign])
        assert edits == ()

    def test_a_role_shrinks_with_its_need(self, team: Team) -> None:
        add_ben(team)
        team.take(set_need(team.load(), [ANNA.sign], "production", need=2))
        edit = remove_key(team.load(), [ANNA.sign], "ben")
        assert edit.trust.environments["production"].admins == (1, ("anna",))
        assert "ben" not in edit.trust.keys
        assert edit.trust.root.of == ("anna", "safe")

    def test_the_last_admin_and_the_last_root_stay(self, team: Team) -> None:
        with pytest.raises(RefusedError) as error:
            remove_key(team.load(), [ANNA.sign], "anna")
        assert word(error) == "last-one"
        add_ben(team, Roles(admin=("dev", "production")))
        with pytest.raises(RefusedError, match="only root"):
            remove_key(team.load(), [ANNA.sign], "anna")

    def test_an_unknown_name(self, team: Team) -> None:
        with pytest.raises(UsageError):
            remove_key(team.load(), [ANNA.sign], "zoe")


class TestEnvironments:
    def test_whoever_signs_is_admin_and_publisher(self, team: Team) -> None:
        edit = add_environment(team.load(), [ANNA.sign], "staging")
        assert edit.trust.environments["staging"].admins.of == ("anna",)
        assert edit.trust.environments["staging"].publishers.of == ("anna",)
        with pytest.raises(RefusedError) as error:
            add_environment(team.load(), [ANNA.sign], "dev")
        assert word(error) == "exists"

    def test_more_signatures_than_names_are_refused(self, team: Team) -> None:
        with pytest.raises(RefusedError) as error:
            set_need(team.load(), [ANNA.sign], "dev", need=2)
        assert word(error) == "too-few"

    def test_a_role_is_a_list_while_one_signature_is_enough(self) -> None:
        data: dict[str, object] = {}
        edit_role(data, "admins", add="a")
        edit_role(data, "admins", add="b")
        assert data == {"admins": ["a", "b"]}
        edit_role(data, "admins", need=2)
        assert data == {"admins": {"need": 2, "of": ["a", "b"]}}
        edit_role(data, "admins", remove="a")
        assert data == {"admins": ["b"]}
        edit_role(data, "admins", remove="b")
        assert data == {}


def test_versions_follow_each_other_in_past(team: Team) -> None:
    """More changes on one branch than `past` holds: the target's digest stays, so nothing looks forked."""
    digests = [team.trust.digest]
    for number in range(18):
        roles = Roles(publishes=("dev",)) if number % 2 else Roles(approves=("dev",))
        edit = add_key(team.load(), [ANNA.sign], "anna", sign_public=None, roles=roles)
        team.take(edit)
        digests.append(edit.trust.digest)
    assert edit.trust.past == (*reversed(digests[-16:-1]), digests[0])
    assert edit.trust.version == 19
    assert team.words() == []


def test_past_of_a_keyring_keeps_the_targets_digest(team: Team) -> None:
    first = team.load().keyrings["dev"].digest
    for number in range(18):
        edit = ensure_document_key(team.load(), "dev", f"service-{number}", keys=[ANNA.sign])
        assert edit is not None
        team.take(edit)
    assert edit is not None
    assert len(edit.keyring.past) == 16
    assert edit.keyring.past[-1] == first
    assert team.words() == []
