"""Taking a service out of publication: a signed tombstone, on a word only, and what its readers do then."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shipping import Shop

DEV = "environments/dev/checkout.yaml"
MAILER = "environments/production/mailer.yaml"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder, monkeypatch, capsys)


def word(err: str) -> str:
    found = re.search(r"error\[([a-z-]+)\]", err)
    return found[1] if found else ""


def renamed(shop: Shop) -> None:
    """mailer becomes postman, which says so."""
    text = Path(MAILER).read_text()
    Path(MAILER).unlink()
    shop.write("environments/production/postman.yaml", text)
    Path("schemas/mailer.schema.json").rename("schemas/postman.schema.json")
    project = Path("sealpipe.yaml").read_text()
    shop.write("sealpipe.yaml", project + "services:\n  postman: {renamed_from: mailer}\n")
    shop.push("renamed")


def test_a_renamed_service_tells_its_old_readers_where_it_went(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    renamed(shop)
    refused = shop.run("publish", "production", "--yes")
    assert (refused.code, word(refused.err)) == (5, "vanished")
    plan = shop.ok("plan", "production", "--retire", "production/mailer").out
    assert "mailer     #1 → #2   retired" in plan
    shop.ok("publish", "production", "--yes", "--retire", "production/mailer")
    assert b'"retired":{"successor":"postman"}' in shop.head("production", "mailer").read_bytes()
    assert shop.head("production", "postman").exists()
    assert shop.run("verify", "production").code == 0


def test_it_is_one_signed_release_with_nothing_in_it(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    before = shop.head("production", "mailer").read_bytes()
    Path(MAILER).unlink()
    shop.push("gone")
    shop.ok("publish", "production", "--yes", "--retire", "production/mailer")
    raw = shop.head("production", "mailer").read_bytes()
    assert raw.startswith(b"SEALPIPE-RELEASE-1\n")
    assert b"smtp.old" in before
    assert b"smtp.old" not in raw
    again = shop.ok("publish", "production", "--yes", "--retire", "production/mailer").out
    assert "unchanged" in again
    assert shop.head("production", "mailer").read_bytes() == raw
    assert shop.json("status", "production")["units"][1]["state"] == "retired"
    for words in (
        ("get", "production/mailer", "smtp.host", "--published"),
        ("run", "production/mailer", "--", "true"),
    ):
        refused = shop.run(*words)
        assert (refused.code, word(refused.err)) == (5, "retired")
        assert "hint: sealpipe history production/mailer\n" in refused.err


def test_a_tombstone_that_the_store_made_up_is_none(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    head = shop.head("production", "mailer")
    raw = head.read_bytes()
    head.write_bytes(raw.replace(b'"rid":', b'"retired":{"successor":""},"rid":', 1))
    done = shop.run("verify", "production")
    assert done.code == 3
    assert shop.json("status", "production")["units"][1]["state"] == "broken"


def test_it_can_come_back(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    text = Path(DEV).read_text()
    Path(DEV).unlink()
    shop.ok("publish", "dev", "--retire", "dev/checkout")
    shop.write(DEV, text)
    assert shop.json("status", "dev")["units"][0]["state"] == "unpublished"
    assert "published  checkout #3" in shop.ok("publish", "dev").out
    assert shop.run("verify", "dev").code == 0


def test_a_rollback_undoes_it_and_git_does_not_take_it_away_again_unasked(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    Path(DEV).unlink()
    shop.ok("publish", "dev", "--retire", "dev/checkout")
    out = shop.ok("rollback", "dev/checkout", "--yes", "--with-secrets").out
    assert "#2 → #3 = content of #1" in out
    assert word(shop.run("publish", "dev").err) == "vanished"


def test_a_tombstone_is_approved_like_any_content(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    shop.approvals()
    shop.ok("approve", "production", "--yes", by="anna")
    shop.push("approved")
    shop.ok("publish", "production", "--yes", by="ci")
    Path(MAILER).unlink()
    shop.push("gone")
    done = shop.run("publish", "production", "--yes", "--retire", "production/mailer", by="ci")
    assert (done.code, word(done.err)) == (5, "approval-missing")
    shop.ok("approve", "production", "--yes", by="anna")
    shop.push("approved too")
    shop.ok("publish", "production", "--yes", "--retire", "production/mailer", by="ci")
    assert "approved by anna" in shop.ok("history", "production/mailer").out


def test_only_one_environment_is_retired(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    shop.ok("publish", "production", "--yes", by="ci")
    before = shop.head("production", "checkout").read_bytes()
    Path(DEV).unlink()
    shop.push("gone")
    shop.ok("publish", "dev", "--retire", "dev/checkout", by="anna")
    assert shop.head("production", "checkout").read_bytes() == before


def test_a_trust_version_that_was_seen_makes_no_release_of_before_a_broken_one(shop: Shop) -> None:
    """A trust change, remembered here by any command that writes, and nothing published under it yet."""
    shop.ok("publish", "production", "--yes", by="ci")
    shop.set("environments/production/checkout.yaml", "pool_max: 20", "pool_max: 30")
    shop.push("pool")
    shop.ok("publish", "production", "--yes")
    shop.approvals()
    shop.ok("approve", "production", "--yes", by="anna")
    shop.push("approved")
    assert {u["state"] for u in shop.json("status", "production")["units"]} == {"same"}
    assert shop.run("verify", "production").code == 0
    assert "HELD" not in shop.ok("plan", "production").out
    assert "content of #1" in shop.ok("rollback", "production/checkout", "--dry-run", by="ci").out
    assert "signed     checkout #3, mailer #2" in shop.ok("publish", "production", "--yes", by="ci").out


def test_a_new_trust_version_signs_tombstones_again(shop: Shop) -> None:
    """Else a revoked key could still say what became of the service."""
    shop.ok("publish", "production", "--yes", by="ci")
    Path(MAILER).unlink()
    shop.push("gone")
    shop.ok("publish", "production", "--yes", "--retire", "production/mailer")
    shop.approvals()
    shop.run("approve", "production", "--yes", by="anna")
    shop.push("approved")
    shop.ok("publish", "production", "--yes", by="ci")
    units = {u["service"]: u for u in shop.json("status", "production")["units"]}
    assert units["mailer"]["state"] == "retired"
    versions = {
        name: json.loads(re.search(rb'"trust":(\{[^}]*\})', shop.head("production", name).read_bytes())[1])  # type: ignore[index]
        for name in ("checkout", "mailer")
    }
    assert versions["checkout"]["version"] == versions["mailer"]["version"] == 3
