"""Attacks on trust.yaml, the chain of roots, keyrings and approvals: by pull request, merge, or by hand.

Whoever can open a pull request, or push, can write any file. What they cannot do is sign.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealpipe.canonical import to_base64url
from sealpipe.checks.trusted import require_trusted, trusted_findings
from sealpipe.crypto.keys import Identity, PrivateKey, format_public
from sealpipe.crypto.sealing import box
from sealpipe.documents.read import read_yaml
from sealpipe.documents.write import dump_yaml
from sealpipe.editing.writing import apply
from sealpipe.errors import Finding
from sealpipe.membership.cards import card_of
from sealpipe.membership.keyring_edit import grant
from sealpipe.membership.revoke import renew, revoke
from sealpipe.membership.signed_files import add_signatures
from sealpipe.membership.trust_edit import add_key, remove_key, sign_trust, trust_files
from sealpipe.model import Sealed
from sealpipe.opening import open_sealed
from sealpipe.publishing.approvals import approval_file, approvals, approve, missing
from sealpipe.roots import pin_text
from sealpipe.stages.validate import validate
from sealpipe.trees import WorkTree
from sealpipe.trust import Pin, parse_pins, root_of
from team import ANNA, BEN, CARL, CI, PROJECT, Team, git

from .attack import BELIEVED, NO_EFFECT, Attack, word

TRUST = "trust/trust.yaml"
ROOTS = "trust/roots.yaml"
KEYRING = "trust/production.keyring.yaml"
MALLORY = Identity(b"\x66" * 32)
PR = "may open pull requests"
READER = "a reader of the environment"
REVOKED = "was a reader, and is revoked"
MERGER = "merges without looking"
Act = Callable[[Team], None]


def acting(*acts: Act, pins: Callable[[Team], tuple[Pin, ...]] = Team.pins) -> Callable[[Path], str]:
    """What every command that writes or publishes says, after the acts, to who pinned the first root."""

    def how(folder: Path) -> str:
        team = Team(folder)
        known = pins(team)
        for act in acts:
            act(team)
        refused = word(lambda: require_trusted(team.load(), pins=known))
        told = trusted_findings(team.load(), pins=known)
        assert not refused or refused in [finding.word for finding in told]
        return refused

    return how


def data(team: Team, file: str) -> dict[str, Any]:
    return read_yaml((team.root / file).read_text(), file=file)


def edited(file: str, change: Callable[[dict[str, Any]], None], *, by: Identity | None = None) -> Act:
    """A signed file changed; signed anew with a key, or with the signatures that stood there."""

    def act(team: Team) -> None:
        found = data(team, file)
        change(found)
        if by is not None:
            kind = "KEYRING" if "keyring" in file else "TRUST"
            names = {"mallory": by.sign.public}
            found = add_signatures({**found, "signatures": []}, kind, names, [by.sign])
        (team.root / file).write_text(dump_yaml(found))

    return act


def signer(found: dict[str, Any]) -> None:
    found["keys"]["mallory"] = {
        "sign": format_public("ed25519", MALLORY.sign.public),
        "read": MALLORY.read.recipient,
    }


def publisher(found: dict[str, Any]) -> None:
    signer(found)
    found["environments"]["production"]["publishers"].append("mallory")


def own_root(found: dict[str, Any]) -> None:
    signer(found)
    found["root"] = ["mallory"]


def new_version(found: dict[str, Any]) -> None:
    found["version"] = 9


def planted_reader(found: dict[str, Any]) -> None:
    """A recipient with a box of rubbish, for the owner's next rotation to fill."""
    found["readers"]["mallory"] = {
        "read": MALLORY.read.recipient,
        "kind": "person",
        "box": to_base64url(bytes(80)),
        "since": "2026-05-05",
    }


def planted_machine(found: dict[str, Any]) -> None:
    found["readers"]["checkout-9"] = {
        "read": MALLORY.read.recipient,
        "kind": "machine",
        "unit": "production/checkout",
        "since": "2026-05-05",
    }


