"""The plain tree on the command line: publish, rollback, adopt and retire; found and mended by verify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sealpipe.documents.read import read_yaml
from shipping import Shop

DEV = "environments/dev/checkout.yaml"
PROJECT = "sealpipe.yaml"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Shop(folder, monkeypatch, capsys)
    tree(made)
    return made


def tree(
    shop: Shop, layout: str = "keys", services: str = "checkout", at: str = "file:.sealpipe/plain"
) -> None:
    text = Path(PROJECT).read_text()
    line = next(one for one in text.splitlines() if one.startswith("  dev:"))
    new = (
        '  dev: {publish_to: "file:.sealpipe/store", '
        f'tree: {{layout: {layout}, at: "{at}", services: [{services}]}}}}'
    )
    shop.write(PROJECT, text.replace(line, new))
    shop.commit("a tree")


def plain(shop: Shop, service: str = "checkout") -> dict[str, str]:
    folder = Path(shop.root, ".sealpipe/plain", service)
    return {f.relative_to(folder).as_posix(): f.read_text() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_publish_writes_it_and_names_what_is_left_out(shop: Shop) -> None:
    done = shop.ok("publish", "dev", by="anna")
    assert plain(shop) == {"db/pool_max": "20", "features/one_click": "false", "http/timeout_s": "5"}
    assert "tree       file:.sealpipe/plain  ✓" in done.out
    assert "           checkout #1  3 written; left out, sealed: db.password" in done.out
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    assert "checkout #2  1 written; left out" in shop.ok("publish", "dev").out
    assert plain(shop)["db/pool_max"] == "40"
    assert "✓ dev" in shop.ok("verify", "dev").out


def test_json_has_it(shop: Shop) -> None:
    shop.become("anna")
    found = shop.json("publish", "dev")["publications"][0]["tree"]
    assert found["at"] == "file:.sealpipe/plain"
    assert found["findings"] == []
    assert len(found["services"]) == 1


def test_one_yaml_value(shop: Shop) -> None:
    tree(shop, "yaml")
    shop.ok("publish", "dev", by="anna")
    text = plain(shop)["data"]
    assert read_yaml(text, file="data") == {
        "db": {"pool_max": 20},
        "features": {"one_click": False},
        "http": {"timeout_s": 5},
    }


def test_no_secret_is_ever_in_it(shop: Shop) -> None:
    for layout in ("keys", "yaml"):
        tree(shop, layout)
        shop.ok("publish", "dev", "--allow-removal", by="anna")
        shop.run("verify", "dev", "--repair", "--allow-removal")
        everything = b"".join(f.read_bytes() for f in Path(".sealpipe/plain").rglob("*") if f.is_file())
        assert b"ENC[" not in everything
        assert b"pw-dev" not in everything
        assert b"password" not in everything


def test_services_that_are_not_listed_have_none(shop: Shop) -> None:
    tree(shop, services="")
    assert "tree" not in shop.ok("publish", "dev", by="anna").out.replace("tree       file", "")
    assert not Path(".sealpipe/plain").exists()


def test_a_rollback_moves_it_and_adopting_keeps_it(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    shop.set(DEV, "  timeout_s: 5", "  timeout_s: 5\n  port: 81")
    shop.set(DEV, "pool_max: 20", "pool_max: 40")
    shop.ok("publish", "dev")
    assert plain(shop)["http/port"] == "81"
    done = shop.ok("rollback", "dev/checkout", "--yes")
    assert "tree       file:.sealpipe/plain  ✓" in done.out
    assert plain(shop) == {"db/pool_max": "20", "features/one_click": "false", "http/timeout_s": "5"}
    assert shop.run("verify", "dev").code == 0
    shop.ok("adopt", "dev/checkout", "--yes")
    shop.ok("publish", "dev")
    assert plain(shop) == {"db/pool_max": "20", "features/one_click": "false", "http/timeout_s": "5"}
    assert shop.run("verify", "dev").code == 0


def test_a_rollback_may_take_away_more_than_a_plan_may(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    many = "".join(f"    f{n}: true\n" for n in range(20))
    shop.write(DEV, Path(DEV).read_text() + "features:\n" + many.replace("    ", "  "))
    shop.ok("publish", "dev", "--allow-growth")
    assert len(plain(shop)) == 23
    shop.ok("rollback", "dev/checkout", "--yes")
    assert len(plain(shop)) == 3


def test_retiring_takes_the_keys_away(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    Path(DEV).unlink()
    shop.commit("gone")
    shop.ok("publish", "dev", "--retire", "dev/checkout")
    assert plain(shop) == {}
    assert shop.run("verify", "dev").code == 0


def test_verify_finds_drift_and_repair_mends_all_but_strays(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    folder = Path(".sealpipe/plain/checkout")
    (folder / "db/pool_max").write_text("9999")
    (folder / "http/timeout_s").unlink()
    (folder / "theirs").write_text("x")
    done = shop.run("verify", "dev")
    assert done.code == 3
    assert "error[tree-differs]" in done.err
    assert "db/pool_max, http/timeout_s" in done.err
    assert "error[tree-stray]" in done.err
    assert "9999" not in done.err + done.out
    assert "✗ dev" in done.out, "no tick above an error"
    fixed = shop.run("verify", "dev", "--repair")
    assert fixed.code == 3
    assert "tree-differs" not in fixed.err
    assert plain(shop)["db/pool_max"] == "20"
    assert plain(shop)["theirs"] == "x"
    (folder / "theirs").unlink()
    assert shop.run("verify", "dev").code == 0


def test_many_deletes_by_repair_need_the_flag_that_the_hint_names(shop: Shop) -> None:
    shop.ok("publish", "dev", by="anna")
    tree(shop, "yaml")
    done = shop.run("publish", "dev")
    assert done.code == 1
    assert "error[tree-removal]" in done.err
    command = "sealpipe verify dev/checkout --repair --allow-removal"
    assert command in done.err
    assert shop.run("verify", "dev", "--repair").code == 3
    shop.ok(*command.split()[1:])
    assert list(plain(shop)) == ["data"]


def test_a_tree_that_cannot_be_written_takes_nothing_back(shop: Shop) -> None:
    Path(".sealpipe").mkdir(exist_ok=True)
    Path(".sealpipe/plain").write_text("in the way")
    done = shop.run("publish", "dev", by="anna")
    assert done.code == 1
    assert "published  checkout #1" in done.out
    assert "error[tree]" in done.err
    assert "hint: sealpipe verify dev/checkout --repair" in done.err
    assert "error[tree-unreachable]" in shop.run("verify", "dev").err
    Path(".sealpipe/plain").unlink()
    shop.ok("verify", "dev", "--repair")
    assert plain(shop)["db/pool_max"] == "20"


def test_the_next_publish_mends_it_too(shop: Shop) -> None:
    Path(".sealpipe").mkdir(exist_ok=True)
    Path(".sealpipe/plain").write_text("in the way")
    shop.run("publish", "dev", by="anna")
    Path(".sealpipe/plain").unlink()
    assert "unchanged  checkout #1" in shop.ok("publish", "dev").out
    assert plain(shop)["db/pool_max"] == "20"


def test_a_service_that_was_never_published_is_told(shop: Shop) -> None:
    tree(shop, services="checkout, chekcout")
    done = shop.ok("publish", "dev", by="anna")
    assert "warning[tree-without-release]" in done.err
    assert "dev/chekcout" in done.err


def test_names_that_cannot_be_keys_are_refused_before_anything_is_published(shop: Shop) -> None:
    content = json.loads(Path("schemas/checkout.schema.json").read_text())
    content["properties"]["paths"] = {"type": "object", "additionalProperties": {"type": "string"}}
    shop.write("schemas/checkout.schema.json", json.dumps(content))
    shop.write(DEV, Path(DEV).read_text() + 'paths:\n  "/health check": "yes"\n')
    for command in (["validate"], ["plan", "dev"], ["publish", "dev"]):
        done = shop.run(*command, by="anna")
        assert done.code == 4, command
        assert f"error[tree-key]: {DEV}:" in done.err + done.out
    assert not Path(".sealpipe/store").exists()
    tree(shop, "yaml")
    shop.ok("publish", "dev")


def test_where_a_tree_goes_is_shown_first_in_a_plan(shop: Shop) -> None:
    tree(shop, at="file:.sealpipe/other")
    out = shop.ok("plan", "dev", "--base", "HEAD~1").out
    assert (
        "! tree of dev: keys at file:.sealpipe/plain of checkout → keys at file:.sealpipe/other of checkout"
        in out
    )


def test_a_tree_inside_of_the_store_is_refused(shop: Shop) -> None:
    tree(shop, at="file:.sealpipe/store/plain")
    done = shop.run("validate")
    assert done.code == 4
    assert "tree-overlap" in done.err + done.out
