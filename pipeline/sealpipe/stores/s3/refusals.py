"""What S3, the network or boto3 say, in our own words: tables, from the most particular to the rest.

A server's free text may repeat what it was sent, so of it only the code is kept.
"""

from __future__ import annotations

import re
from typing import Any

import botocore.exceptions as failures

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from sealpipe.frozen import NamedTuple
from sealpipe.stores.s3.place import Place

WRITES = ("put_object", "delete_object")
_ACTIONS = {
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "put_object": "s3:PutObject",
    "delete_object": "s3:DeleteObject",
    "list_objects_v2": "s3:ListBucket",
}


class _Said(NamedTuple):
    """An error to be; {code}, {action}, {bucket} and {where} are filled in."""

    kind: type[StoreError]
    word: str
    what: str
    why: tuple[str, ...] = ()
    hint: tuple[str, ...] = ()


_WHO = "aws sts get-caller-identity"
_CONFLICT = _Said(ConflictError, "conflict", "an object is not what was expected; nothing was written")
_EXPIRED = _Said(
    DeniedError, "no-credentials", "S3 refused the credentials: {code}", (), ("sign in anew", _WHO)
)
_BUSY = _Said(UnavailableError, "store-busy", "S3 asks for fewer requests: {code}")
_FULL = _Said(FullError, "store-full", "the store has no room left: {code}")
_ELSEWHERE = _Said(
    UnavailableError,
    "wrong-region",
    "bucket {bucket} is in another region: {code}",
    (),
    ("?region= in the store's URL, or AWS_REGION",),
)
_DENIED = _Said(
    DeniedError,
    "store-denied",
    "S3 refused {action} in bucket {bucket}: {code}",
    ("without s3:ListBucket a key that is not there looks like one that is forbidden",),
)

_CODES: dict[str, _Said] = {
    "NoSuchBucket": _Said(
        UnavailableError, "no-bucket", "there is no bucket {bucket}", (), ("check the store's URL",)
    ),
    "RequestTimeTooSkewed": _Said(
        DeniedError,
        "clock-skew",
        "S3 refused the request: this machine's clock and its own differ too much",
        (),
        ("timedatectl status",),
    ),
    "EntityTooLarge": _Said(TooLargeError, "value-too-large", "the store takes no value of this size"),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "InvalidToken"),
        _EXPIRED,
    ),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "TooManyRequests", "RequestLimitExceeded"), _BUSY),
    **dict.fromkeys(
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
        _ELSEWHERE,
    ),
    **dict.fromkeys(("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"), _FULL),
}
_STATUSES: dict[int, _Said] = {
    409: _CONFLICT,  # another's write of the same key was under way; ours was not made
    412: _CONFLICT,
    401: _DENIED,
    403: _DENIED,
    301: _ELSEWHERE,
    307: _ELSEWHERE,
    429: _BUSY,
    503: _BUSY,
    507: _FULL,
}
_KMS = _Said(DeniedError, "store-denied", "the key that kms_key= names cannot be used: {code}")
_NO_LOCK = _Said(
    UnsupportedError, "store-refused", "S3 refused {action}: {code} (has the bucket Object Lock?)"
)
_REFUSED = _Said(UnsupportedError, "store-refused", "S3 refused {action}: {code}")
_BROKEN = _Said(UnavailableError, "store-cut", "S3 failed: {code}")
_UNKNOWN = _Said(OutcomeUnknownError, "outcome-unknown", "S3 did not say whether it took the write")

_BEFORE: tuple[tuple[tuple[type[Exception], ...], _Said], ...] = (
    (
        (
            failures.NoCredentialsError,
            failures.PartialCredentialsError,
            failures.CredentialRetrievalError,
            failures.ProfileNotFound,
            failures.SSOError,
            failures.TokenRetrievalError,
        ),
        _Said(
            DeniedError,
            "no-credentials",
            "no credentials for S3 were found, or they have ended",
            ("looked where boto3 looks: AWS_* variables, ~/.aws, single sign-on, the machine's role",),
            (_WHO,),
        ),
    ),
    (
        (failures.NoRegionError,),
        _ELSEWHERE._replace(what="no region is set"),
    ),
    (
        (
            failures.EndpointConnectionError,
            failures.ConnectTimeoutError,
            failures.ProxyConnectionError,
        ),
        _Said(UnavailableError, "store-unavailable", "{where}: no connection"),
    ),
)
"""What happens before anything is sent."""
_CERTIFICATE = _Said(
    UnavailableError,
    "store-unavailable",
    "{where}: its certificate is not accepted",
    (),
    ("AWS_CA_BUNDLE names the file of an authority of your own",),
)
_TLS = _Said(UnavailableError, "store-unavailable", "{where}: TLS failed; does it speak TLS?")
_CUT = _Said(UnavailableError, "store-cut", "{where}: no whole answer in time")
_STRANGE = _Said(MalformedError, "store-malformed", "{where}: its answer is none that S3 gives")


def error_of(error: BaseException, operation: str, place: Place) -> StoreError:
    """The error to raise, outside the `except` block: botocore's may hold what must not be shown."""
    code, status = code_of(error) if isinstance(error, failures.ClientError) else ("", 0)
    said = _refusal(code, status, operation, place) if status else _failure(error, operation)
    words = {
        "code": code,
        "action": _ACTIONS.get(operation, operation),
        "bucket": place.bucket,
        "where": place.endpoint or f"bucket {place.bucket}",
    }
    return said.kind(said.word, said.what.format(**words), why=said.why, hint=said.hint)


def code_of(error: failures.ClientError) -> tuple[str, int]:
    """S3's word for it, and the status of the answer."""
    response: Any = error.response
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return (code if re.fullmatch(r"[A-Za-z0-9.]{1,80}", code) else "unknown"), int(status)


def _refusal(code: str, status: int, operation: str, place: Place) -> _Said:
    found = _CODES.get(code) or (_KMS if code.startswith("KMS.") else _STATUSES.get(status))
    if found is None and status >= 500 and status != 501:
        return _UNKNOWN if operation in WRITES else _BROKEN
    if found is None and place.lock and operation == "put_object" and code == "InvalidRequest":
        return _NO_LOCK
    return found or _REFUSED


def _failure(error: BaseException, operation: str) -> _Said:
    for kinds, said in _BEFORE:
        if isinstance(error, kinds):
            return said
    tls = str(error) if isinstance(error, failures.SSLError) else ""
    if "CERTIFICATE_VERIFY_FAILED" in tls or "doesn't match" in tls:  # urllib3 compares the name itself
        return _CERTIFICATE
    # What answers in clear has read nothing; after any other failure a write may have been sent.
    if tls and (operation not in WRITES or "WRONG_VERSION_NUMBER" in tls):
        return _TLS
    if operation in WRITES:
        return _UNKNOWN
    reading = (failures.HTTPClientError, failures.ResponseStreamingError, failures.IncompleteReadError)
    return _CUT if isinstance(error, reading) else _STRANGE
