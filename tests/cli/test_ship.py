"""Publishing on the command line, on a real repository with a remote: what works, and every refusal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shipping import Shop
from team import git

CHECKOUT = "environments/production/checkout.yaml"
DEV = "environments/dev/checkout.yaml"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder, monkeypatch, capsys)


def word(err: str) -> str:
    found = re.search(r"error\[([a-z-]+)\]", err)
    return found[1] if found else ""


def values(shop: Shop, target: str) -> dict[str, Any]:
    environment, service = target.split("/")
    raw = shop.head(environment, service).read_bytes()
    found: dict[str, Any] = json.loads(
        raw[raw.index(b'{"locked"') :].split(b"\0")[0].rsplit(b"}", 1)[0] + b"}"
    )
    return found["values"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("words", [("plan", "dev"), ("publish", "dev")])
def test_a_store_that_is_away_names_who_finds_out_why(shop: Shop, words: tuple[str, ...]) -> None:
    shop.set(
        "sealpipe.yaml",
        '  dev: {publish_to: "file:.sealpipe/store"}',
        '  dev: {publish_to: "etcd://127.0.0.1:1/shop"}',
    )
    done = shop.run(*words, by="anna")
    assert done.code == 1
    assert word(done.err) == "store-unavailable"
    assert "  hint: sealpipe doctor etcd://127.0.0.1:1/shop\n" in done.err


# ---- plan


def test_planning_needs_no_key_and_names_secrets_only(shop: Shop) -> None:
    found = shop.ok("plan", "dev", by="")
    assert "checkout   new" in found.out
    assert "+ db.password" in found.out
    assert "secret added" in found.out
    assert "ENC[" not in found.out
    assert "pool_max  " in found.out
    assert re.search(r"plan [0-9a-f]{6} · commit [0-9a-f]{7} \(main, clean\)", found.out)


def test_exit_code_of_plan_only_when_asked(shop: Shop) -> None:
    assert shop.run("plan", "dev").code == 0
    assert shop.run("plan", "dev", "--exit-code").code == 3
    shop.ok("publish", "dev", by="anna")
    assert shop.run("plan", "dev", "--exit-code").code == 0


def test_plan_shows_changes_with_their_place(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    out = shop.ok("plan", "dev").out
    assert "checkout   #1 → #2" in out
    assert re.search(r"~ db\.pool_max +20 → 40 +environments/dev/checkout\.yaml:\d+", out)
    assert "! db.pool_max changes beside db.password, which stays" in out


def test_a_comment_that_shifts_lines_is_no_change(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    text = Path(DEV).read_text()
    Path(DEV).write_text("# one\n# two\n\n" + text)
    assert "same as published (#1)" in shop.ok("plan", "dev").out


def test_the_plan_of_a_pull_request_is_the_plan_of_the_store_in_sync(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    base = git(shop.root, "rev-parse", "HEAD")
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    shop.commit("pool")
    against_store = shop.json("plan", "dev")["plans"][0]
    against_commit = shop.json("plan", "dev", "--base", base)["plans"][0]
    assert against_store["digest"] == against_commit["digest"]
    assert against_commit["against"] == f"commit {base[:7]}"


def test_plan_with_base_reads_no_store(shop: Shop) -> None:
    shop.write("sealpipe.yaml", Path("sealpipe.yaml").read_text().replace("file:.sealpipe/store", "nosuch:x"))
    assert shop.run("plan", "dev").code == 1
    out = shop.ok("plan", "--base", "HEAD").out
    assert "! publish_to of dev: file:.sealpipe/store → nosuch:x" in out


def test_markdown_cannot_be_broken_out_of(shop: Shop) -> None:
    shop.set(DEV, "pool_max: 20", 'pool_max: 20\n  host: "`|<script>"')
    out = shop.ok("plan", "dev", "--format", "markdown").out
    row = next(line for line in out.splitlines() if "db.host" in line)
    assert '`"\'\\|<script>"`' in row


def test_an_invalid_tree_is_neither_planned_nor_published(shop: Shop) -> None:
    shop.set(DEV, "pool_max: 20", "pool_max: many")
    assert shop.run("plan", "dev").code == 4
    done = shop.run("publish", "dev", by="anna")
    assert (done.code, word(done.err)) == (4, "wrong-type")
    assert not Path(".sealpipe/store").exists()


# ---- publish


def test_publish_without_a_target_is_a_usage_error(shop: Shop) -> None:
    done = shop.run("publish", by="anna")
    assert (done.code, word(done.err)) == (2, "usage")
    assert shop.run("publish", "dev", "--all", by="anna").code == 2


def test_publish_ends_with_its_own_undo_line_that_works(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    out = shop.ok("publish", "dev").out
    undo = out.strip().splitlines()[-1]
    assert undo == "undo: sealpipe rollback dev/checkout      (checkout → content of #1)"
    shop.ok(*undo.split("      ")[0].removeprefix("undo: sealpipe ").split())
    assert values(shop, "dev/checkout")["db"]["pool_max"] == 20


def test_all_publishes_every_environment_in_order(shop: Shop) -> None:
    out = shop.ok("publish", "--all", "--yes", by="ci").out
    assert out.index("checkout #1") < out.index("mailer #1")
    assert shop.head("production", "checkout").exists()


def test_publishing_needs_no_reading_key_and_any_key_that_publishes(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    done = shop.run("publish", "dev", by="")
    assert (done.code, word(done.err)) == (6, "no-key")


def test_who_may_not_publish_is_told_what_to_do(shop: Shop) -> None:
    done = shop.run("publish", "production", by="anna")
    assert done.code == 5
    assert done.err == (
        "error[not-a-publisher]: trust/trust.yaml anna may publish to production only with"
        ' --break-glass "REASON"\n'
        "  environments.production.publishers: ci\n"
        "  hint: merge to main and CI publishes; in an emergency: "
        'sealpipe publish production --break-glass "why"\n'
    )
    assert not shop.head("production", "checkout").exists()


def test_a_protected_environment_asks_for_its_name(shop: Shop) -> None:
    done = shop.run("publish", "production", by="ci")
    assert done.code == 5
    assert "--yes" in done.err
    assert not shop.head("production", "checkout").exists()


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [("dirty", "uncommitted"), ("ignored", "uncommitted"), ("unpushed", "not-pushed")],
)
def test_a_protected_environment_takes_clean_pushed_commits(shop: Shop, trouble: str, expected: str) -> None:
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    if trouble == "ignored":
        shop.push()
        shop.write(".git/info/exclude", "environments/production/extra.yaml\n")
        shop.write("environments/production/extra.yaml", "a: 1\n")
        shop.write("schemas/extra.schema.json", json.dumps({"type": "object", "additionalProperties": True}))
        shop.push()
    elif trouble == "unpushed":
        shop.commit("pool")
    done = shop.run("publish", "production", "--yes", by="ci")
    assert (done.code, word(done.err)) == (5, expected)
    assert not shop.head("production", "checkout").exists()


def test_break_glass_waives_role_and_pushed_but_never_a_clean_tree(shop: Shop) -> None:
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    dirty = shop.run("publish", "production", "--break-glass", "fire", "--yes", by="anna")
    assert (dirty.code, word(dirty.err)) == (5, "uncommitted")
    shop.commit("pool")
    shop.ok("publish", "production", "--break-glass", "fire", "--yes", by="anna")
    assert 'break glass: "fire"' in shop.ok("history", "production/checkout").out


def test_break_glass_never_waives_validation(shop: Shop) -> None:
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 400")
    shop.commit("pool")
    done = shop.run("publish", "production", "--break-glass", "fire", "--yes", by="anna")
    assert done.code == 4


def test_break_glass_never_waives_the_fence(shop: Shop) -> None:
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    shop.push("newer")
    shop.ok("publish", "production", "--yes", by="ci")
    git(shop.root, "reset", "-q", "--hard", "HEAD~1")
    done = shop.run("publish", "production", "--break-glass", "fire", "--yes", by="anna")
    assert (done.code, word(done.err)) == (5, "older-commit")


def test_dry_run_writes_nothing(shop: Shop) -> None:
    done = shop.ok("publish", "dev", "--dry-run", by="anna")
    assert "checkout   new" in done.err
    assert not Path(".sealpipe/store").exists()


# ---- the fence


def test_an_older_commit_never_wins_over_a_newer_one(shop: Shop) -> None:
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    shop.push("newer")
    shop.ok("publish", "production", "--yes", by="ci")
    git(shop.root, "checkout", "-q", "HEAD~1")
    done = shop.run("publish", "production", "--yes")
    assert (done.code, word(done.err)) == (5, "older-commit")
    assert "git pull" in done.err
    assert values(shop, "production/checkout")["db"]["pool_max"] == 40


def test_the_fence_moves_also_when_nothing_changes(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    shop.write("README.md", "about\n")
    shop.push("readme")
    assert "unchanged  checkout #1, mailer #1" in shop.ok("publish", "production", "--yes").out
    git(shop.root, "checkout", "-q", "HEAD~1")
    assert word(shop.run("publish", "production", "--yes").err) == "older-commit"


def test_in_an_unprotected_environment_the_fence_only_warns(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    git(shop.root, "add", "-A")
    git(shop.root, "commit", "-q", "--amend", "-m", "amended")
    done = shop.ok("publish", "dev")
    assert "warning[older-commit]" in done.err
    assert values(shop, "dev/checkout")["db"]["pool_max"] == 40


def test_supersede_passes_exactly_the_fence_of_that_commit(shop: Shop) -> None:
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    lost = shop.commit("emergency")
    shop.ok("publish", "production", "--break-glass", "fire", "--yes", by="anna")
    git(shop.root, "reset", "-q", "--hard", "HEAD~1")
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 41")
    shop.push("squashed")
    assert word(shop.run("publish", "production", "--yes", by="ci").err) == "older-commit"
    wrong = shop.run("publish", "production", "--yes", "--supersede", "0123456789")
    assert word(wrong.err) == "older-commit"
    shop.ok("publish", "production", "--yes", "--supersede", lost[:12])
    state = Path(".sealpipe/store/production/state").read_bytes()
    assert f'"superseded":"{lost}"'.encode() in state


# ---- plans that were looked at


def test_a_plan_file_is_a_claim(shop: Shop) -> None:
    shop.ok("plan", "dev", "--out", "plan.json", by="anna")
    digest = json.loads(Path("plan.json").read_text())["digest"]
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    for name in ("plan.json", digest[:6]):
        done = shop.run("publish", "dev", "--plan", name)
        assert (done.code, word(done.err)) == (5, "other-plan")
    shop.set(DEV, "pool_max: 40", "pool_max: 20")
    shop.ok("publish", "dev", "--plan", "plan.json")
    assert shop.run("publish", "production", "--plan", "plan.json", "--yes", by="ci").code == 2


def test_a_plan_id_that_is_none(shop: Shop) -> None:
    assert shop.run("publish", "dev", "--plan", "zz", by="anna").code == 2


# ---- guards


def test_many_removed_keys_need_a_flag(shop: Shop) -> None:
    shop.set(DEV, "  pool_max: 20\nhttp:\n  timeout_s: 5", "  pool_max: 20\nhttp:\n  timeout_s: 5\n  port: 1")
    shop.ok("publish", "dev", by="anna")
    text = Path(DEV).read_text()
    Path(DEV).write_text(text[: text.index("  pool_max")])
    plan = shop.run("plan", "dev")
    assert plan.code == 5
    assert "✗ dev/checkout loses 3 of 5 keys (60 %); the limit is 30 %" in plan.out
    done = shop.run("publish", "dev")
    assert (done.code, word(done.err)) == (5, "removed-keys")
    assert "sealpipe publish dev --allow-removal" in done.err
    shop.ok("publish", "dev", "--allow-removal")


def test_a_vanished_unit_is_never_deleted_unasked(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    Path("environments/production/mailer.yaml").unlink()
    shop.push("gone")
    done = shop.run("publish", "production", "--yes")
    assert (done.code, word(done.err)) == (5, "vanished")
    assert "--retire production/mailer" in done.err
    shop.ok("publish", "production", "--yes", "--retire", "production/mailer")
    assert "retired" in shop.ok("history", "production/mailer").out
    assert "retired" in shop.ok("status", "production").out
    shop.ok("publish", "production", "--yes")


def test_a_missing_folder_never_means_delete(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    Path(DEV).unlink()
    assert word(shop.run("publish", "dev").err) == "vanished"


def test_what_is_still_there_cannot_be_retired(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    assert word(shop.run("publish", "dev", "--retire", "dev/checkout").err) == "still-there"


# ---- approvals


def test_approvals_are_asked_for_and_bound_to_the_content(shop: Shop) -> None:
    shop.approvals()
    plan = shop.ok("plan", "production").out
    assert re.search(
        r"needs     1 approval of anna, ben   sealpipe approve production --plan [0-9a-f]{6}", plan
    )
    done = shop.run("publish", "production", "--yes", by="ci")
    assert (done.code, word(done.err)) == (5, "approval-missing")
    assert not shop.head("production", "checkout").exists()
    approved = shop.ok("approve", "production", "--yes", by="ben")
    assert approved.out.startswith("approved   checkout (")
    shop.push("approved")
    shop.ok("publish", "production", "--yes", by="ci")
    assert "approved by ben" in shop.ok("history", "production/checkout").out

    shop.write("environments/production/mailer.yaml", "smtp:\n  host: smtp.new\n")
    shop.push("another service")
    err = shop.run("publish", "production", "--yes").err
    assert "mailer" in err
    assert "checkout" not in err  # its approval still stands


def test_an_approval_of_other_content_does_not_count(shop: Shop) -> None:
    shop.approvals()
    shop.ok("approve", "production", "--yes", by="ben")
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    shop.push("changed after it was approved")
    done = shop.run("publish", "production", "--yes", by="ci")
    assert word(done.err) == "approval-missing"
    assert done.err.split("\n")[0].endswith(": checkout")


def test_who_may_approve(shop: Shop) -> None:
    shop.approvals()
    assert word(shop.run("approve", "production", "--yes", by="ci").err) == "not-an-approver"
    assert word(shop.run("approve", "dev", "--yes", by="ben").err) == "nothing-to-approve"


def test_break_glass_waives_approvals(shop: Shop) -> None:
    shop.approvals()
    shop.ok("publish", "production", "--break-glass", "fire", "--yes", by="ben")


# ---- trust


def test_a_newer_trust_version_publishes_every_unit_again(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    shop.trust_now(version=3)
    shop.push("trust")
    assert "signed again: the trust document is newer" in shop.ok("plan", "production").out
    assert "signed     checkout #2, mailer #2 · ci" in shop.ok("publish", "production", "--yes").out
    assert "unchanged" in shop.ok("publish", "production", "--yes").out


def test_an_older_trust_document_publishes_nothing(shop: Shop) -> None:
    old = git(shop.root, "rev-parse", "HEAD")
    shop.trust_now(version=3)
    shop.push("trust")
    shop.ok("publish", "dev", by="anna")
    git(shop.root, "push", "-q", "--force", "origin", f"{old}:main")
    git(shop.root, "reset", "-q", "--hard", old)
    shop.pin(__import__("os").environ)
    done = shop.run("publish", "dev")
    assert (done.code, word(done.err)) == (5, "newer-trust")


# ---- broken heads


def test_a_head_edited_by_hand_is_replaced_only_on_request(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    head = shop.head("dev", "checkout")
    head.write_bytes(head.read_bytes().replace(b'"pool_max":20', b'"pool_max":99'))
    done = shop.run("publish", "dev")
    assert (done.code, word(done.err)) == (6, "broken-head")
    assert "EDITED BY HAND" in shop.ok("status").out
    assert shop.run("status", "--exit-code").code == 6
    assert shop.run("verify", "dev").code == 3
    shop.ok("publish", "dev", "--repair-head")
    assert shop.run("verify", "dev").code == 0
    assert [r["number"] for r in shop.json("history", "dev/checkout")["releases"]] == [2, 1]


def test_another_projects_head_is_never_replaced(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    head = shop.head("dev", "checkout")
    raw = bytearray(head.read_bytes())
    raw[20] ^= 1  # the project
    head.write_bytes(bytes(raw))
    done = shop.run("publish", "dev", "--repair-head")
    assert (done.code, word(done.err)) == (6, "foreign-project")
    assert head.read_bytes() == bytes(raw)


def test_reissue_puts_equal_content_above(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    shop.ok("publish", "dev", "--reissue")
    found = shop.json("history", "dev/checkout")["releases"]
    assert [r["number"] for r in found] == [2, 1]


# ---- mirrors


def test_mirrors_get_byte_copies_only_forward(shop: Shop) -> None:
    out = shop.ok("publish", "production", "--yes", by="ci").out
    assert "mirrored   file:.sealpipe/mirror  ✓" in out
    mirror = shop.head("production", "checkout", "mirror")
    assert mirror.read_bytes() == shop.head("production", "checkout").read_bytes()
    newer = shop.head("production", "checkout").read_bytes()
    old_number = shop.json("history", "production/checkout")["releases"][0]["number"]
    shop.set(CHECKOUT, "pool_max: 20", "pool_max: 40")
    shop.push("pool")
    shop.ok("publish", "production", "--yes")
    ahead = mirror.read_bytes()
    shop.head("production", "checkout").write_bytes(newer)  # the primary is restored from a backup
    done = shop.run("publish", "production", "--mirrors-only")
    assert done.code == 1
    assert "newer release than the primary" in done.err
    assert mirror.read_bytes() == ahead
    assert old_number == 1


def test_a_mirror_that_is_down_tears_nothing(shop: Shop) -> None:
    Path(".sealpipe").mkdir(exist_ok=True)
    Path(".sealpipe/mirror").write_text("not a folder")
    done = shop.run("publish", "production", "--yes", by="ci")
    assert done.code == 1
    assert "published  checkout #1" in done.out
    assert "hint: sealpipe publish production --mirrors-only" in done.err
    assert shop.run("verify", "production").code == 3
    Path(".sealpipe/mirror").unlink()
    shop.ok("publish", "production", "--mirrors-only", by="")
    assert shop.run("verify", "production").code == 0


def test_verify_repairs_a_mirror(shop: Shop) -> None:
    shop.ok("publish", "production", "--yes", by="ci")
    mirror = shop.head("production", "checkout", "mirror")
    mirror.write_bytes(b"junk")
    assert shop.run("verify", "production").code == 3
    assert shop.run("publish", "production", "--mirrors-only").code == 1
    shop.ok("verify", "production", "--repair", by="")
    assert mirror.read_bytes() == shop.head("production", "checkout").read_bytes()


def test_only_what_is_published_here_can_be_retired(shop: Shop) -> None:
    assert word(shop.run("publish", "dev", "--retire", "dev/nosuch", by="anna").err) == "not-published"
    assert shop.run("publish", "dev", "--retire", "production/mailer").code == 2


def test_the_approver_is_named_in_the_receipt(shop: Shop) -> None:
    shop.approvals()
    shop.ok("approve", "production", "--yes", by="anna")
    shop.push("approved")
    out = shop.ok("publish", "production", "--yes", by="ci").out
    assert re.match(r"approved   plan [0-9a-f]{6} by anna\n", out)
