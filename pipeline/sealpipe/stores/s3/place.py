"""Where an S3 store is and how it is written: its URL as a value. Who we are is boto3's to find.

s3://shop-config/config?region=eu-west-1&sse=aws:kms&kms_key=alias/config&lock=compliance:30d
s3://config/shop?endpoint=https://minio.example.org
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from sealpipe.errors import UnsupportedError, UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.stores.base import check_key

POLL = 5.0
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_WORD = re.compile(r"[A-Za-z0-9-]{1,64}")
_LOCK = re.compile(r"(compliance|governance):([1-9][0-9]{0,3})d")
_SSE = ("AES256", "aws:kms", "aws:kms:dsse")
_OPTIONS = ("endpoint", "region", "sse", "kms_key", "lock", "poll")


class Place(NamedTuple):
    bucket: str
    root: str  # "config/", or "" for the whole bucket
    endpoint: str  # "" for AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or AWS itself
    region: str  # "" for boto3's
    sse: str
    kms_key: str
    lock: str  # COMPLIANCE, GOVERNANCE or ""
    lock_days: int
    poll: float  # seconds between two looks of a waiting reader, about


def parse_place(url: str) -> Place:
    """Raises UsageError [bad-store-url, secret-in-url]. Reads nothing but the text."""
    address, _, query = url.removeprefix("s3:").partition("?")
    bucket, _, path = address.removeprefix("//").partition("/")
    root = path.strip("/")
    if not address.startswith("//") or not _BUCKET.fullmatch(bucket) or not _is_root(root):
        raise _bad("it names no bucket, or a path that keys cannot be below")
    asked = _options(query)
    lock = _LOCK.fullmatch(asked["lock"])
    if asked["lock"] and lock is None:
        raise _bad("lock= is compliance:DAYSd or governance:DAYSd")
    if asked["sse"] not in ("", *_SSE) or (asked["kms_key"] and not asked["sse"].startswith("aws:kms")):
        raise _bad(f"sse= is one of {', '.join(_SSE)}; kms_key= goes with aws:kms")
    if asked["region"] and not _WORD.fullmatch(asked["region"]):
        raise _bad("region= is none")
    return Place(
        bucket,
        f"{root}/" if root else "",
        _endpoint(asked["endpoint"]),
        asked["region"],
        asked["sse"],
        asked["kms_key"],
        lock[1].upper() if lock else "",
        int(lock[2]) if lock else 0,
        _seconds(asked["poll"]),
    )


def _is_root(root: str) -> bool:
    try:
        if root:
            check_key(root)
    except UnsupportedError:
        return False
    return True


def _options(query: str) -> dict[str, str]:
    found = dict.fromkeys(_OPTIONS, "")
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in found or not value or found[name]:
            raise _bad(f"its options are {', '.join(f'{one}=' for one in _OPTIONS)}, each once")
        found[name] = unquote(value)
    return found


def _endpoint(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        fits = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        )
        user = "@" in parts.netloc
        _ = parts.port
    except ValueError:
        fits = user = False
    if user:
        raise UsageError(
            "secret-in-url",
            "the endpoint of an S3 store holds a user or password",
            why=["the URL is written into files, plans and logs"],
            hint=["boto3 finds credentials in the environment, in ~/.aws and in the machine's role"],
        )
    if not fits:
        raise _bad("endpoint= is http://HOST[:PORT] or https://HOST[:PORT]")
    return text.rstrip("/")


def _seconds(text: str) -> float:
    if not text:
        return POLL
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or not 0.05 <= float(text) <= 3600:
        raise _bad("poll= is a number of seconds")
    return float(text)


def _bad(what: str) -> UsageError:
    return UsageError(
        "bad-store-url", f"the URL of an S3 store: {what}", hint=["for example s3://shop-config/config"]
    )
