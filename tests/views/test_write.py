"""A plain tree on its way: by difference, only what is ours, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from publishing import NOW, PROJECT, READER, A, Around, B, Died, Dying, commit, content, make_draft, put
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import Sealer
from sealpipe.errors import OutcomeUnknownError, RefusedError, SealpipeError
from sealpipe.model import Broken, Head
from sealpipe.project import Limits
from sealpipe.publishing.heads import head
from sealpipe.publishing.sign import of_drafted
from sealpipe.released import SealedAt, Unit
from sealpipe.releases.keys import archives_prefix, head_key
from sealpipe.stores.base import Check, Delete, Op, Put, Store
from sealpipe.stores.file import FileStore
from sealpipe.testing.memory import MemoryStore
from sealpipe.tokens import place
from sealpipe.views.drift import drift
from sealpipe.views.place import Marker, Place, Source, read_marker
from sealpipe.views.write import Rules, Written, write_tree

RULES = Rules(Limits())
ONE_KEY = MemoryStore().limits._replace(transactional=False, ops=1)


class Bench:
    """Releases in one store, their plain tree in another."""

    def __init__(self, tree: Store, layout: str = "keys") -> None:
        self.releases = MemoryStore()
        self.tree = tree
        self.now = NOW
        self.layout = layout

    @property
    def source(self) -> Source:
        return Source(self.releases, "", READER)

    def place(self, tree: Store | None = None) -> Place:
        return Place("memory:", tree or self.tree, "plain/", self.layout, PROJECT)

    def head(self, unit: Unit = A) -> Head | Broken | None:
        return head(self.releases, "", unit, READER)

    def publish(self, values: dict[str, Any], **more: Any) -> None:
        self.now += 1
        put(self.releases, [content(A, values, **more)], now=self.now)

    def write(self, rules: Rules = RULES, *, tree: Store | None = None, before: Any = None) -> Written | None:
        def head_of(unit: Unit) -> Head | Broken | None:
            found = self.head(unit)
            if before is not None:
                before()
            return found

        return write_tree(self.place(tree), self.source, A, head_of, rules)

    def keys(self) -> dict[str, str]:
        return {e.key.removeprefix("plain/a/"): e.value.decode() for e in self.tree.scan("plain/a/")}

    def drift(self) -> list[str]:
        one = self.head()
        assert isinstance(one, Head)
        return [finding.word for finding in drift(self.place(), self.source, one.release)]

    def by_hand(self, key: str, value: str | None) -> None:
        self.tree.write(
            [Delete("plain/a/" + key) if value is None else Put("plain/a/" + key, value.encode(), None)]
        )

    def marker(self) -> Marker:
        found = read_marker(self.place(), A)[1]
        assert found is not None
        return found


def token(name: str) -> str:
    return Sealer().seal("hunter2", "str", place("dev", "a", (name,)), PrivateKey(bytes([7]) * 32).public)


def make(kind: str, folder: Path) -> Store:
    if kind == "file":
        return FileStore(folder / "tree")
    return MemoryStore() if kind == "transactions" else MemoryStore(ONE_KEY)


@pytest.fixture(params=["transactions", "single", "file"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(make(request.param, tmp_path))


def test_written_by_difference_and_the_marker_last(bench: Bench) -> None:
    watched = Around(bench.tree)
    bench.publish({"a": 1, "b": {"c": "x", "d": True}, "e": "f"})
    assert bench.write(tree=watched) == Written(A, 1, 4, 0, ())
    assert bench.keys() == {"a": "1", "b/c": "x", "b/d": "true", "e": "f"}
    assert (
        [op.key for op in watched.writes[0]] == [op.key for op in watched.writes[-1]] == ["plain/_sealpipe/a"]
    )
    assert bench.drift() == []
    bench.publish({"a": 2, "b": {"c": "x", "d": True}, "g": "h"})
    assert bench.drift()[0] == "tree-behind"
    watched.writes.clear()
    assert bench.write(tree=watched) == Written(A, 2, 2, 1, ())
    changed = [op.key for ops in watched.writes for op in ops if not isinstance(op, Check)]
    assert sorted(changed[1:-1]) == ["plain/a/a", "plain/a/e", "plain/a/g"]
    assert bench.keys() == {"a": "2", "b/c": "x", "b/d": "true", "g": "h"}
    assert bench.drift() == []


def test_nothing_is_asked_of_a_tree_that_is_whole(bench: Bench) -> None:
    bench.publish({"a": 1})
    bench.write()
    watched = Around(bench.tree)
    assert bench.write(tree=watched) == Written(A, 1, 0, 0, ())
    assert watched.writes == []


def test_a_value_becomes_a_folder_and_back(bench: Bench) -> None:
    for values in (
        {"a": 1, "z": 1},
        {"a": {"b": 1}, "z": 1},
        {"a": {"b": {"c": 1}}, "z": 1},
        {"a": 1, "z": 1},
    ):
        bench.publish(values)
        bench.write()
        assert bench.drift() == []
    assert bench.keys() == {"a": "1", "z": "1"}


def test_another_layout_takes_the_keys_of_the_old_one_away(bench: Bench) -> None:
    bench.publish({"a": 1, "b": {"c": 2}})
    bench.write()
    bench.layout = "yaml"
    assert bench.drift() == ["tree-behind", "tree-leftover"]
    withheld = bench.write()
    assert withheld
    assert withheld.withheld == ("a", "b/c")
    assert bench.write(RULES._replace(removal=True)) == Written(A, 1, 0, 2, ())
    assert bench.keys() == {"data": "a: 1\nb:\n  c: 2\n"}
    assert bench.drift() == []


def test_keys_that_are_not_ours_are_told_and_stay(bench: Bench) -> None:
    bench.publish({"a": 1})
    bench.by_hand("theirs", "x")
    done = bench.write()
    assert done
    assert done.strays == ("theirs",)
    bench.publish({"b": 1})
    bench.write()
    assert bench.keys() == {"b": "1", "theirs": "x"}
    assert bench.drift() == ["tree-stray"]
    bench.write(RULES._replace(repair=True, removal=True))
    assert bench.keys()["theirs"] == "x"


def test_many_deletes_need_a_word(bench: Bench) -> None:
    """The guard of the plan, for what the plan did not see: a tree that missed some releases."""
    bench.publish({f"k{n}": n for n in range(10)})
    bench.write()
    for left in (8, 6, 5):
        bench.publish({f"k{n}": n for n in range(left)} | {"new": 1})
    done = bench.write()
    assert done
    assert (done.puts, done.deletes, len(done.withheld)) == (1, 0, 5)
    assert len(bench.keys()) == 11
    assert bench.drift() == ["tree-behind", "tree-leftover"]
    done = bench.write(RULES._replace(removal=True))
    assert done
    assert done.deletes == 5
    assert bench.drift() == []


def test_what_a_plan_let_through_passes(bench: Bench) -> None:
    """Sealed settings count on both sides of the guard, although they are not in the tree."""
    secrets = {f"s{n}": token(f"s{n}") for n in range(8)}
    sealed = {f"/s{n}": SealedAt("dev", "a") for n in range(8)}
    for values in ({"a": 1, "b": 2, **secrets}, secrets):
        bench.now += 1
        put(bench.releases, [of_drafted(make_draft(A, values, sealed=sealed), commit("c"))], now=bench.now)
        done = bench.write()
    assert done
    assert (done.deletes, done.withheld) == (2, ())
    assert done.left_out == tuple(secrets)
    assert bench.keys() == {}


def test_a_retired_service_loses_its_keys(bench: Bench) -> None:
    bench.publish({f"k{n}": n for n in range(5)})
    bench.write()
    bench.publish({}, retired={"successor": ""})
    done = bench.write()
    assert done
    assert done.deletes == 5
    assert bench.keys() == {}
    assert bench.drift() == []


def test_a_retired_service_that_never_had_a_tree_gets_none(bench: Bench) -> None:
    bench.publish({"a": 1})
    bench.publish({}, retired={"successor": ""})
    bench.write()
    assert bench.tree.keys("plain/") == []


@pytest.mark.parametrize("hand", [{"a": "9"}, {"a": None}, {"a": None, "b/c": "9"}])
def test_what_a_hand_changed_is_found_and_mended(bench: Bench, hand: dict[str, str | None]) -> None:
    bench.publish({"a": 1, "b": {"c": 2}})
    bench.write()
    for key, value in hand.items():
        bench.by_hand(key, value)
    assert bench.drift() == ["tree-differs"]
    bench.write()
    assert bench.drift() == ["tree-differs"], "a publish that changes nothing does not look at every key"
    bench.write(RULES._replace(repair=True))
    assert bench.drift() == []


def test_a_finding_names_keys_and_never_a_value(bench: Bench) -> None:
    bench.publish({"a": "hunter2", "b": {"c": 2}})
    bench.write()
    bench.by_hand("a", "swordfish")
    one = bench.head()
    assert isinstance(one, Head)
    text = str(drift(bench.place(), bench.source, one.release))
    assert ": a" in text
    assert "hunter2" not in text
    assert "swordfish" not in text


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["transactions", "single", "file"])
def test_a_death_at_each_write_is_mended_by_the_next_publish(kind: str, after: bool, tmp_path: Path) -> None:
    """Also what the dead one wrote and the next release does not have any more."""
    first = {"gone": 1, "changed": 1, "stays": 1, "x": {"y": 1}}
    second = {"changed": 2, "stays": 1, "x": 5, "only-here": 1}
    third = {"changed": 1, "stays": 1, "x": {"z": 1}, "late": 1}
    died = 0
    for at in range(20):
        bench = Bench(make(kind, tmp_path / f"{at}"))
        bench.publish(first)
        bench.write()
        bench.publish(second)
        dying = Dying(bench.tree, at, after=after)
        try:
            bench.write(tree=dying)
        except Died:
            died += 1
            assert bench.drift() or bench.marker().writing == "", "an unfinished tree says so"
        else:
            break
        bench.publish(third)
        bench.write(RULES._replace(removal=True))
        assert bench.keys() == {"changed": "1", "stays": "1", "x/z": "1", "late": "1"}
        assert bench.drift() == []
    assert died >= 2


@pytest.mark.parametrize("kind", ["transactions", "single", "file"])
def test_a_repair_alone_mends_a_death(kind: str, tmp_path: Path) -> None:
    seen = set()
    for at in range(20):
        bench = Bench(make(kind, tmp_path / f"{at}"))
        bench.publish({"a": 1, "b": 1})
        try:
            bench.write(tree=Dying(bench.tree, at, after=True))
        except Died:
            seen.update(bench.drift())
            bench.write(RULES._replace(repair=True))
            assert bench.drift() == []
        else:
            break
    assert seen == {"tree-behind"}


class Racing(Around):
    """Somebody else publishes, and writes the tree, right before our n-th write."""

    def __init__(self, store: Store, at: int, other: Callable[[], None]) -> None:
        super().__init__(store)
        self.left, self.other = at, other

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        if self.left == 0:
            self.other()
        self.left -= 1
        super().write(ops, timeout=timeout)


@pytest.mark.parametrize("kind", ["transactions", "single", "file"])
def test_a_newer_release_wins_wherever_it_comes_in_between(kind: str, tmp_path: Path) -> None:
    """`back` is in the third release what it was in the first: a late write of the second must not stand."""
    for at in range(8):
        bench = Bench(make(kind, tmp_path / f"{at}"))
        bench.publish({"back": 1, "a": 1, "b": 1, "c": 1})
        bench.write()
        bench.publish({"back": 2, "a": 2, "b": 1, "d": 1})

        def other(bench: Bench = bench) -> None:
            bench.publish({"back": 1, "a": 3, "b": 1, "e": 1})
            bench.write(RULES._replace(removal=True))

        bench.write(RULES._replace(removal=True), tree=Racing(bench.tree, at, other))
        if bench.now == NOW + 3:
            assert bench.keys() == {"back": "1", "a": "3", "b": "1", "e": "1"}
        assert bench.drift() == [], at


def test_a_head_that_moves_after_it_was_read(bench: Bench) -> None:
    bench.publish({"a": 1})
    bench.write()
    bench.publish({"a": 2})
    moves = iter([True])

    def before() -> None:
        if next(moves, False):
            bench.publish({"a": 3})
            bench.write()

    bench.write(before=before)
    assert bench.keys() == {"a": "3"}
    assert bench.drift() == []


def test_a_lost_reply_is_looked_at(bench: Bench) -> None:
    class Lossy(Around):
        lost = 0

        def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
            super().write(ops, timeout=timeout)
            self.lost += 1
            if self.lost % 2:
                raise OutcomeUnknownError("outcome-unknown", "the reply was lost")

    bench.publish({"a": 1, "b": 2})
    bench.write(tree=Lossy(bench.tree))
    assert bench.drift() == []


def test_a_store_that_never_says_is_reported(bench: Bench) -> None:
    class Mute(Around):
        def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
            raise OutcomeUnknownError("outcome-unknown", "no reply")

    bench.publish({"a": 1})
    with pytest.raises(OutcomeUnknownError):
        bench.write(tree=Mute(bench.tree))


def test_requests_stay_within_the_stores_limits() -> None:
    bench = Bench(MemoryStore(MemoryStore().limits._replace(ops=10, request=2_000)))
    bench.publish({f"k{n}": "x" * (300 if n % 3 else 1) for n in range(100)})
    watched = Around(bench.tree)
    done = bench.write(tree=watched)
    assert done
    assert done.puts == 100
    sizes = [len(ops) for ops in watched.writes]
    assert max(sizes) <= 10
    assert max(watched.size(ops) for ops in watched.writes) <= 2_000
    assert len(sizes) < 60
    for ops in watched.writes[1:-1]:
        assert [type(op) for op in ops].count(Check) == 1
    assert bench.drift() == []


def test_every_delete_names_one_key_and_the_version_that_was_seen(bench: Bench) -> None:
    bench.publish({"a": 1, "b": 1, "c": 1, "d": 1})
    bench.write()
    bench.publish({"a": 1, "b": 1, "c": 1})
    watched = Around(bench.tree)
    bench.write(tree=watched)
    [gone] = [op for ops in watched.writes for op in ops if isinstance(op, Delete)]
    assert gone.key == "plain/a/d"
    assert gone.expect


def test_the_folder_of_somebody_else_is_not_touched(bench: Bench) -> None:
    bench.publish({"a": 1})
    bench.write()
    before = {e.key: e.value for e in bench.tree.scan("")}
    foreign = bench.place()._replace(project="0" * 32)
    for there, unit in ((foreign, A), (bench.place(), Unit("production", "a"))):
        with pytest.raises(RefusedError) as caught:
            write_tree(there, bench.source, unit, bench.head, RULES)
        assert caught.value.word == "tree-taken"
    assert {e.key: e.value for e in bench.tree.scan("")} == before


def test_a_neighbour_whose_name_begins_alike_is_not_touched(bench: Bench) -> None:
    bench.tree.write([Put("plain/a-2/x", b"1", None)])
    bench.tree.write([Put("plain/ab", b"1", None)])
    bench.publish({"a": 1})
    bench.write()
    bench.publish({}, retired={"successor": ""})
    bench.write()
    assert {"plain/a-2/x", "plain/ab"} <= set(bench.tree.keys("plain/"))
    assert bench.drift() == []


def test_a_tree_that_is_ahead_goes_back_by_repair_only(bench: Bench) -> None:
    bench.publish({"a": 1})
    old = bench.releases.get(head_key("", A))
    assert old
    bench.publish({"a": 2})
    bench.write()
    bench.releases.write([Put(old.key, old.value, None)])
    with pytest.raises(RefusedError) as caught:
        bench.write()
    assert caught.value.word == "tree-ahead"
    assert bench.keys() == {"a": "2"}
    bench.write(RULES._replace(repair=True))
    assert bench.keys() == {"a": "1"}


def test_a_head_that_no_service_accepts_leaves_the_tree_alone(bench: Bench) -> None:
    bench.publish({"a": 1})
    bench.write()
    bench.releases.write([Put(head_key("", A), b"junk", None)])
    assert bench.write() is None
    assert bench.keys() == {"a": "1"}


def test_without_archives_what_was_ours_is_a_stray(bench: Bench) -> None:
    """Deletes need a signed release that had the key; a marker alone is anybody's word."""
    bench.publish({"a": 1, "b": 1})
    bench.write()
    bench.publish({"a": 1})
    for key in bench.releases.keys(archives_prefix("", A)):
        bench.releases.write([Delete(key)])
    done = bench.write()
    assert done
    assert done.strays == ("b",)
    assert bench.keys() == {"a": "1", "b": "1"}


