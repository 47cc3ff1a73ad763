"""Secrets on their way into pydantic: real strings and bytes that show nothing in a repr."""

from __future__ import annotations

from typing import Any, NoReturn


class RedactedStr(str):
    """A string whose repr hides it: pydantic puts reprs of its input into messages and debug output."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("an opened secret does not leave the process")


class RedactedBytes(bytes):
    """Bytes whose repr hides them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'**********'"

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("an opened secret does not leave the process")
