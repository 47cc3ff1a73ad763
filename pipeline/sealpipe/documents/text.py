"""Bytes of a file to text."""

from __future__ import annotations

import codecs
import re

from sealpipe.errors import Finding, InputError, Where

SIZE_LIMIT = 1024 * 1024


def decode(data: bytes, *, file: str) -> str:
    """The text of a file. Raises InputError for more than 1 MiB, a byte order mark, or what is no UTF-8."""
    if len(data) > SIZE_LIMIT:
        raise refused("too-large", "the file is larger than 1024 KiB", Where(file), "split it into layers")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise refused("not-utf-8", "the file is UTF-16, not UTF-8", Where(file, 1), "save it as UTF-8")
    if data.startswith(codecs.BOM_UTF8):
        what = "the file begins with a byte order mark"
        raise refused("byte-order-mark", what, Where(file, 1, 1), "save it as UTF-8 without BOM")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start
    where = Where(file, len(re.split(rb"\r\n|\n|\r", data[:at])))
    raise refused("not-utf-8", f"byte {at + 1} of the file is not UTF-8", where, "save it as UTF-8")


def refused(word: str, what: str, where: Where, *hint: str) -> InputError:
    return InputError([Finding(word, what, where, hint=hint)])
