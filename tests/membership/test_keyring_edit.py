"""Keyrings: who is granted what, by whom, and what a revocation does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sealpipe.crypto.keys import PrivateKey, parse_private_key
from sealpipe.crypto.sealing import box
from sealpipe.editing.writing import apply
from sealpipe.errors import RefusedError, SealpipeError, TrustError, UsageError
from sealpipe.membership.cards import card_of, parse_card
from sealpipe.membership.connect import connect
from sealpipe.membership.exposure import exposure, stale
from sealpipe.membership.keyring_edit import ensure_document_key, finish_keyring, grant, missing_boxes
from sealpipe.membership.revoke import renew, revoke
from sealpipe.membership.trust_edit import Roles, add_key
from sealpipe.model import DocumentId, Workspace
from sealpipe.opening import document_keys, open_token, sealed_in
from sealpipe.released import Unit
from sealpipe.tokens import place
from team import ANNA, BEN, CARL, Team


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def join_ben(team: Team, *environments: str) -> Workspace:
    granted = grant(
        team.load(), "ben", environments, identity=ANNA, keys=[ANNA.sign], card=card_of("ben", BEN)
    )
    assert granted.trust is not None
    return team.take(granted.trust, *granted.keyrings)


def opened(workspace: Workspace, key: PrivateKey, environment: str, document: str) -> list[object]:
    """Every secret of a document, opened with a key."""
    known = DocumentId(environment, document)
    keys = document_keys(workspace.keyrings[environment], key).get(document, ())
    return [
        open_token(sealed.token, place(environment, document, sealed.typed or ()), keys)
        for sealed in sealed_in(workspace.documents[known])
    ]


def word(error: pytest.ExceptionInfo[SealpipeError]) -> str:
    return error.value.word


class TestGrant:
    def test_a_new_person_reads_every_document_of_the_environment_and_no_other(self, team: Team) -> None:
        workspace = join_ben(team, "production")
        assert opened(workspace, BEN.read, "production", "checkout") == ["pw-production"]
        assert opened(workspace, BEN.read, "production", "_payments") == ["tok"]
        assert document_keys(workspace.keyrings["dev"], BEN.read) == {}
        assert workspace.trust is not None
        assert workspace.trust.keys["ben"].sign == BEN.sign.public
        assert team.words(workspace) == []

    def test_changes_no_token_and_one_keyring(self, team: Team) -> None:
        before = {document: known.text for document, known in team.load().documents.items()}
        workspace = join_ben(team, "production")
        assert {document: known.text for document, known in workspace.documents.items()} == before
        assert workspace.keyrings["dev"].version == 1
        assert workspace.keyrings["production"].version == 2

    def test_the_same_again_changes_nothing(self, team: Team) -> None:
        workspace = join_ben(team, "dev")
        again = grant(workspace, "ben", ["dev"], identity=ANNA, keys=[ANNA.sign])
        assert again.keyrings == ()
        assert again.already == ("dev",)

    def test_needs_a_card_for_an_unknown_name(self, team: Team) -> None:
        with pytest.raises(UsageError) as error:
            grant(team.load(), "ben", ["dev"], identity=ANNA, keys=[ANNA.sign])
        assert word(error) == "unknown-name"
        assert "--card" in str(error.value)

    def test_another_key_under_a_known_name_is_refused(self, team: Team) -> None:
        workspace = join_ben(team, "dev")
        with pytest.raises(RefusedError) as error:
            grant(workspace, "ben", ["dev"], identity=ANNA, keys=[ANNA.sign], card=card_of("ben", CARL))
        assert word(error) == "known-name"

    def test_only_an_admin_grants(self, team: Team) -> None:
        workspace = join_ben(team, "dev")
        with pytest.raises(RefusedError) as error:
            grant(workspace, "anna", ["dev"], identity=BEN, keys=[BEN.sign])
        assert word(error) == "not-admin"

    def test_only_root_registers(self, team: Team) -> None:
        workspace = join_ben(team, "dev")
        workspace = team.take(
            add_key(workspace, [ANNA.sign], "ben", sign_public=None, roles=Roles(admin=("dev",)))
        )
        with pytest.raises(RefusedError) as error:
            grant(workspace, "carl", ["dev"], identity=BEN, keys=[BEN.sign], card=card_of("carl", CARL))
        assert word(error) == "not-root"

    def test_an_admin_who_cannot_read_lets_nobody_read(self, team: Team) -> None:
        workspace = join_ben(team, "dev")
        workspace = team.take(
            add_key(workspace, [ANNA.sign], "ben", sign_public=None, roles=Roles(admin=("production",)))
        )
        with pytest.raises(RefusedError) as error:
            grant(workspace, "ben", ["production"], identity=BEN, keys=[BEN.sign])
        assert word(error) == "not-a-reader"

    def test_a_card_is_one_line_and_reads_back(self) -> None:
        card = card_of("ben", BEN)
        assert parse_card(str(card)) == card
        assert str(card).startswith("sealpipe-card-1 ben age1")
        for bad in ("", "sealpipe-card-1 ben", str(card) + " x", str(card).replace("ed25519", "x25519")):
            with pytest.raises(UsageError):
                parse_card(bad)


class TestDocumentKey:
    def test_an_admin_adds_one_without_reading(self, team: Team) -> None:
        edit = ensure_document_key(team.load(), "dev", "mailer", keys=[ANNA.sign])
        assert edit is not None
        workspace = team.take(edit)
        assert "mailer" in document_keys(workspace.keyrings["dev"], ANNA.read)
        assert ensure_document_key(workspace, "dev", "mailer", keys=[ANNA.sign]) is None

    def test_is_boxed_to_machines_that_inherit_the_document(self, team: Team) -> None:
        made = connect(team.load(), Unit("dev", "checkout"), identity=ANNA, keys=[ANNA.sign])
        workspace = team.take(*made.keyrings)
        edits = [
            ensure_document_key(workspace, "dev", name, keys=[ANNA.sign]) for name in ("_payments", "mailer")
        ]
        assert edits[0] is not None
        assert edits[1] is not None
        assert set(edits[0].keyring.keys["_payments"].private) == {"people", made.name}
        assert set(edits[1].keyring.keys["mailer"].private) == {"people"}

    def test_anyone_else_is_told_who_can(self, team: Team) -> None:
        with pytest.raises(RefusedError) as error:
            ensure_document_key(team.load(), "dev", "mailer", keys=[BEN.sign])
        assert word(error) == "not-admin"
        assert "anna" in str(error.value)


class TestConnect:
    def test_a_machine_reads_what_its_unit_inherits_and_nothing_else(self, team: Team) -> None:
        made = connect(team.load(), Unit("production", "checkout"), identity=ANNA, keys=[ANNA.sign])
        workspace = team.take(*made.keyrings)
        key = parse_private_key(made.secret)
        assert set(document_keys(workspace.keyrings["production"], key)) == {"_all", "_payments", "checkout"}
        assert opened(workspace, key, "production", "checkout") == ["pw-production"]
        assert document_keys(workspace.keyrings["dev"], key) == {}
        assert made.name == "checkout-1"
        assert team.words(workspace) == []

    def test_inherited_documents_are_boxed_in_the_parents_keyring(self, team: Team) -> None:
        made = connect(team.load(), Unit("production-eu", "checkout"), identity=ANNA, keys=[ANNA.sign])
        workspace = team.take(*made.keyrings)
        key = parse_private_key(made.secret)
        assert opened(workspace, key, "production", "_payments") == ["tok"]
        assert opened(workspace, key, "production-eu", "checkout") == ["pw-production-eu"]
        assert "mailer" not in document_keys(workspace.keyrings["production"], key)

    def test_a_second_key_has_a_name_of_its_own(self, team: Team) -> None:
        first = connect(team.load(), Unit("production", "checkout"), identity=ANNA, keys=[ANNA.sign])
        workspace = team.take(*first.keyrings)
        second = connect(workspace, Unit("production-eu", "checkout"), identity=ANNA, keys=[ANNA.sign])
        assert second.name == "checkout-2"

    def test_the_private_half_stands_nowhere(self, team: Team) -> None:
        made = connect(team.load(), Unit("production", "checkout"), identity=ANNA, keys=[ANNA.sign])
        team.take(*made.keyrings)
        assert made.secret not in repr(made)
        for path in team.root.rglob("*"):
            if path.is_file():
                assert made.secret.encode() not in path.read_bytes()

    def test_an_unknown_service_is_refused(self, team: Team) -> None:
        with pytest.raises(UsageError) as error:
            connect(team.load(), Unit("dev", "nothing"), identity=ANNA, keys=[ANNA.sign])
        assert word(error) == "unknown-unit"

    def test_a_layer_that_came_later_is_given_by_granting_again(self, team: Team) -> None:
        made = connect(team.load(), Unit("production", "mailer"), identity=ANNA, keys=[ANNA.sign])
        team.take(*made.keyrings)
        project = team.root / "sealpipe.yaml"
        project.write_text(project.read_text() + "  mailer: {layers: [_payments]}\n")
        workspace = team.load()
        assert missing_boxes(workspace.project, workspace.keyrings["production"]) == [
            ("mailer-1", "_payments")
        ]
        granted = grant(workspace, "mailer-1", ["production"], identity=ANNA, keys=[ANNA.sign])
        workspace = team.take(*granted.keyrings)
        assert missing_boxes(workspace.project, workspace.keyrings["production"]) == []
        assert opened(workspace, parse_private_key(made.secret), "production", "_payments") == ["tok"]


class TestRevoke:
    def test_a_person_opens_nothing_that_is_sealed_from_then_on(self, team: Team) -> None:
        workspace = join_ben(team, "production")
        old_text = workspace.documents[DocumentId("production", "checkout")].text
        rotations = revoke(workspace, "ben", identity=ANNA, keys=[ANNA.sign])
        workspace = self.take(team, rotations)
        assert document_keys(workspace.keyrings["production"], BEN.read) == {}
        assert opened(workspace, ANNA.read, "production", "checkout") == ["pw-production"]
        text = workspace.documents[DocumentId("production", "checkout")].text
        assert text.startswith("# kept as it is\n")
        assert text != old_text
        assert text.count("\n") == old_text.count("\n")
        assert "# secret" in text
        assert rotations[0].resealed == 3
        assert stale(workspace) == ()
        assert team.words(workspace) == []

    def test_keys_that_the_revoked_reader_knew_open_no_new_value(self, team: Team) -> None:
        workspace = join_ben(team, "production")
        known = document_keys(workspace.keyrings["production"], BEN.read)
        workspace = self.take(team, revoke(workspace, "ben", identity=ANNA, keys=[ANNA.sign]))
        for document in ("checkout", "_payments", "mailer"):
            for sealed in sealed_in(workspace.documents[DocumentId("production", document)]):
                at = place("production", document, sealed.typed or ())
                with pytest.raises(TrustError):
                    open_token(sealed.token, at, known[document])

    def test_the_people_key_is_new_too(self, team: Team) -> None:
        workspace = join_ben(team, "production")
        before = workspace.keyrings["production"].people_public
        workspace = self.take(team, revoke(workspace, "ben", identity=ANNA, keys=[ANNA.sign]))
        assert workspace.keyrings["production"].people_public != before

    def test_an_old_branch_can_still_be_sealed_again(self, team: Team) -> None:
        workspace = join_ben(team, "production")
        old = workspace.documents[DocumentId("production", "checkout")]
        workspace = self.take(team, revoke(workspace, "ben", identity=ANNA, keys=[ANNA.sign]))
        workspace = self.take(team, [renew(workspace, "production", identity=ANNA, keys=[ANNA.sign])])
        keys = document_keys(workspace.keyrings["production"], ANNA.read)["checkout"]
        assert len(keys) == 3
        [sealed] = sealed_in(old)
        assert open_token(sealed.token, place("production", "checkout", ("db", "password")), keys)

    def test_a_machine_costs_only_the_keys_that_it_had(self, team: Team) -> None:
        made = connect(team.load(), Unit("production", "checkout"), identity=ANNA, keys=[ANNA.sign])
        workspace = team.take(*made.keyrings)
        other = connect(workspace, Unit("production", "checkout"), identity=ANNA, keys=[ANNA.sign])
        workspace = team.take(*other.keyrings)
        before = workspace.keyrings["production"]
        workspace = self.take(team, revoke(workspace, "checkout-1", identity=ANNA, keys=[ANNA.sign]))
        after = workspace.keyrings["production"]
        assert after.keys["mailer"] == before.keys["mailer"]
        assert after.people_public == before.people_public
        assert after.keys["checkout"].public != before.keys["checkout"].public
        assert document_keys(after, parse_private_key(made.secret)) == {}
        key = parse_private_key(other.secret)
        assert opened(workspace, key, "production", "checkout") == ["pw-production"]

    def test_the_only_person_is_not_taken_away(self, team: Team) -> None:
        with pytest.raises(RefusedError) as error:
            revoke(team.load(), "anna", identity=ANNA, keys=[ANNA.sign])
        assert word(error) == "last-one"

    def test_an_unknown_reader_is_named(self, team: Team) -> None:
        with pytest.raises(UsageError) as error:
            revoke(team.load(), "zoe", identity=ANNA, keys=[ANNA.sign])
        assert word(error) == "unknown-reader"

    def test_a_moved_value_is_left_and_told(self, team: Team) -> None:
        workspace = join_ben(team, "production")
        file = team.root / "environments/production/checkout.yaml"
        file.write_text(file.read_text().replace("password:", "passphrase:"))
        [rotation] = revoke(team.load(), "ben", ["production"], identity=ANNA, keys=[ANNA.sign])
        assert workspace is not None
        assert [finding.path for finding in rotation.findings] == ["db.passphrase"]
        assert "pw-production" not in str(rotation.findings)

    def test_a_file_that_cannot_be_read_is_told(self, team: Team) -> None:
        join_ben(team, "production")
        file = team.root / "environments/production/checkout.yaml"
        file.write_text(file.read_text() + "db: {}\n")
        [rotation] = revoke(team.load(), "ben", ["production"], identity=ANNA, keys=[ANNA.sign])
        assert any("nothing in it was sealed again" in finding.what for finding in rotation.findings)
        assert rotation.resealed == 2

    @staticmethod
    def take(team: Team, rotations) -> Workspace:  # type: ignore[no-untyped-def]
        for rotation in rotations:
            team.take(rotation.keyring)
            apply(str(team.root), rotation.files)
        return team.load()


class TestExposure:
    def test_lists_what_is_there_and_what_was(self, team: Team) -> None:
        workspace = join_ben(team, "production")
        team.commit("ben reads production")
        workspace = TestRevoke.take(team, revoke(workspace, "ben", identity=ANNA, keys=[ANNA.sign]))
        (team.root / "environments/production/mailer.yaml").write_text("smtp: {pool: 1}\n")
        team.commit("ben is gone, and so is the mailer's password")
        found = [(str(e.document), e.path, e.present) for e in exposure(team.load(), "ben")]
        assert found == [
            ("production/_payments", "psp.token", True),
            ("production/checkout", "db.password", True),
            ("production/mailer", "smtp.password", False),
        ]

    def test_a_machine_of_one_unit_could_open_only_its_documents(self, team: Team) -> None:
        made = connect(team.load(), Unit("production", "mailer"), identity=ANNA, keys=[ANNA.sign])
        workspace = team.take(*made.keyrings)
        assert {str(e.document) for e in exposure(workspace, "mailer-1")} == {"production/mailer"}


class TestBoxes:
    def test_a_box_that_does_not_fit_its_public_key_is_refused(self, team: Team) -> None:
        """Who writes the file could box a key of their own: what is sealed for `public` stays closed."""
        workspace = team.load()
        keyring = workspace.keyrings["production"]
        mine = PrivateKey(b"\x07" * 32)
        key = keyring.keys["checkout"]
        forged = key._replace(private={"people": box(mine, keyring.people_public)})
        edit = finish_keyring(
            workspace, replace(keyring, keys={**keyring.keys, "checkout": forged}), [ANNA.sign]
        )
        with pytest.raises(TrustError) as error:
            document_keys(team.take(edit).keyrings["production"], ANNA.read)
        assert word(error) == "foreign-box"
