"""How a secret may look where it must not be, and everything of an exception that could hold it."""

from __future__ import annotations

import base64
import json
import traceback
import urllib.parse
from collections.abc import Iterator

SHORTEST = 6  # characters of an encoded form: less is met by chance


def forms(secret: str) -> dict[str, bytes]:
    """The secret as code may spell it, by the name of the spelling."""
    data = secret.encode()
    found = {
        "raw": data,
        "repr": repr(secret)[1:-1].encode(),
        "repr of bytes": repr(data)[2:-1].encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON, not escaped": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "JSON in JSON": json.dumps(json.dumps(secret))[3:-3].encode(),
        "hex": data.hex().encode(),
        "HEX": data.hex().upper().encode(),
        "URL": urllib.parse.quote(secret).encode(),
        "URL, all of it": urllib.parse.quote(secret, safe="").encode(),
        "form": urllib.parse.quote_plus(secret).encode(),
        "UTF-16": secret.encode("utf-16-le"),
    }
    for shift in range(3):
        # What comes before and behind it in the encoded text changes the letters at its ends.
        text = base64.b64encode(b"\0" * shift + data)[4 if shift else 0 :]
        text = text[: len(text) - 4] if (len(data) + shift) % 3 else text
        found[f"base64 at {shift}"] = text
        found[f"base64 for URLs at {shift}"] = text.translate(bytes.maketrans(b"+/", b"-_"))
    return {name: form for name, form in found.items() if len(form) >= SHORTEST}


class Sweep:
    """Looks for secrets, and for parts of them that stand for the whole."""

    def __init__(self, *secrets: str, parts: tuple[str, ...] = ()) -> None:
        self.forms = [
            (f"{name} of #{n}", form) for n, one in enumerate(secrets) for name, form in forms(one).items()
        ]
        self.forms += [(f"the part {part}", part.encode()) for part in parts]

    def __call__(self, data: bytes | str) -> list[str]:
        """The spellings that stand in the data."""
        text = data if isinstance(data, bytes) else data.encode(errors="surrogateescape")
        return [name for name, form in self.forms if form in text]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception with every cause and context behind it, also those that `from None` hides."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [one.__cause__, one.__context__]
            left += list(getattr(one, "exceptions", ()))


def all_of(error: BaseException, *, with_locals: bool) -> str:
    """What a reporter of errors can get hold of: text, arguments, attributes and notes of the whole chain,
    and the local variables of each frame.
    """
    parts = []
    for one in chain(error):
        parts += [str(one), repr(one), repr(one.args), repr(vars(one))]
        told = traceback.TracebackException.from_exception(one, capture_locals=with_locals)
        parts += told.format(chain=False)
    return "\n".join(parts)
