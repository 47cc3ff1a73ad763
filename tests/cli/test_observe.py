"""`status`, `history` and `verify` on a real repository: what they say of each state, needing no key."""

from __future__ import annotations

import re
from pathlib import Path

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


def row(shop: Shop, service: str) -> str:
    out = shop.ok("status", by="").out
    return next(re.sub(r" +", " ", line) for line in out.splitlines() if line.startswith(service))


def states(shop: Shop) -> dict[str, str]:
    return {f"{u['environment']}/{u['service']}": u["state"] for u in shop.json("status")["units"]}


def test_before_anything_is_published(shop: Shop) -> None:
    assert row(shop, "checkout") == "checkout not published not published"
    assert row(shop, "mailer") == "mailer - not published"
    assert shop.run("status", "--exit-code").code == 3


def test_everything_as_in_git(shop: Shop) -> None:
    shop.ok("publish", "--all", "--yes", by="ci")
    assert row(shop, "checkout") == "checkout #1 = git #1 = git"
    assert shop.run("status", "--exit-code").code == 0
    out = shop.ok("status").out
    assert re.search(r'"= git" compares with origin/main [0-9a-f]{7}, fetched \d+ \w+ ago', out)


def test_behind_ahead_and_different(shop: Shop) -> None:
    shop.ok("publish", "--all", "--yes", by="ci")
    for number in (30, 40):
        text = Path(CHECKOUT).read_text()
        shop.write(CHECKOUT, re.sub(r"pool_max: \d+", f"pool_max: {number}", text))
        shop.push(f"pool {number}")
    assert row(shop, "checkout") == "checkout #1 = git #1 2 behind"
    assert row(shop, "mailer") == "mailer - #1 = git"
    shop.set(CHECKOUT, "pool_max: 40", "pool_max: 50")
    shop.commit("emergency")
    shop.ok("publish", "production", "--break-glass", "fire", "--yes", by="anna")
    assert states(shop)["production/checkout"] == "ahead"
    shop.set(DEV, "pool_max: 20", "pool_max: 21")
    shop.ok("publish", "dev")  # not committed
    assert states(shop)["dev/checkout"] in ("ahead", "differs")


def test_a_store_that_does_not_answer_hides_no_other(shop: Shop) -> None:
    text = Path("sealpipe.yaml").read_text()
    shop.write(
        "sealpipe.yaml",
        text.replace('dev: {publish_to: "file:.sealpipe/store"', 'dev: {publish_to: "file:away"'),
    )
    shop.write("away", "not a folder")
    shop.push("away")
    shop.ok("publish", "production", "--yes", by="ci")
    assert row(shop, "checkout") == "checkout unreachable #1 = git"
    plan = shop.run("plan")
    assert plan.code == 1
    assert "production · nothing changes" in plan.out


def test_gone_and_invalid(shop: Shop) -> None:
    shop.ok("publish", "--all", "--yes", by="ci")
    Path("environments/production/mailer.yaml").unlink()
    shop.set(DEV, "pool_max: 20", "pool_max: many")
    shop.push("bad")
    assert states(shop) == {
        "dev/checkout": "invalid",
        "production/checkout": "same",
        "production/mailer": "gone",
    }
    assert "sealpipe publish production --retire production/mailer" in shop.ok("status").out


def test_without_a_remote_the_files_here_are_git(shop: Shop) -> None:
    git(shop.root, "remote", "remove", "origin")
    shop.set(DEV, "pool_max: 20", "pool_max: 21")
    shop.ok("publish", "dev", by="anna")
    assert states(shop)["dev/checkout"] == "same"
    assert "the files here" in shop.ok("status").out


def test_one_environment_and_one_service(shop: Shop) -> None:
    shop.ok("publish", "--all", "--yes", by="ci")
    assert "dev" not in shop.ok("status", "production").out.splitlines()[0]
    assert "mailer" not in shop.ok("status", "production/checkout").out
    assert shop.run("status", "nosuch").code == 2


def test_history_of_a_service_and_of_a_setting(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    shop.ok("publish", "dev")
    shop.set(DEV, "timeout_s: 5", "timeout_s: 6")
    shop.ok("publish", "dev")
    lines = shop.ok("history", "dev/checkout", by="").out.splitlines()
    assert [line.split()[0 if line[0] == " " else 1] for line in lines] == ["#3", "#2", "#1"]
    assert len(shop.ok("history", "dev/checkout", "--limit", "2").out.splitlines()) == 2
    steps = shop.ok("history", "dev/checkout", "db.pool_max").out.splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in steps] == [("#2", "40"), ("#1", "20")]
    secret = shop.ok("history", "dev/checkout", "db.password")
    assert secret.out.rstrip().endswith("sealed")
    assert "ENC[" not in secret.out
    assert shop.json("history", "dev/checkout", "db.password")["steps"][0] == {"number": 1, "kind": "secret"}


def test_verify_compares_with_the_files_here(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    assert shop.run("verify", "dev", by="").code == 0
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    done = shop.run("verify", "dev")
    assert done.code == 3
    assert "error[differs-from-git]" in done.err
    shop.set(DEV, "pool_max: 40", "pool_max: many")
    done = shop.run("verify", "dev")
    assert (done.code, "warning[not-compared]" in done.err) == (0, True)
    assert shop.run("verify").code == 3  # production was never published


def test_nothing_shows_a_token(shop: Shop) -> None:
    shop.ok("publish", "--all", "--yes", by="ci")
    shop.seal_again("dev", "pool_max: 20")
    for words in (
        ["plan"],
        ["plan", "--format", "json"],
        ["plan", "--format", "markdown"],
        ["status", "--format", "json"],
    ):
        assert "ENC[" not in shop.run(*words).out
    assert "ENC[" not in shop.run("history", "dev/checkout", "--format", "json").out