def exchanged_key(found: dict[str, Any]) -> None:
    """The document's key is the attacker's: what is sealed from now on is theirs."""
    mine = PrivateKey(b"\x77" * 32)
    people = found["keys"]["checkout"]["private"]["people"]
    found["keys"]["checkout"] = {
        "public": format_public("x25519", mine.public),
        "private": {"people": people},
    }


def rotated_into(folder: Path) -> str:
    """The owner rotates over a keyring with a planted reader: SOPS hands the new key over."""
    team = Team(folder)
    edited(KEYRING, planted_reader)(team)

    def honest() -> None:
        workspace = team.load()
        require_trusted(workspace, pins=team.pins())
        renew(workspace, "production", identity=ANNA, keys=[ANNA.sign])

    return word(honest)


def low_order(found: dict[str, Any]) -> None:
    found["keys"]["checkout"]["public"] = "x25519:" + "A" * 43


def twice(file: str) -> Act:
    def act(team: Team) -> None:
        found = data(team, file)
        (team.root / file).write_text(dump_yaml({**found, "signatures": found["signatures"] * 2}))

    return act


def restored(file: str, *, through: tuple[Act, ...]) -> Act:
    """The file as it is now comes back after the acts, each committed."""

    def act(team: Team) -> None:
        yesterday = (team.root / file).read_bytes()
        for one in through:
            one(team)
            team.commit()
        (team.root / file).write_bytes(yesterday)
        team.commit("restored")

    return act


def ben_joins(team: Team) -> None:
    granted = grant(
        team.load(), "ben", ["production"], identity=ANNA, keys=[ANNA.sign], card=card_of("ben", BEN)
    )
    assert granted.trust is not None
    team.take(granted.trust, *granted.keyrings)


def ben_is_revoked(team: Team) -> None:
    for rotation in revoke(team.load(), "ben", identity=ANNA, keys=[ANNA.sign]):
        team.take(rotation.keyring)
        apply(str(team.root), rotation.files)


def ben_leaves_trust(team: Team) -> None:
    team.take(remove_key(team.load(), [ANNA.sign], "ben"))


def ci_joins(team: Team) -> None:
    team.take(add_key(team.load(), [ANNA.sign], "ci", sign_public=CI.public, kind="machine"))


def carl_joins(team: Team) -> None:
    team.take(add_key(team.load(), [ANNA.sign], "carl", sign_public=CARL.sign.public, kind="recovery"))


def commits(team: Team) -> None:
    team.commit()


def branch(name: str) -> Act:
    return lambda team: git(team.root, "switch", "-qc", name)  # type: ignore[return-value]


def on(name: str) -> Act:
    return lambda team: git(team.root, "switch", "-q", name)  # type: ignore[return-value]


def merge_taking_ours(team: Team) -> None:
    """`git merge -X ours`: trust.yaml of the branch, which does not know of the revocation."""
    git(team.root, "merge", "-q", "-s", "ours", "-m", "merge", "main")


def copied(source: str, target: str) -> Act:
    return lambda team: shutil.copy(team.root / source, team.root / target)  # type: ignore[return-value]


def removed(file: str) -> Act:
    return lambda team: (team.root / file).unlink()


def foreign_project(team: Team) -> None:
    """trust.yaml of another project that anna is root of as well."""
    found = {key: value for key, value in data(team, TRUST).items() if key != "signatures"}
    found["project"] = "a" * 32
    apply(str(team.root), trust_files(str(team.root), sign_trust(found, [ANNA.sign])))


def links_emptied(team: Team) -> None:
    found = data(team, ROOTS)
    found["links"] = [{"signatures": []} for _ in found["links"]]
    (team.root / ROOTS).write_text(dump_yaml(found))


def roots_only_new(team: Team) -> None:
    """The old root cut off the chain, so that nobody asks for its signature on the change."""
    found = data(team, ROOTS)
    found["roots"], found["links"] = found["roots"][-1:], []
    (team.root / ROOTS).write_text(dump_yaml(found))


def later_pin(team: Team) -> tuple[Pin, ...]:
    return parse_pins(pin_text(PROJECT, root_of(team.trust), 2))


