"""Rolling back, holds, and the ways out of them, on a real repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sealpipe.editing.writing import apply
from sealpipe.membership.keyring_edit import keyring_files
from sealpipe.model import Head
from sealpipe.publishing.heads import Reader, heads
from sealpipe.released import Release, Unit
from sealpipe.stores.file import FileStore
from shipping import Shop
from team import PROJECT, git

CHECKOUT = "environments/production/checkout.yaml"
DEV = "environments/dev/checkout.yaml"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder, monkeypatch, capsys)


def word(err: str) -> str:
    found = re.search(r"(?:error|warning)\[([a-z-]+)\]", err)
    return found[1] if found else ""


def release(shop: Shop, target: str = "dev/checkout") -> Release:
    unit = Unit(*target.split("/"))
    store = FileStore(Path(shop.root, ".sealpipe/store"))
    found = heads(store, "", unit.environment, Reader(PROJECT, shop.pins()))[unit]
    assert isinstance(found, Head)
    return found.release


def publish_pools(shop: Shop, *numbers: int) -> None:
    """Publish dev/checkout once for each number."""
    now = 20
    for number in numbers:
        if number != now:
            shop.set(DEV, f"pool_max: {now}", f"pool_max: {number}")
            shop.commit(f"pool {number}")
            now = number
        shop.ok("publish", "dev", by="anna")


def pool(shop: Shop, target: str = "dev/checkout") -> object:
    return release(shop, target).draft.values["db"]["pool_max"]


# ---- going back


def test_the_content_before_under_a_new_number(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    bad = release(shop)
    out = shop.ok("rollback", "dev/checkout").out
    assert "checkout   #2 → #3 = content of #1" in out
    assert re.search(r"~ db\.pool_max +40 → 20", out)
    assert "held       dev/checkout is not published from git while it still has db.pool_max=40" in out
    now = release(shop)
    assert pool(shop) == 20
    assert (now.payload.number, now.payload.prev) == (3, bad.digest)
    assert now.order > bad.order
    assert now.payload.git == bad.payload.git  # the fence of heads stays where it was


def test_it_follows_the_chain_and_goes_back_two_steps_when_done_twice(shop: Shop) -> None:
    publish_pools(shop, 20, 30, 40)
    shop.ok("rollback", "dev/checkout")
    assert pool(shop) == 30
    shop.ok("rollback", "dev/checkout")
    assert pool(shop) == 20  # not 40, which was rejected
    plan = shop.ok("plan", "dev").out
    assert "db.pool_max is still 40 here, the value that was rolled back" in plan
    done = shop.run("rollback", "dev/checkout")
    assert (done.code, word(done.err)) == (5, "nothing-before")


def test_nothing_before_the_first_release(shop: Shop) -> None:
    done = shop.run("rollback", "dev/checkout", by="anna")
    assert (done.code, word(done.err)) == (5, "not-published")
    publish_pools(shop, 20)
    assert word(shop.run("rollback", "dev/checkout").err) == "nothing-before"


def test_to_a_number_a_digest_or_a_commit(shop: Shop) -> None:
    publish_pools(shop, 20)
    first = release(shop)
    commit = git(shop.root, "rev-parse", "HEAD")
    publish_pools_from(shop, 20, 30, 40)
    for to in ("#1", "1", first.digest[:10], commit[:10]):
        shop.ok("rollback", "dev/checkout", "--to", to)
        assert pool(shop) == 20
        shop.ok("rollback", "dev/checkout", "--to", "3")
    assert word(shop.run("rollback", "dev/checkout", "--to", "99").err) == "no-such-release"


def publish_pools_from(shop: Shop, now: int, *numbers: int) -> None:
    for number in numbers:
        shop.set(DEV, f"pool_max: {now}", f"pool_max: {number}")
        shop.commit(f"pool {number}")
        shop.ok("publish", "dev", by="anna")
        now = number


def test_a_whole_publish_is_undone_by_its_batch(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    shop.set("environments/production/mailer.yaml", "smtp.old", "smtp.new")
    shop.push("both")
    out = shop.ok("publish", "production", "--yes").out
    undo = out.strip().splitlines()[-1]
    assert undo.startswith("undo: sealpipe rollback production --batch ")
    done = shop.ok(*undo.split("      ")[0].removeprefix("undo: sealpipe ").split(), "--yes")
    assert "content of #1" in done.out
    assert pool(shop, "production/checkout") == 20
    assert release(shop, "production/mailer").draft.values["smtp"]["host"] == "smtp.old"


def test_a_batch_leaves_what_was_published_again_since(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    shop.set("environments/production/mailer.yaml", "smtp.old", "smtp.new")
    shop.push("both")
    out = shop.ok("publish", "production", "--yes").out
    batch = re.search(r"--batch (\w+)", out)
    assert batch
    shop.set("environments/production/mailer.yaml", "smtp.new", "smtp.newer")
    shop.push("mailer")
    shop.ok("publish", "production", "--yes")
    done = shop.ok("rollback", "production", "--batch", batch[1], "--yes")
    assert word(done.err) == "moved-on"
    assert release(shop, "production/mailer").draft.values["smtp"]["host"] == "smtp.newer"
    assert pool(shop, "production/checkout") == 20


def test_a_batch_named_too_short_is_refused(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    done = shop.run("rollback", "dev", "--batch", "0")
    assert (done.code, word(done.err)) == (5, "ambiguous-batch")


def test_a_whole_environment_without_a_batch_is_refused(shop: Shop) -> None:
    publish_pools(shop, 20)
    assert word(shop.run("rollback", "dev").err) == "whole-environment"


def test_rollback_needs_a_publisher_or_break_glass(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    shop.push("pool")
    shop.ok("publish", "production", "--yes")
    refused = shop.run("rollback", "production/checkout", "--yes", by="anna")
    assert (refused.code, word(refused.err)) == (5, "not-a-publisher")
    asked = shop.run("rollback", "production/checkout", "--break-glass", "pool exhausts postgres")
    assert asked.code == 5
    assert "--yes" in asked.err
    assert pool(shop, "production/checkout") == 40
    shop.ok("rollback", "production/checkout", "--break-glass", "pool exhausts postgres", "--yes")
    assert pool(shop, "production/checkout") == 20
    assert '"pool exhausts postgres"' in shop.ok("status").out


def test_dry_run_writes_nothing(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    assert "40 → 20" in shop.ok("rollback", "dev/checkout", "--dry-run").out
    assert pool(shop) == 40


def test_the_old_content_must_fit_todays_schema(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    shop.set("schemas/checkout.schema.json", '"maximum": 100', '"maximum": 100,\n          "multipleOf": 40')
    done = shop.run("rollback", "dev/checkout")
    assert done.code == 4
    assert "release #1 does not fit today's schemas/checkout.schema.json" in done.err
    assert pool(shop) == 40


# ---- secrets


def test_secrets_stay_the_current_ones(shop: Shop) -> None:
    publish_pools(shop, 20)
    old = release(shop).draft.values["db"]["password"]
    shop.seal_again("dev", "pool_max: 40\nhttp:\n  timeout_s: 5")
    shop.ok("publish", "dev")
    new = release(shop).draft.values["db"]["password"]
    assert new != old
    out = shop.ok("rollback", "dev/checkout").out
    assert "= db.password  kept as it is now" in out
    assert release(shop).draft.values["db"] == {"pool_max": 20, "password": new}
    shop.ok("rollback", "dev/checkout", "--to", "1", "--with-secrets")
    assert release(shop).draft.values["db"] == {"pool_max": 20, "password": old}
    assert "db.password is still the secret that was rolled back" in shop.ok("plan", "dev").out


def test_when_only_secrets_differ_nothing_goes_back_unasked(shop: Shop) -> None:
    publish_pools(shop, 20)
    shop.seal_again("dev", "pool_max: 20\nhttp:\n  timeout_s: 5")
    shop.ok("publish", "dev")
    done = shop.run("rollback", "dev/checkout", "--to", "1")
    assert word(done.err) == "nothing-to-roll-back"
    assert "--with-secrets" in done.err


def test_an_old_secret_whose_key_is_gone_is_refused_by_name(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    keyring = shop.load().keyrings["dev"]
    from sealpipe.keyrings import keyring_data
    from sealpipe.membership.keyring_edit import new_keyring, signed_keyring
    from team import ANNA

    fresh = new_keyring(PROJECT, "dev", ["checkout"], {"anna": ANNA.read.recipient}, since="2026-05-04")
    data = {**keyring_data(fresh), "version": keyring.version + 1, "past": [keyring.digest]}
    edit = signed_keyring(data, shop.load().trust, [ANNA.sign])  # type: ignore[arg-type]
    apply(str(shop.root), keyring_files(str(shop.root), [edit]))
    done = shop.run("rollback", "dev/checkout", "--with-secrets")
    assert (done.code, word(done.err)) == (5, "stale-secret")
    assert "db.password" in done.err


# ---- holds


def test_a_held_unit_is_skipped_and_the_others_are_published(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    shop.push("pool")
    shop.ok("publish", "production", "--yes")
    shop.ok("rollback", "production/checkout", "--yes", "--reason", "slow")
    shop.set("environments/production/mailer.yaml", "smtp.old", "smtp.new")
    shop.push("mailer")
    done = shop.ok("publish", "production", "--yes")
    assert "published  mailer #2" in done.out
    assert "held       checkout #3" in done.out
    assert word(done.err) == "held"
    assert pool(shop, "production/checkout") == 20


def test_a_held_unit_that_somebody_changed_ends_with_five(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    shop.ok("rollback", "dev/checkout")
    assert shop.run("publish", "dev").code == 0
    shop.set(DEV, "timeout_s: 5", "timeout_s: 6")
    shop.commit("another value")
    done = shop.run("publish", "dev")
    assert (done.code, word(done.err)) == (5, "held")
    assert release(shop).draft.values["http"]["timeout_s"] == 5


def test_the_hold_ends_when_git_changes_the_value(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    shop.ok("rollback", "dev/checkout")
    shop.set(DEV, "pool_max: 40", "pool_max: 25")
    shop.ok("publish", "dev")
    assert pool(shop) == 25
    assert release(shop).payload.hold is None


def test_an_ended_hold_is_published_so_that_the_value_may_come_back_one_day(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    shop.ok("rollback", "dev/checkout")
    shop.set(DEV, "pool_max: 40", "pool_max: 20")
    assert "same content; the hold ends" in shop.ok("plan", "dev").out
    shop.ok("publish", "dev")
    assert release(shop).payload.hold is None
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    shop.ok("publish", "dev")
    assert pool(shop) == 40


def test_lift_hold_and_no_hold(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    shop.ok("rollback", "dev/checkout")
    shop.ok("publish", "dev", "--lift-hold")
    assert pool(shop) == 40
    shop.ok("rollback", "dev/checkout", "--no-hold")
    assert release(shop).payload.hold is None
    shop.ok("publish", "dev")
    assert pool(shop) == 40


def test_a_held_unit_is_signed_again_with_what_it_has_under_newer_trust(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    shop.ok("rollback", "dev/checkout")
    before = release(shop)
    shop.trust_now(version=3)
    shop.push("trust")
    shop.ok("publish", "dev")
    now = release(shop)
    assert now.trust_version == 3
    assert now.draft == before.draft
    assert now.payload.hold == before.payload.hold
    assert now.payload.git == before.payload.git


def test_status_shows_the_hold_and_verify_does_not_call_it_a_difference(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    shop.push("pools")
    shop.ok("rollback", "dev/checkout", "--reason", "slow")
    out = shop.ok("status", "dev").out
    assert "HELD anna" in out
    assert "rolled back by anna" in out
    assert shop.run("status", "dev", "--exit-code").code == 3
    assert shop.run("verify", "dev").code == 0


# ---- adopt


def test_adopt_writes_the_published_values_and_keeps_comments(shop: Shop) -> None:
    publish_pools(shop, 20, 40)
    shop.ok("rollback", "dev/checkout")
    before = Path(DEV).read_text()
    out = shop.ok("adopt", "dev/checkout").out
    assert re.search(r"~ db\.pool_max +40 → 20", out)
    assert Path(DEV).read_text() == before.replace("pool_max: 40", "pool_max: 20")
    shop.ok("publish", "dev")
    assert release(shop).payload.hold is None
    assert "already" in shop.ok("adopt", "dev/checkout").err


def test_adopt_removes_what_is_not_published_and_deletes_what_is_inherited(shop: Shop) -> None:
    publish_pools(shop, 20)
    shop.set(DEV, "timeout_s: 5", "timeout_s: 5\n  port: 81\nfeatures:\n  beta: true")
    shop.write("environments/base/checkout.yaml", "features:\n  one_click: false\n  two: true\n")
    shop.ok("adopt", "dev/checkout")
    text = Path(DEV).read_text()
    assert "port" not in text
    assert "beta" not in text
    assert "two: null" in text
    assert "same as published" in shop.ok("plan", "dev").out


def test_adopt_takes_only_the_paths_asked_for(shop: Shop) -> None:
    publish_pools(shop, 20)
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    shop.set(DEV, "timeout_s: 5", "timeout_s: 6")
    shop.ok("adopt", "dev/checkout", "--paths", "db")
    assert "pool_max: 20" in Path(DEV).read_text()
    assert "timeout_s: 6" in Path(DEV).read_text()


def test_adopt_leaves_secrets_and_says_so(shop: Shop) -> None:
    publish_pools(shop, 20)
    shop.seal_again("dev", "pool_max: 40\nhttp:\n  timeout_s: 5")
    done = shop.ok("adopt", "dev/checkout")
    assert word(done.err.split("\n", 1)[1]) == "secret-left" or "secret-left" in done.err
    assert "pool_max: 20" in Path(DEV).read_text()


def test_adopt_dry_run(shop: Shop) -> None:
    publish_pools(shop, 20)
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    shop.ok("adopt", "dev/checkout", "--dry-run")
    assert "pool_max: 40" in Path(DEV).read_text()


def test_adopt_makes_the_file_of_an_inherited_service(shop: Shop) -> None:
    text = Path("sealpipe.yaml").read_text()
    eu = '  production-eu: {publish_to: "file:.sealpipe/store", extends: production, services: inherit}\n'
    shop.write("sealpipe.yaml", text + eu)
    roles = {"admins": ["anna"], "publishers": ["anna"]}
    shop.trust_now(lambda data: data["environments"].update({"production-eu": roles}), version=3)
    shop.push("eu")
    shop.ok("publish", "production-eu", by="anna")
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 30")
    shop.push("pool")
    shop.ok("publish", "production-eu")
    shop.ok("rollback", "production-eu/checkout")
    shop.ok("adopt", "production-eu/checkout")
    assert Path("environments/production-eu/checkout.yaml").read_text() == "db:\n  pool_max: 20\n"
    shop.ok("publish", "production-eu")
    assert release(shop, "production-eu/checkout").payload.hold is None
