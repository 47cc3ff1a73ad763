"""S3: clock, versions of objects, Object Lock, and whether the bucket is open to everybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sealpipe.errors import StoreError
from sealpipe.stores.base import Fact, Store
from sealpipe.stores.probes.clock import clock
from sealpipe.stores.probes.policies import to_paste
from sealpipe.stores.s3.place import Place, parse_place


def examine(url: str, store: Store, *, base: str, timeout: float) -> Iterator[Fact]:  # noqa: ARG001
    """Facts about the bucket of an `s3:` URL. What the credentials may not ask is left out."""
    from sealpipe.stores.s3.calls import Calls

    place = parse_place(url)
    calls = Calls(place)

    def asked(operation: str, **parameters: Any) -> dict[str, Any] | None:
        try:
            return calls.send(operation, timeout, **parameters) or {}
        except StoreError:
            return None

    try:
        listed = asked("list_objects_v2", MaxKeys=1, Prefix=place.root)
        headers = ((listed or {}).get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
        server = str(headers.get("server", ""))[:40]
        yield Fact(
            "ok", f"S3 at {calls.endpoint}" + (f", {server}" if server.isprintable() and server else "")
        )
        yield from clock(headers)
        if calls.endpoint.startswith("http:") and "//127." not in calls.endpoint:
            yield Fact("warning", "requests are not encrypted on their way", "an endpoint with https://")
        yield from _bucket(place, asked("get_bucket_versioning"), asked("get_object_lock_configuration"))
        public = asked("get_bucket_policy_status")
        if public and (public.get("PolicyStatus") or {}).get("IsPublic"):
            what = "the bucket's policy is open to everybody (readers notice what is not signed)"
            yield Fact("warning", what, to_paste(url))
    finally:
        calls.close()


def _bucket(place: Place, versions: dict[str, Any] | None, lock: dict[str, Any] | None) -> Iterator[Fact]:
    if versions is not None:
        on = versions.get("Status") == "Enabled"
        yield Fact("ok", "earlier versions of objects are kept" if on else "earlier versions are not kept")
    locks = bool(lock and (lock.get("ObjectLockConfiguration") or {}).get("ObjectLockEnabled") == "Enabled")
    if place.lock and not locks:
        what = "the URL asks for Object Lock, and the bucket does not have it (or it may not be asked)"
        yield Fact("problem", what, "Object Lock is switched on when a bucket is made")
    elif locks:
        used = "releases are locked" if place.lock else "it is there, and the URL does not use it (?lock=)"
        yield Fact("ok", f"Object Lock: {used}")