def opening(*acts: Act) -> Callable[[Path], str]:
    """What anna is told who opens the password of production/checkout."""

    def how(folder: Path) -> str:
        team = Team(folder)
        for act in acts:
            act(team)
        workspace = team.load()
        document = next(d for d in workspace.documents.values() if str(d.id) == "production/checkout")
        token = document.values["db"]["password"]
        sealed = Sealed(("db", "password"), token, document.id, ("db", "password"))
        return word(lambda: open_sealed(workspace, sealed, ANNA.read))

    return how


def exchanged_box(found: dict[str, Any]) -> None:
    mine = PrivateKey(b"\x77" * 32)
    found["readers"]["anna"]["box"] = to_base64url(box(mine, ANNA.read.public))


def validated(source: str, target: str, old: str = "", new: str = "") -> Callable[[Path], str]:
    """What `validate`, which needs no key, says of a document put in another's place or edited."""

    def how(folder: Path) -> str:
        team = Team(folder)
        text = (team.root / source).read_text()
        assert old in text
        (team.root / target).write_text(text.replace(old, new, 1) if old else text)
        found: list[Finding] = [*team.load().findings, *validate(team.load()).findings]
        return next((f.word for f in found if f.severity == "error"), BELIEVED)

    return how


def approved(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], str]:
    """An approval file by ben for a draft, changed; whether anybody counts as having approved."""

    def how(folder: Path) -> str:
        import publishing as shop

        roles = {"dev": {"publishers": ["ci"], "approvals": {"need": 1, "of": ["anna"]}}}
        trust, tree = shop.make_trust(environments=roles), WorkTree(folder)
        digest = shop.make_draft(shop.A, {"n": 1}).digest
        found = approve(tree, trust, shop.A, "ab" * 32, [("anna", shop.KEYS["anna"])])
        change(found)
        file = folder / approval_file(shop.A, digest)
        file.parent.mkdir(parents=True)
        file.write_text(dump_yaml({**found, "draft": digest}))
        gap = None

        def read() -> None:
            nonlocal gap
            gap = missing(trust, shop.A, digest, approvals(tree, trust, shop.A, digest, None))

        refused = word(read)
        return refused or (NO_EFFECT if gap is not None and gap.have == () else BELIEVED)

    return how


def by_ben(found: dict[str, Any]) -> None:
    found["signatures"][0]["by"] = "ben"


def unchanged(found: dict[str, Any]) -> None:
    copy.deepcopy(found)


def looser(found: dict[str, Any]) -> None:
    found["any"] = True


CHECKOUT = "environments/production/checkout.yaml"

