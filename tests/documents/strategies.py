"""Values and texts for property tests: what people write, in the layouts that they write it in."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from sealpipe.documents.write import inline, key_text

KEYS = st.sampled_from(
    [
        "a",
        "b",
        "db",
        "pool_max",
        "url",
        "on",
        "1",
        "x y",
        "é",
        "tls",
        "no",
        "a:b",
        "~",
        "null",
        "#",
        "-",
        "k'",
        'k"',
    ]
)
TRICKY = [
    *(
        "no",
        "On",
        "1",
        "010",
        "1e3",
        ".5",
        "null",
        "~",
        "2026-01-02",
        "22:22",
        "0x1F",
        "1_000",
        "0o7",
        "+1",
        "y",
    ),
    *(
        "{a}",
        "[a]",
        "a,b",
        "!x",
        "&x",
        "*x",
        "%x",
        "@x",
        "`x`",
        "'",
        '"',
        "\\",
        "---",
        "...",
        "=",
        "<<",
        "x:",
    ),
    *("é😀", ":x", "#x", "ENC[NACL1,type:str,data:AbC-_]", "ENC[", "a{b", "-", "-.inf", ".nan"),
]
SPACED = [
    "",
    "a: b",
    "a #b",
    " a",
    "a ",
    "- a",
    "? a",
    "a\nb",
    "a\n",
    "\t",
    "{{ x }}",
    "\x7f",
    "\u2028",
    "\x1b[31m",
]
UNWRITABLE = "\x00\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
TEXTS = st.one_of(
    st.sampled_from([*TRICKY, *SPACED, "\ufeffx"]),
    st.text(
        alphabet=st.characters(
            exclude_categories=["Cs"], exclude_characters=UNWRITABLE + "".join(map(chr, range(0x80, 0xA0)))
        ),
        max_size=12,
    ),
)
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-(2.0**53) + 1, 2.0**53 - 1, allow_nan=False, allow_infinity=False),
)


def values(scalars: st.SearchStrategy[Any] = SCALARS, *, leaves: int = 12) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
        max_leaves=leaves,
    )


def plain_values() -> st.SearchStrategy[dict[str, Any]]:
    """Documents: maps of anything that a document can hold."""
    return st.dictionaries(KEYS, values(st.one_of(SCALARS, st.none())), max_size=5)


def layers() -> st.SearchStrategy[dict[str, Any]]:
    """Documents without null."""
    return st.dictionaries(KEYS, values(), max_size=5)


class Writer:
    """Writes values as a person might: any indentation, quotes, comments, blank lines, flow or block."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - layouts, no keys
        self.step = self.random.choice([1, 2, 2, 2, 4])
        self.list_step = self.random.choice([0, 2, self.step])
        self.comments = 0

    def text(self, data: dict[str, Any]) -> str:
        newline = self.random.choice(["\n", "\n", "\r\n"])
        lines = [*self.noise(""), *self.block(data, "")] if data else self.noise("")
        body = newline.join(lines)
        return body + newline if self.random.random() < 0.8 else body

    def noise(self, indent: str) -> list[str]:
        lines = []
        if self.random.random() < 0.15:
            lines.append("")
        if self.random.random() < 0.2:
            self.comments += 1
            lines.append(f"{indent}# comment {self.comments}")
        return lines

    def behind(self) -> str:
        if self.random.random() < 0.2:
            self.comments += 1
            return f"  # comment {self.comments}"
        return " " if self.random.random() < 0.1 else ""

    def block(self, data: Any, indent: str) -> list[str]:
        lines: list[str] = []
        entries = data.items() if isinstance(data, dict) else ((None, item) for item in data)
        for key, value in entries:
            lines += self.noise(indent)
            head = f"{indent}-" if key is None else f"{indent}{self.key(key)}:"
            lines += self.entry(head, value, indent, in_list=key is None)
        return lines

    def key(self, key: str) -> str:
        plain = key_text(key)
        return f"'{key}'" if plain == key and self.random.random() < 0.1 and "'" not in key else plain

    def entry(self, head: str, value: Any, indent: str, *, in_list: bool) -> list[str]:
        collection = isinstance(value, dict | list)
        if collection and value and self.random.random() < 0.75:
            if in_list and isinstance(value, dict):
                lines = self.block(value, indent + "  ")
                while lines and (not lines[0].strip() or lines[0].lstrip().startswith("#")):
                    lines.pop(0)
                return [f"{head} {lines[0].lstrip()}", *lines[1:]]
            more = self.list_step if isinstance(value, list) and not in_list else self.step
            return [head + self.behind(), *self.block(value, indent + " " * more)]
        if value is None and self.random.random() < 0.5:
            return [head + self.behind()]
        if isinstance(value, str):
            return self.string(head, value, indent)
        return [f"{head} {inline(value)}{self.behind()}"]

    def string(self, head: str, value: str, indent: str) -> list[str]:
        choice = self.random.random()
        if choice < 0.3 and value.isprintable() and value:
            quoted = value.replace("'", "''")
            return [f"{head} '{quoted}'{self.behind()}"]
        lines = value.split("\n")
        literal = all(line.strip() == line and line.isprintable() for line in lines) and lines[0]
        if choice < 0.8 and "\n" in value and literal and not value.startswith("#"):
            kept = "+" if value.endswith("\n\n") else "" if value.endswith("\n") else "-"
            inner = indent + " " * max(self.step, 1) + " "
            body = value.removesuffix("\n").split("\n")
            return [f"{head} |{kept}", *(inner + line if line else "" for line in body)]
        return [f"{head} {inline(value)}{self.behind()}"]
