"""The fence: who may pass it, who moves it, and what nobody can fake."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from publishing import (
    KEYS,
    TRUST,
    A,
    Around,
    content,
    look,
    make_trust,
    put,
)
from sealpipe.errors import ConflictError, OutcomeUnknownError, RefusedError
from sealpipe.model import Head
from sealpipe.publishing.fence import Claim, State, claim, fences, read_state, sign_state
from sealpipe.released import Unit
from sealpipe.releases.keys import state_key
from sealpipe.stores.base import Store
from sealpipe.testing.memory import MemoryStore
from sealpipe.trust import Trust

OLD, NEW, OTHER = "a" * 40, "b" * 40, "c" * 40
LINE = [OLD, NEW]  # OTHER is on no line
KEY = state_key("", "dev")


def ancestry(older: str, newer: str) -> bool | None:
    if older not in LINE or newer not in LINE:
        return None if older == "d" * 40 else False
    return LINE.index(older) <= LINE.index(newer)


def good(store: Store) -> Mapping[Unit, Head]:
    return {unit: one for unit, one in look(store).items() if isinstance(one, Head)}


def take(
    store: Store,
    commit: str,
    *,
    by: str = "ci",
    enforced: bool = True,
    supersede: str = "",
    trust: Trust = TRUST,
) -> Claim:
    return claim(
        store,
        "",
        lambda: good(store),
        State(commit, "B1", by, "2026-05-04T00:00:00Z"),
        trust=trust,
        environment="dev",
        key=KEYS[by],
        ancestry=ancestry,
        enforced=enforced,
        supersede=supersede,
    )


def current(store: Store) -> State:
    entry = store.get(KEY)
    assert entry
    found = read_state(entry.value, TRUST, "dev")
    assert found
    return found


def refused(store: Store, commit: str, **more: str) -> str:
    with pytest.raises(RefusedError) as caught:
        take(store, commit, **more)  # type: ignore[arg-type]
    return caught.value.word


def test_a_newer_commit_moves_it_and_an_older_one_is_refused() -> None:
    store = MemoryStore()
    first = take(store, OLD)
    second = take(store, NEW)
    assert current(store).commit == NEW
    assert first.version != second.version
    assert refused(store, OLD) == "older-commit"
    assert current(store).commit == NEW


def test_the_same_commit_joins() -> None:
    store = MemoryStore()
    first = take(store, OLD)
    second = take(store, OLD, by="anna")
    assert second.joined
    assert second.version == first.version
    assert current(store).publisher == "ci"


def test_publishes_outside_git_do_not_join_one_another() -> None:
    store = MemoryStore()
    first = take(store, "", enforced=False)
    second = take(store, "", enforced=False, by="anna")
    assert not second.joined
    assert first.version != second.version
    assert second.notes == ()


def test_what_cannot_be_told_is_refused() -> None:
    store = MemoryStore()
    take(store, "d" * 40, enforced=False)
    assert refused(store, NEW) == "unknown-commit"


def test_unprotected_only_warns_and_moves() -> None:
    store = MemoryStore()
    take(store, NEW)
    found = take(store, OLD, enforced=False)
    assert [note.severity for note in found.notes] == ["warning"]
    assert current(store).commit == OLD


def test_a_state_of_a_key_that_trust_lists_no_more_does_not_fence() -> None:
    store = MemoryStore()
    with_old = make_trust(
        names="anna ben ci old", environments={"dev": {"publishers": ["anna", "ci", "old"]}}
    )
    take(store, NEW, by="old", trust=with_old)
    entry = store.get(KEY)
    assert entry
    assert read_state(entry.value, with_old, "dev") is not None
    assert read_state(entry.value, TRUST, "dev") is None
    take(store, OLD)  # would be older-commit
    assert current(store).commit == OLD


def test_a_state_that_anybody_could_write_does_not_fence() -> None:
    state = State(NEW, "B", "ci", "2026-05-04T00:00:00Z")
    raw = sign_state(TRUST.project, "dev", state, KEYS["ci"])
    assert read_state(raw, TRUST, "dev") == state
    for bad in (
        b"junk",
        raw[:-1],
        raw + b"x",
        raw.replace(b'"ci"', b'"cx"'),
        sign_state(TRUST.project, "dev", state, KEYS["ben"]),  # listed, and no publisher of dev
        sign_state(TRUST.project, "production", state, KEYS["ci"]),
        sign_state("0" * 32, "dev", state, KEYS["ci"]),
        sign_state(TRUST.project, "dev", state._replace(commit="HEAD"), KEYS["ci"]),
    ):
        assert read_state(bad, TRUST, "dev") is None


def test_without_a_state_the_heads_commits_fence() -> None:
    store = MemoryStore()
    put(store, [content(A, {"n": 1}, git="b")])
    assert refused(store, OLD) == "older-commit"
    take(store, NEW)


def test_heads_of_a_removed_key_do_not_fence() -> None:
    store = MemoryStore()
    with_old = make_trust(
        names="anna ben ci old", environments={"dev": {"publishers": ["anna", "ci", "old"]}}
    )
    put(store, [content(A, {"n": 1}, git="b")], trust=with_old, by="old")
    assert fences(None, good(store), with_old) != ()
    assert fences(None, good(store), TRUST) == ()
    take(store, OLD)


def test_supersede_passes_exactly_one_commit_and_is_recorded() -> None:
    store = MemoryStore()
    take(store, OTHER, enforced=False)
    assert refused(store, NEW, supersede="a" * 40) == "older-commit"
    assert refused(store, NEW, supersede="c" * 6) == "older-commit"  # too short to mean one commit
    take(store, NEW, supersede="c" * 12)
    assert current(store).superseded == OTHER


def test_the_fence_moves_by_compare_and_swap() -> None:
    inner = MemoryStore()
    take(inner, OLD)

    class Races(Around):
        def write(self, ops: object, *, timeout: float = 10.0) -> None:
            if not self.writes:
                self.writes.append([])
                take(inner, NEW)
            self.inner.write(ops, timeout=timeout)  # type: ignore[arg-type]

    middle = "e" * 40
    LINE.insert(1, middle)
    try:
        assert refused(Races(inner), middle) == "older-commit"
    finally:
        LINE.remove(middle)
    assert current(inner).commit == NEW


def test_a_lost_reply_is_settled_by_looking() -> None:
    class Lost(Around):
        applied = True

        def write(self, ops: object, *, timeout: float = 10.0) -> None:
            if self.applied:
                self.inner.write(ops, timeout=timeout)  # type: ignore[arg-type]
            raise OutcomeUnknownError("outcome-unknown", "no reply")

    store = MemoryStore()
    found = take(Lost(store), OLD)
    entry = store.get(KEY)
    assert entry
    assert found.version == entry.version
    silent = Lost(MemoryStore())
    silent.applied = False
    with pytest.raises(OutcomeUnknownError):
        take(silent, OLD)


def test_a_fence_that_never_stands_still_is_given_up() -> None:
    class Moves(Around):
        def write(self, ops: object, *, timeout: float = 10.0) -> None:
            raise ConflictError("conflict", "moved")

    with pytest.raises(RefusedError) as caught:
        take(Moves(MemoryStore()), OLD)
    assert caught.value.word == "fence-contended"


def test_fresh_reads_only() -> None:
    class Watches(Around):
        stale = 0

        def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0):  # type: ignore[no-untyped-def]
            self.stale += not fresh
            return super().get(key, fresh=fresh, timeout=timeout)

    store = Watches(MemoryStore())
    take(store, OLD)
    assert store.stale == 0