ATTACKS = [
    Attack("own signer added to trust.yaml", PR, acting(edited(TRUST, signer)), "bad-signature"),
    Attack("own publisher added to trust.yaml", PR, acting(edited(TRUST, publisher)), "bad-signature"),
    Attack(
        "own publisher added and signed by themselves",
        PR,
        acting(edited(TRUST, publisher, by=MALLORY)),
        "unsigned-trust",
    ),
    Attack("own root, signed by themselves", PR, acting(edited(TRUST, own_root, by=MALLORY)), "foreign-root"),
    Attack(
        "trust.yaml without a signature",
        PR,
        acting(edited(TRUST, lambda d: d.update(signatures=[]))),
        "unsigned-trust",
    ),
    Attack("a signature of root repeated", PR, acting(twice(TRUST)), "repeated-signature"),
    Attack("the version raised by hand", PR, acting(edited(TRUST, new_version)), "bad-signature"),
    Attack(
        "a field that older programs skip",
        PR,
        acting(edited(TRUST, lambda d: d.update(min_epoch=3))),
        "malformed-trust",
    ),
    Attack("trust.yaml of a foreign project", PR, acting(foreign_project), "foreign-trust"),
    Attack("trust.yaml removed", PR, acting(removed(TRUST)), "no-trust"),
    Attack("a version below the pin's", PR, acting(pins=later_pin), "older-trust"),
    Attack(
        "an old clone's trust.yaml put back by pull request",
        REVOKED,
        acting(ben_joins, commits, restored(TRUST, through=(ben_leaves_trust,))),
        "older-trust",
    ),
    Attack(
        "an old clone's trust.yaml put back on a branch",
        REVOKED,
        acting(ci_joins, commits, restored(TRUST, through=(carl_joins, branch("ben")))),
        "older-trust",
    ),
    Attack(
        "a merge that drops a revocation",
        MERGER,
        acting(
            ben_joins,
            commits,
            branch("work"),
            ci_joins,
            commits,
            on("main"),
            ben_leaves_trust,
            commits,
            on("work"),
            merge_taking_ours,
        ),
        "forked-trust",
    ),
    Attack(
        "two trust documents of one version",
        "two admins",
        acting(branch("work"), ci_joins, commits, on("main"), carl_joins, commits, on("work")),
        "forked-trust",
    ),
    Attack("the chain of roots removed", PR, acting(ben_joins, removed(ROOTS)), "foreign-root"),
    Attack("the links of the chain emptied", PR, acting(ben_joins, links_emptied), "bad-link"),
    Attack("the pinned root cut off the chain", PR, acting(ben_joins, roots_only_new), "foreign-root"),
    Attack(
        "a reader planted in the keyring", PR, acting(edited(KEYRING, planted_reader)), "unsigned-keyring"
    ),
    Attack(
        "a machine planted in the keyring", PR, acting(edited(KEYRING, planted_machine)), "unsigned-keyring"
    ),
    Attack("a reader planted, then the owner rotates", PR, rotated_into, "unsigned-keyring"),
    Attack(
        "a keyring signed by the planted reader",
        PR,
        acting(edited(KEYRING, planted_reader, by=MALLORY)),
        "unsigned-keyring",
    ),
    Attack("a document's key exchanged", PR, acting(edited(KEYRING, exchanged_key)), "unsigned-keyring"),
    Attack("a document's key of low order", PR, acting(edited(KEYRING, low_order)), "malformed-keyring"),
    Attack("an admin's signature repeated", PR, acting(twice(KEYRING)), "unsigned-keyring"),
    Attack(
        "another environment's keyring in place",
        PR,
        acting(copied("trust/dev.keyring.yaml", KEYRING)),
        "foreign-keyring",
    ),
    Attack(
        "yesterday's keyring restored by a revoked reader",
        REVOKED,
        acting(ben_joins, commits, restored(KEYRING, through=(ben_is_revoked,))),
        "older-keyring",
    ),
    Attack("the narrower keyring deleted", PR, acting(branch("work"), removed(KEYRING)), "forked-keyring"),
    Attack("a people key exchanged for a reader", PR, opening(edited(KEYRING, exchanged_box)), "foreign-box"),
    Attack(
        "a document's file copied from dev to production",
        PR,
        validated("environments/dev/checkout.yaml", CHECKOUT),
        "moved-secret",
    ),
    Attack(
        "a secret's type edited in git",
        PR,
        validated(CHECKOUT, CHECKOUT, "type:str", "type:int"),
        "wrong-secret-type",
    ),
    Attack(
        "a secret replaced by plain text in git",
        PR,
        validated(CHECKOUT, CHECKOUT, "ENC[", "plain #"),
        "plaintext-secret",
    ),
    Attack(
        "a secret cut short in git", PR, validated(CHECKOUT, CHECKOUT, "data:", "data:A"), "malformed-secret"
    ),
    Attack("a YAML alias of a secret", PR, validated(CHECKOUT, CHECKOUT, "ENC[", "&a ENC["), "alias"),
    Attack("a key twice in YAML", PR, validated(CHECKOUT, CHECKOUT, "db:", "db: {}\ndb:"), "duplicate-key"),
    Attack("an approval moved to another draft", PR, approved(unchanged), NO_EFFECT),
    Attack("an approval under another name", PR, approved(by_ben), NO_EFFECT),
    Attack("an approval file with a field more", PR, approved(looser), "malformed-approval"),
]
