"""From an empty folder to a team in production, with real processes, git and a bare remote."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.walkthrough.people import SERVICE, Person, person

FIRST = "correct-horse-battery"
SECOND = "staple-by-staple-2"
PRODUCTION = "production-only-secret"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git")], check=True)
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


def test_from_an_empty_folder_to_a_team(world: Path) -> None:
    anna = person("anna", world)
    five_commands(anna, world)
    ben = second_person_joins(anna, world)
    ci = ci_publishes(anna, ben, world)
    service = service_reads(anna, ci, world)
    roll_back_and_fix(anna, ci, service, world)
    machine_key_revoked_and_renewed(anna, ci, service, world)
    conflicting_trust_is_found(anna, ben)


def five_commands(anna: Person, world: Path) -> None:
    """init, add, set, publish, run: the first value is read."""
    anna.git("checkout", "-q", "-b", "main")
    anna.types("init")
    anna.types("add service checkout --in dev")
    anna.types("set dev/checkout db.password --secret", stdin=FIRST)
    anna.types("publish dev")
    ran = anna.says(["run", "dev/checkout", "--", sys.executable, str(world / "service.py"), "--reveal"])
    assert ran.out.splitlines() == [f"10 {len(FIRST)} **********", FIRST]
    for file in anna.clone.rglob("*"):
        if file.is_file():
            assert FIRST.encode() not in file.read_bytes(), file
    anna.commits("first configuration")


def second_person_joins(anna: Person, world: Path) -> Person:
    """Ben sends a card; an admin grants him on a branch, which is checked and merged."""
    pin = re.search(r"st1-[a-z0-9-]+", anna.types("trust show").text)
    assert pin
    ben = person("ben", world, SEALPIPE_TRUST=pin[0])
    card = ben.types("keys new ben").out.strip()
    assert card.startswith("sealpipe-card-1 ben age1")
    assert "SECRET" not in card

    denied = ben.types("get dev/checkout db.password", code=6)
    assert FIRST not in denied.text

    anna.git("checkout", "-q", "-b", "ben-joins")
    anna.says(["keys", "grant", "ben", "dev", "--card", card, "--recovery-to", str(anna.home / "recovery")])
    assert (anna.home / "recovery").read_text().count("SEALPIPE-SIGNING-KEY-1") == 1
    assert (anna.home / "recovery").stat().st_mode & 0o077 == 0
    anna.types("trust add ben --publishes dev")
    anna.types("validate")
    anna.commits("ben joins")
    anna.git("checkout", "-q", "main")
    anna.git("merge", "-q", "--ff-only", "ben-joins")
    anna.git("push", "-q", "origin", "main")

    ben.pulls()
    ben.types("validate")
    assert ben.types("get dev/checkout db.password").out.strip() == FIRST
    ben.types("set dev/checkout db.pool_max 25")
    ben.commits("a larger pool")
    anna.pulls()
    return ben


def ci_publishes(anna: Person, ben: Person, world: Path) -> Person:
    """Production belongs to CI: a signing key, the pin, and no reading key anywhere."""
    anna.types(f"add environment production --publish-to file:{world}/production-store")
    anna.types("add service checkout --in production")
    anna.types("set production/checkout db.password --secret", stdin=PRODUCTION)
    anna.types("set production/checkout db.pool_max 20")
    made = anna.types("trust add ci-production --new --publishes production").out.strip()
    assert made.startswith("SEALPIPE-SIGNING-KEY-1")
    anna.types("trust add anna --break-glass production")
    anna.types("trust remove anna --publishes production")
    anna.types("trust admins production --protected")
    anna.commits("production")

    pin = ben.variables["SEALPIPE_TRUST"]
    ci = person("ci", world, SEALPIPE_TRUST=pin, SEALPIPE_SIGNING_KEY=made, CI="true")
    ci.types("validate")
    plan = ci.types("plan production")
    assert "secret added" in plan.out
    assert PRODUCTION not in plan.text
    published = ci.types("publish production --yes")
    assert "checkout #1" in published.text
    again = ci.types("publish production --yes")
    assert "unchanged" in again.text
    refused = ci.types("get production/checkout db.password", code=6)
    assert PRODUCTION not in refused.text
    # a laptop may publish in an emergency only
    assert "not-a-publisher" in anna.types("publish production --yes", code=5).err
    return ci


def service_reads(anna: Person, ci: Person, world: Path) -> Person:
    """A machine key for the service, and a process that knows nothing but its bootstrap."""
    key = world / "checkout-1.key"
    made = anna.says(["connect", "production/checkout", "--as", "env", "--key-to", str(key)])
    assert key.stat().st_mode & 0o077 == 0
    anna.commits("a key for checkout in production")
    ci.pulls()
    ci.types("publish production --yes")

    variables = dict(re.findall(r"(SEALPIPE_[A-Z_]+)=[\"']?([^\s\"']+)", made.out))
    assert {"SEALPIPE_URL", "SEALPIPE_ENV", "SEALPIPE_SERVICE", "SEALPIPE_TRUST"} <= set(variables)
    variables.update(SEALPIPE_KEY_FILE=str(key), SEALPIPE_CACHE=str(world / "service-cache"))
    home = world / "homes" / "service"
    home.mkdir()
    service = Person("service", home, home, variables)
    assert reads(service, world) == f"20 {len(PRODUCTION)} **********"
    return service


def reads(service: Person, world: Path, *, code: int = 0) -> str:
    ran = service.runs(sys.executable, str(world / "service.py"), code=code)
    return (ran.out if code == 0 else ran.err).strip()


def roll_back_and_fix(anna: Person, ci: Person, service: Person, world: Path) -> None:
    """A bad value goes live, is rolled back, held, fixed in git; the hold ends by itself."""
    anna.types("set production/checkout db.pool_max 400")
    anna.commits("a much larger pool")
    ci.pulls()
    ci.types("publish production --yes")
    assert reads(service, world).startswith("400 ")

    back = anna.says(["rollback", "production/checkout", "--break-glass", "pool exhausts postgres", "--yes"])
    assert "400 → 20" in back.text
    assert reads(service, world) == f"20 {len(PRODUCTION)} **********"

    held = ci.types("publish production --yes", code=None)
    assert "held" in held.text
    assert reads(service, world).startswith("20 ")
    assert "HELD" in anna.types("status").out

    anna.types("set production/checkout db.pool_max 40")
    anna.commits("a pool that fits")
    ci.pulls()
    ci.types("publish production --yes")
    assert reads(service, world).startswith("40 ")
    assert "HELD" not in anna.types("status").out


def machine_key_revoked_and_renewed(anna: Person, ci: Person, service: Person, world: Path) -> None:
    """The old machine key opens nothing new; the next one does; the service never stops."""
    anna.types("keys revoke checkout-1 --yes")
    anna.types("validate")
    new = world / "checkout-2.key"
    anna.says(["connect", "production/checkout", "--as", "env", "--key-to", str(new)])
    anna.types("set production/checkout db.password", stdin=SECOND)
    anna.commits("checkout's key is replaced")
    ci.pulls()
    ci.types("publish production --yes")

    # the old key: the release before still serves from the cache, and without a cache nothing does
    assert reads(service, world) == f"40 {len(PRODUCTION)} **********"
    bare = Person(
        "bare", service.home, service.clone, {**service.variables, "SEALPIPE_CACHE": str(world / "x")}
    )
    assert SECOND not in reads(bare, world, code=78)

    renewed = Person(
        "renewed", service.home, service.clone, {**service.variables, "SEALPIPE_KEY_FILE": str(new)}
    )
    assert reads(renewed, world) == f"40 {len(SECOND)} **********"

    anna.types("keys renew production --yes")
    anna.types("validate")
    anna.commits("new keys for production")
    ci.pulls()
    ci.types("publish production --yes")
    assert reads(renewed, world) == f"40 {len(SECOND)} **********"


def conflicting_trust_is_found(anna: Person, ben: Person) -> None:
    """Two branches change trust.yaml: taking one side is found, taking main's and repeating is not."""
    anna.git("checkout", "-q", "-b", "without-ben")
    anna.types("trust remove ben --yes")
    anna.commits("ben leaves")
    anna.git("checkout", "-q", "main")
    anna.git("checkout", "-q", "-b", "new-robot")
    anna.types("trust add robot --new --publishes dev --yes")
    anna.commits("a robot publishes dev")

    anna.git("checkout", "-q", "main")
    anna.git("merge", "-q", "--no-edit", "without-ben")
    anna.git("push", "-q", "origin", "main")
    anna.git("checkout", "-q", "new-robot")
    conflict = anna.git("merge", "--no-edit", "main", code=1)
    assert "trust/trust.yaml" in conflict.text
    # the tempting way: our side of the conflict, which brings ben back
    anna.git("checkout", "-q", "--ours", ".")
    anna.git("add", "-A")
    anna.git("commit", "-q", "--no-verify", "-m", "merged, our side")
    found = anna.types("validate", code=6)
    assert "forked-trust" in found.text
    anna.git("checkout", "-q", "main", "--", "trust")
    anna.types("trust add robot --new --publishes dev --yes")
    anna.types("validate")
    assert "robot" in anna.types("trust show").out
