"""One store looked at: rights that are needed and not needed, promises that are kept and not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import memory_scheme
from publishing import Around
from sealpipe.errors import DeniedError, UnavailableError
from sealpipe.stores import registry
from sealpipe.stores.base import Delete, Entry, Fact, Op, Put, Store
from sealpipe.stores.probes.facts import Asked, store_facts
from sealpipe.testing.memory import MemoryStore


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    monkeypatch.setitem(registry.STORES, "memory", "memory_scheme")
    return MemoryStore()


def look(store: Store, *, publisher: bool = True, prefix: str = "config") -> dict[str, list[str]]:
    memory_scheme.STORES["it"] = store
    found: dict[str, list[str]] = {"ok": [], "warning": [], "problem": [], "unknown": []}
    for fact in store_facts(Asked(f"memory:it/{prefix}", ".", "dev/doctor/", publisher)):
        found[fact.mark].append(fact.text)
    return found


class Limited(Around):
    """Refuses what a policy would; `reads` and `writes` say which keys are allowed."""

    def __init__(self, store: Store, reads: Callable[[str], bool], writes: Callable[[str], bool]) -> None:
        super().__init__(store)
        self.may_read, self.may_write = reads, writes

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        if not self.may_read(key):
            raise DeniedError("store-denied", "no right to read")
        return super().get(key, fresh=fresh, timeout=timeout)

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        if not all(self.may_write(op.key) for op in ops):
            raise DeniedError("store-denied", "no right to write")
        super().write(ops, timeout=timeout)


def everywhere(_: str) -> bool:
    return True


def nowhere(_: str) -> bool:
    return False


def below(key: str) -> bool:
    return key.startswith("config/")


def test_a_publisher_with_the_rights_he_needs(inner: MemoryStore) -> None:
    found = look(Limited(inner, everywhere, below))
    assert found["problem"] == found["warning"] == found["unknown"] == []
    assert "conditional writes hold (tried with a probe, removed)" in found["ok"]
    assert "may write below config/ only" in found["ok"]
    assert any("answers in" in text and "128 operations" in text for text in found["ok"])
    assert inner.keys("") == []


def test_a_publisher_who_may_too_much_or_too_little(inner: MemoryStore) -> None:
    assert look(inner)["warning"] == ["may write outside of config/ as well"]
    assert look(inner, prefix="")["warning"] == []
    assert look(Limited(inner, everywhere, nowhere))["problem"] == [
        "you are a publisher, and these credentials may not write there"
    ]
    assert inner.keys("") == []


def test_a_reader_who_can_write_is_told(inner: MemoryStore) -> None:
    assert (
        "these credentials can write, and who only reads needs no more than reading"
        in (look(inner, publisher=False)["warning"])
    )
    found = look(Limited(inner, everywhere, nowhere), publisher=False)
    assert found["warning"] == found["problem"] == []
    assert "cannot write from here (by design: you are not a publisher)" in found["ok"]


def test_nothing_is_written_outside_of_the_prefix(inner: MemoryStore) -> None:
    watched = Around(inner)
    look(watched)
    outside = [op for ops in watched.writes for op in ops if not op.key.startswith("config/dev/doctor/")]
    assert len(outside) == 1
    assert isinstance(outside[0], Put)
    assert outside[0].expect, "a swap of what is not there"
    assert inner.keys("") == []


def test_credentials_that_may_not_even_read(inner: MemoryStore) -> None:
    denied = Limited(inner, nowhere, nowhere)
    assert look(denied)["problem"] == ["no right to read [store-denied]"]
    assert look(denied, publisher=False)["unknown"] == ["no right to read [store-denied]"]


def test_a_store_that_does_not_answer(inner: MemoryStore) -> None:
    class Away(Around):
        def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
            raise UnavailableError("store-unavailable", "no answer")

    found = look(Away(inner))
    assert found["unknown"] == ["no answer [store-unavailable]"]
    assert found["ok"] == []


def ignores(kind: str) -> Callable[[Op], Op]:
    """How a store changes an operation that does not keep its promise."""

    def changed(op: Op) -> Op:
        if isinstance(op, Put) and (op.expect == "") is (kind == "create"):
            return op._replace(expect=None)
        return op

    return changed


@pytest.mark.parametrize("kind", ["create", "swap"])
def test_a_store_that_ignores_conditions(inner: MemoryStore, kind: str) -> None:
    change = ignores(kind)

    class Careless(Around):
        def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
            if any("/doctor/" in op.key for op in ops):
                ops = [change(op) for op in ops]
            super().write(ops, timeout=timeout)

    found = look(Careless(inner))
    assert found["problem"] == [
        "overwrites what it was told to create or swap only (tried with a probe, removed)"
    ]
    assert inner.keys("") == []


def test_a_probe_that_stays_is_told(inner: MemoryStore) -> None:
    class Hoarder(Around):
        def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
            if any(isinstance(op, Delete) for op in ops):
                raise DeniedError("store-denied", "no right to delete")
            super().write(ops, timeout=timeout)

    assert any("could not be removed" in text for text in look(Hoarder(inner))["warning"])


def test_what_a_store_says_itself(inner: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(url: str, store: Store, *, base: str, timeout: float) -> Iterator[Fact]:
        yield Fact("warning", "version 1.0 has a known hole", "upgrade it")

    monkeypatch.setattr(memory_scheme, "examine", examine, raising=False)
    assert "version 1.0 has a known hole" in look(inner)["warning"]

    def fails(*_: Any, **__: Any) -> Iterator[Fact]:
        raise UnavailableError("store-unavailable", "no status")
        yield

    monkeypatch.setattr(memory_scheme, "examine", fails)
    found = look(inner)
    assert found["unknown"] == ["no status [store-unavailable]"]
    assert "conditional writes hold (tried with a probe, removed)" in found["ok"]


@pytest.mark.parametrize("url", ["nosuch:x", "nonsense", "consul://user:secret@host/x"])
def test_an_address_that_is_none(url: str) -> None:
    facts = list(store_facts(Asked(url, ".", "dev/doctor/", True)))
    assert [fact.mark for fact in facts] == ["problem"]
    assert "secret@" not in facts[0].text


class TestFolder:
    def facts(self, folder: Path) -> list[Fact]:
        return list(store_facts(Asked("file:store", str(folder), "dev/doctor/", True)))

    def test_looking_makes_nothing(self, tmp_path: Path) -> None:
        assert "no folder yet: the first publish makes it" in [fact.text for fact in self.facts(tmp_path)]
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_everybody_may_write(self, tmp_path: Path) -> None:
        store = tmp_path / "store"
        store.mkdir()
        store.chmod(0o777)
        [found] = [fact for fact in self.facts(tmp_path) if fact.mark == "warning"]
        assert "can be written by everybody" in found.text
        assert found.hint == f"chmod o-w {store}"

    def test_what_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("x")
        assert "problem" in [fact.mark for fact in self.facts(tmp_path)] or "unknown" in [
            fact.mark for fact in self.facts(tmp_path)
        ]

    def test_a_store_in_use(self, tmp_path: Path) -> None:
        registry.open_store("file:store", base=str(tmp_path))[0].write([Put("dev/x", b"1", None)])
        facts = self.facts(tmp_path)
        assert {fact.mark for fact in facts} == {"ok"}
        assert "conditional writes hold (tried with a probe, removed)" in [fact.text for fact in facts]
        assert registry.open_store("file:store", base=str(tmp_path))[0].keys("") == ["dev/x"]
