"""Plans are pure: drafts in, values out. No key, no store, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from publishing import A, B, content, make_batch, make_draft, make_trust
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import Sealer
from sealpipe.model import Broken, Commit, Plan, UnitPlan
from sealpipe.paths import Member
from sealpipe.project import Limits
from sealpipe.released import Draft, Release, SealedAt, Unit
from sealpipe.stages.changes import changes, leaves
from sealpipe.stages.guards import SMALL, guards
from sealpipe.stages.hold import rejected, still_rendered
from sealpipe.stages.plan import Allowed, Base, Surroundings, plan
from sealpipe.testing.memory import MemoryStore
from sealpipe.tokens import place

COMMIT = Commit("c" * 40, "", "main", False)
KEY, NEW_KEY = PrivateKey(bytes([7]) * 32), PrivateKey(bytes([8]) * 32)
AT = SealedAt("dev", "a")


def around(**more: Any) -> Surroundings:
    return Surroundings(limits=Limits(), commit=COMMIT, against="file:x", **more)


def release(unit: Unit, values: Mapping[str, Any], **more: Any) -> Release:
    trust = {"trust": more.pop("trust")} if "trust" in more else {}
    return make_batch(MemoryStore(), [content(unit, values, **more)], **trust).releases[0].release


def planned(new: Mapping[Unit, Mapping[str, Any]], old: Mapping[Unit, Base], **more: Any) -> Plan:
    allowed = Allowed(**more.pop("allowed", {}))
    drafts = {unit: make_draft(unit, values) for unit, values in new.items()}
    return plan("dev", drafts, old, around(**more), allowed)


def only(found: Plan) -> UnitPlan:
    (one,) = found.units
    return one


def token(value: str, *path: str | Member, key: PrivateKey = KEY) -> str:
    return Sealer().seal(value, "str", place("dev", "a", path), key.public)


# ---- the digest


def test_the_digest_covers_changed_units_and_nothing_else() -> None:
    old = release(B, {"n": 1})
    both = planned({A: {"n": 1}, B: {"n": 1}}, {B: old})
    alone = planned({A: {"n": 1}}, {})
    assert both.digest == alone.digest
    assert planned({A: {"n": 2}}, {}).digest != alone.digest
    assert planned({B: {"n": 2}}, {B: old}).digest != planned({B: {"n": 2}}, {}).digest


def test_origins_and_commit_are_outside_the_digest() -> None:
    new = {A: make_draft(A, {"n": 1}, origins={"/n": "a.yaml:1"})}
    moved = {A: make_draft(A, {"n": 1}, origins={"/n": "a.yaml:9"})}
    first = plan("dev", new, {}, around())
    second = plan("dev", moved, {}, around()._replace(commit=COMMIT._replace(commit="d" * 40)))
    assert first.digest == second.digest


def test_flags_do_not_change_the_digest() -> None:
    old = release(A, {"a": 1, "b": 1, "c": 1})
    assert planned({A: {"a": 1}}, {A: old}).digest == (
        planned({A: {"a": 1}}, {A: old}, allowed={"removal": True}).digest
    )


def test_drafts_are_compared_with_drafts_as_with_releases() -> None:
    from_store = planned({A: {"n": 2}}, {A: release(A, {"n": 1})})
    from_commit = planned({A: {"n": 2}}, {A: make_draft(A, {"n": 1})})
    assert from_store.digest == from_commit.digest
    assert only(from_store).changes == only(from_commit).changes


# ---- actions


def test_same_new_and_changed() -> None:
    assert only(planned({A: {"n": 1}}, {A: release(A, {"n": 1})})).action == "same"
    assert only(planned({A: {"n": 1}}, {})).action == "publish"
    assert only(planned({A: {"n": 2}}, {A: release(A, {"n": 1})})).action == "publish"


def test_vanished_retired_and_back() -> None:
    old = release(A, {"n": 1})
    gone = only(planned({}, {A: old}))
    assert (gone.action, gone.guards[0].flag) == ("refused", "--retire dev/a")
    retire = only(planned({}, {A: old}, allowed={"retire": frozenset({A})}))
    assert (retire.action, retire.new_digest) == ("retire", "")
    tomb = release(A, {}, retired={"successor": ""})
    assert only(planned({}, {A: tomb})).action == "same"
    assert only(planned({A: {"n": 1}}, {A: tomb})).action == "publish"


def test_of_one_unit_asked_for_no_other_vanishes() -> None:
    found = planned({A: {"n": 1}}, {B: release(B, {"n": 1})}, whole=False)
    assert [one.unit for one in found.units] == [A]


def test_newer_trust_signs_every_unit_again() -> None:
    found = only(planned({A: {"n": 1}}, {A: release(A, {"n": 1})}, trust_version=2))
    assert (found.action, found.reason) == ("resign", "trust")
    newer = release(A, {"n": 1}, trust=make_trust(2))
    assert only(planned({A: {"n": 1}}, {A: newer}, trust_version=2)).action == "same"


def test_reissue_writes_equal_drafts() -> None:
    found = only(planned({A: {"n": 1}}, {A: release(A, {"n": 1})}, allowed={"reissue": True}))
    assert (found.action, found.reason) == ("resign", "reissue")


def test_a_broken_head_is_replaced_only_on_request() -> None:
    broken = Broken(A, "v", "bad-signature", "somebody wrote it", release(A, {"n": 1}))
    assert only(planned({A: {"n": 1}}, {A: broken})).action == "broken"
    repaired = only(planned({A: {"n": 1}}, {A: broken}, allowed={"repair_head": True}))
    assert (repaired.action, repaired.reason) == ("resign", "repair")
    assert only(planned({A: {"n": 2}}, {A: broken}, allowed={"repair_head": True})).action == "publish"
    lost = broken.__class__(A, "v", "x", "y", None)
    assert only(planned({A: {"n": 1}}, {A: lost}, allowed={"repair_head": True})).action == "publish"


# ---- holds


def held(values: Mapping[str, Any], bad: Mapping[str, Any], **more: Any) -> Release:
    entries = rejected(make_draft(A, bad).draft, make_draft(A, values).draft, with_secrets=False)
    return release(A, values, hold={"by": "anna", "reason": "slow", "rejected": entries}, **more)


def test_a_hold_stands_while_any_rejected_value_is_rendered() -> None:
    head = held({"a": 1, "b": 1}, {"a": 2, "b": 2})
    for now in ({"a": 2, "b": 2}, {"a": 2, "b": 7}, {"a": 1, "b": 2}):
        assert only(planned({A: now}, {A: head})).action == "held"
    assert only(planned({A: {"a": 3, "b": 3}}, {A: head})).action == "publish"


def test_a_hold_knows_what_was_added_and_what_was_taken_away() -> None:
    head = held({"a": 1}, {"b": 1})
    assert only(planned({A: {"b": 1, "c": 1}}, {A: head})).action == "held"
    assert only(planned({A: {"c": 1}}, {A: head})).action == "held"  # `a` is missing, as in what was rejected
    assert only(planned({A: {"a": 1, "c": 1}}, {A: head})).action == "publish"


def test_a_hold_is_an_error_only_when_somebody_changed_the_unit_since() -> None:
    head = held({"a": 1}, {"a": 2})
    bad = make_draft(A, {"a": 2}).digest
    still = only(planned({A: {"a": 2}}, {A: head}, held_drafts={A: bad}))
    assert still.notes[0].severity == "warning"
    moved = only(planned({A: {"a": 2, "b": 1}}, {A: head}, held_drafts={A: bad}))
    assert moved.notes[0].severity == "error"
    unknown = only(planned({A: {"a": 2, "b": 1}}, {A: head}))
    assert unknown.notes[0].severity == "warning"


def test_a_held_unit_is_signed_again_with_the_heads_own_draft() -> None:
    head = held({"a": 1}, {"a": 2})
    found = only(planned({A: {"a": 2}}, {A: head}, trust_version=2))
    assert (found.action, found.reason, found.drafted) == ("resign", "trust", None)
    assert found.new_digest == head.payload.draft_digest


def test_a_hold_of_somebody_who_may_not_publish_any_more_is_not_signed_again() -> None:
    head = held({"a": 1}, {"a": 2})
    (name,) = head.publishers
    with_name = frozenset([name, "another"])
    assert only(planned({A: {"a": 2}}, {A: head}, trust_version=2, publishers=with_name)).action == "resign"
    others = frozenset(["another"])
    found = only(planned({A: {"a": 2}}, {A: head}, trust_version=2, publishers=others))
    assert (found.action, [guard.word for guard in found.guards]) == ("refused", ["departed-hold"])
    assert name in found.guards[0].what
    assert only(planned({A: {"a": 2}}, {A: head}, publishers=others)).action == "held"  # nothing to sign
    lifted = planned(
        {A: {"a": 2}}, {A: head}, trust_version=2, publishers=others, allowed={"lift_hold": True}
    )
    assert only(lifted).action == "publish"
    again = planned({A: {"a": 2}}, {A: head}, publishers=others, allowed={"reissue": True})
    assert only(again).action == "refused"


def test_a_hold_that_ended_is_written_out() -> None:
    head = held({"a": 1}, {"a": 2})
    found = only(planned({A: {"a": 1}}, {A: head}))
    assert (found.action, found.reason) == ("resign", "hold-ends")
    assert found.drafted is not None


def test_lift_hold_publishes_the_rejected_value() -> None:
    head = held({"a": 1}, {"a": 2})
    assert only(planned({A: {"a": 2}}, {A: head}, allowed={"lift_hold": True})).action == "publish"


def test_a_hold_names_elements_of_keyed_lists_by_their_key() -> None:
    keys = {"/xs": "name"}
    bad = make_draft(A, {"xs": [{"name": "eu", "port": 2}, {"name": "us", "port": 1}]}, merge_keys=keys)
    good = make_draft(A, {"xs": [{"name": "eu", "port": 1}, {"name": "us", "port": 1}]}, merge_keys=keys)
    hold = {"rejected": rejected(bad.draft, good.draft, with_secrets=False)}
    assert hold["rejected"] == [{"path": '/xs/name="eu"/port', "value": 2}]
    moved = make_draft(A, {"xs": [{"name": "us", "port": 1}, {"name": "eu", "port": 2}]}, merge_keys=keys)
    assert still_rendered(hold, moved.draft)[0].path == "xs[name=eu].port"
    assert not still_rendered(hold, good.draft)


# ---- changes


def sealed(values: Mapping[str, Any], *pointers: str) -> Draft:
    return make_draft(A, values, sealed=dict.fromkeys(pointers, AT)).draft


def kinds(old: Draft, new: Draft) -> dict[str, str]:
    return {change.path: change.kind for change in changes(old, new)}


def test_secrets_are_named_and_never_shown() -> None:
    one, two = token("first", "p"), token("second", "p")
    other_key = token("first", "p", key=NEW_KEY)
    assert kinds(sealed({}), sealed({"p": one}, "/p")) == {"p": "secret-added"}
    assert kinds(sealed({"p": one}, "/p"), sealed({"p": two}, "/p")) == {"p": "secret-changed"}
    assert kinds(sealed({"p": one}, "/p"), sealed({"p": other_key}, "/p")) == {"p": "secret-resealed"}
    assert kinds(sealed({"p": one}, "/p"), sealed({})) == {"p": "secret-removed"}
    assert kinds(sealed({"p": one}, "/p"), sealed({"p": one}, "/p")) == {}
    for old, new in (({"p": "plain"}, {"p": one}), ({"p": one}, {"p": "plain"})):
        found = changes(
            sealed(old, *(["/p"] if old["p"] == one else [])),
            sealed(new, *(["/p"] if new["p"] == one else [])),
        )
        assert [(c.old, c.new) for c in found] == [(None, None)]
    assert kinds(sealed({"p": "plain"}), sealed({"p": one}, "/p")) == {"p": "secret-added"}
    assert kinds(sealed({"p": one}, "/p"), sealed({"p": "plain"})) == {"p": "secret-unsealed"}


def test_types_differ_where_values_look_equal() -> None:
    assert kinds(sealed({"a": 1, "b": True}), sealed({"a": True, "b": 1})) == {"a": "changed", "b": "changed"}
    assert kinds(sealed({"a": "1"}), sealed({"a": 1})) == {"a": "changed"}


def test_maps_that_become_empty_or_get_their_first_key() -> None:
    assert kinds(sealed({"m": {}}), sealed({"m": {"a": 1}})) == {"m.a": "added"}
    assert kinds(sealed({"m": {"a": 1}}), sealed({"m": {}})) == {"m": "added", "m.a": "removed"}


def test_an_element_of_a_keyed_list_that_moves_is_no_change_of_its_values() -> None:
    keys = {"/xs": "n"}
    one = make_draft(A, {"xs": [{"n": "a", "v": 1}, {"n": "b", "v": 2}]}, merge_keys=keys).draft
    two = make_draft(A, {"xs": [{"n": "b", "v": 2}, {"n": "a", "v": 1}]}, merge_keys=keys).draft
    assert changes(one, two) == ()
    assert next(p for p in leaves(one) if p[-1] == "v") == ("xs", Member("n", "a"), "v")
    three = make_draft(A, {"xs": [{"n": "a", "v": 9}]}, merge_keys=keys).draft
    assert kinds(one, three) == {"xs[n=a].v": "changed", "xs[n=b].n": "removed", "xs[n=b].v": "removed"}


def test_a_change_says_where_it_stands_and_where_it_stood() -> None:
    found = changes(
        sealed({"a": 1, "b": 1}),
        sealed({"a": 2}),
        old_origins={"/b": "base.yaml:4"},
        new_origins={"/a": "dev.yaml:2"},
    )
    assert [(c.path, c.where) for c in found] == [("a", "dev.yaml:2"), ("b", "base.yaml:4")]


# ---- guards


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (10, 7, None),  # 30 % is within
        (10, 6, "removed-keys"),
        (2, 1, None),  # one key is no mass deletion
        (3, 1, "removed-keys"),
        (3, 0, "removed-keys"),
    ],
)
def test_removed_keys(before: int, after: int, word: str | None) -> None:
    old, new = ({f"k{n}": n for n in range(count)} for count in (before, after))
    found = guards(A, make_draft(A, old).draft, make_draft(A, new), Limits())
    assert [guard.word for guard in found] == ([word] if word else [])


def test_growth() -> None:
    def text(size: int) -> dict[str, str]:
        return {"x": "y" * size}

    def words(old: int, new: int) -> list[str]:
        return [g.word for g in guards(A, make_draft(A, text(old)).draft, make_draft(A, text(new)), Limits())]

    assert words(SMALL, 3 * SMALL) == ["growth"]
    assert words(SMALL, int(1.9 * SMALL)) == []
    assert words(10, 100) == []  # a young service grows fast
    assert words(10, 2 * SMALL) == ["growth"]
    assert guards(A, None, make_draft(A, text(9 * SMALL)), Limits()) == ()


def test_each_guard_is_passed_by_its_own_flag_only() -> None:
    old = release(A, {f"k{n}": n for n in range(10)})
    for flag, passes in (("removal", True), ("growth", False)):
        found = only(planned({A: {"k0": 0}}, {A: old}, allowed={flag: True}))
        assert (found.action == "publish") is passes


# ---- look twice


def notes(old: Draft, new: Draft, **more: Any) -> list[str]:
    from sealpipe.stages.guards import look_twice

    return [note.word for note in look_twice(old, new, changes(old, new), **more)]


def test_a_plain_value_changed_beside_a_secret_is_pointed_out() -> None:
    secret = token("s", "db", "password")
    old = sealed({"db": {"host": "a", "password": secret}, "x": 1}, "/db/password")
    new = sealed({"db": {"host": "b", "password": secret}, "x": 1}, "/db/password")
    other = sealed({"db": {"host": "a", "password": secret}, "x": 2}, "/db/password")
    assert "beside-a-secret" in notes(old, new)
    assert "beside-a-secret" not in notes(old, other)
    both = sealed({"db": {"host": "b", "password": token("t", "db", "password")}, "x": 1}, "/db/password")
    assert "beside-a-secret" not in notes(old, both)


def test_removed_paths_and_defaults_that_will_stand() -> None:
    from sealpipe.stages.guards import look_twice

    old, new = sealed({"a": 1, "b": 2}), sealed({"a": 1})
    found = look_twice(old, new, changes(old, new))
    assert [note.what for note in found] == ["b is removed; no other layer sets it"]
    found = look_twice(old, new, changes(old, new), frozenset({"/b"}))
    assert [note.what for note in found] == ["b is removed; the schema's default will stand"]


def test_counts_of_secrets_and_readers() -> None:
    from sealpipe.stages.guards import look_twice

    box = {"dev/a": {"0" * 16: {"1" * 16: "x"}}}
    one, two = token("s", "p"), token("t", "p")
    old = make_draft(A, {"p": one, "q": token("u", "q")}, sealed={"/p": AT, "/q": AT}).draft
    new = make_draft(A, {"p": two, "q": old.values["q"]}, sealed={"/p": AT, "/q": AT}, stanzas=box).draft
    (note,) = look_twice(old, new, changes(old, new))
    assert note.what == (
        "secrets: 1 changed, 1 same, 0 sealed again for a new key; 1 machine reader(s) added"
    )
