from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sealpipe.crypto.keys import generate_private_key
from sealpipe.crypto.sealing import Sealer
from sealpipe.editing.inferring import inferred
from sealpipe.schemas.engine import Checker
from sealpipe.tokens import place


def test_types_requirements_and_closed_maps() -> None:
    found = inferred([{"db": {"host": "a", "port": 1}}, {"db": {"host": "b"}, "on": True}])
    assert found["required"] == ["db"]
    assert found["additionalProperties"] is False
    assert found["properties"]["db"]["required"] == ["host"]
    assert found["properties"]["db"]["properties"]["port"] == {"type": "integer"}


def test_what_differs_is_either() -> None:
    found = inferred([{"a": 1, "b": "x"}, {"a": 1.5, "b": 3}])
    assert found["properties"]["a"] == {"type": "number"}
    assert found["properties"]["b"] == {"anyOf": [{"type": "string"}, {"type": "integer"}]}


def test_a_sealed_value_is_a_secret_of_its_type() -> None:
    key, _ = generate_private_key()
    token = Sealer().seal(7, "int", place("dev", "a", ("pin",)), key.public)
    assert inferred([{"pin": token}])["properties"]["pin"] == {"type": "integer", "writeOnly": True}


_NAMES = st.text("abc", min_size=1, max_size=2)
_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_DOCUMENTS = st.lists(st.dictionaries(_NAMES, _VALUES, max_size=4), min_size=1, max_size=3)


@given(_DOCUMENTS)
def test_every_document_fits_what_was_inferred(documents: list[dict[str, Any]]) -> None:
    checker = Checker(inferred(documents))
    for document in documents:
        assert not checker.problems(document)
