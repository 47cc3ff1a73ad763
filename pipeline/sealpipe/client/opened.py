"""A secret in the memory of a service: a holder that shows nothing until asked."""

from __future__ import annotations

from typing import Any, NoReturn


class Opened:
    """A sealed value after opening. Text, format, repr and pickle never hold it; `reveal()` does."""

    __slots__ = ("_value", "type")

    def __init__(self, value: Any, type: str) -> None:  # noqa: A002
        self._value = value
        self.type = type

    def reveal(self) -> Any:
        """The plaintext. The caller is the one place that may hold it from here on."""
        return self._value

    def __repr__(self) -> str:
        return f"<sealed {self.type}>"

    def __format__(self, _: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opened) and (self.type, self._value) == (other.type, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("an opened secret does not leave the process")