def test_a_marker_that_claims_more_than_it_may(bench: Bench) -> None:
    bench.publish({"a": 1})
    bench.write()
    bench.by_hand("theirs", "x")
    marker = bench.marker()._replace(release="f" * 64)
    bench.tree.write([Put("plain/_sealpipe/a", marker.encode(), None)])
    bench.publish({"a": 2})
    bench.write(RULES._replace(removal=True))
    assert bench.keys() == {"a": "2", "theirs": "x"}


@pytest.mark.parametrize("junk", [b"", b"{}", b"junk", b"[]", b'{"format":1}', b'{"format":2,"order":[1,2]}'])
def test_a_marker_that_is_none_is_replaced(bench: Bench, junk: bytes) -> None:
    bench.publish({"a": 1})
    bench.write()
    bench.tree.write([Put("plain/_sealpipe/a", junk, None)])
    assert bench.drift() == ["tree-behind"]
    bench.write()
    assert bench.drift() == []


def test_a_name_that_cannot_be_a_key_is_refused_before_anything_is_written(bench: Bench) -> None:
    bench.publish({"a": 1})
    bench.write()
    bench.publish({"a b": 1})
    with pytest.raises(SealpipeError) as caught:
        bench.write()
    assert caught.value.word == "tree-key"
    assert bench.keys() == {"a": "1"}
    assert bench.marker().writing == ""


def test_services_have_trees_of_their_own(bench: Bench) -> None:
    put(bench.releases, [content(A, {"x": 1}), content(B, {"x": 2})], now=NOW)
    for unit in (A, B):
        write_tree(bench.place(), bench.source, unit, bench.head, RULES)
    assert [e.value for e in bench.tree.scan("plain/") if e.key.endswith("/x")] == [b"1", b"2"]
