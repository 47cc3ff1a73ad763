"""Requests to S3: each sent once, within its time, by botocore, which is what boto3 sends its own with."""

from __future__ import annotations

import os
import random
import threading
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import botocore.exceptions as failures
from botocore.config import Config
from botocore.handlers import add_expect_header
from botocore.loaders import create_loader
from botocore.session import Session
from botocore.utils import parse_timestamp

from sealpipe.errors import MalformedError, UnavailableError
from sealpipe.stores.s3.place import Place
from sealpipe.stores.s3.refusals import WRITES, code_of, error_of
from sealpipe.stores.sockets import bound, now

WORKERS = 16
_LIMITS = (30.0, 10.0, 5.0, 3.0, 1.0)  # a client's time limits are its own, so there is one for each
_PART = 1 << 16
_READS = 4
# Of the API of S3: half a megabyte of JSON, read once a process.
_descriptions = create_loader(os.environ.get("AWS_DATA_PATH"))


class Calls:
    """Safe between threads, and after a fork: the child opens connections of its own."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[float, Any] = {}

    def send(self, operation: str, timeout: float, **parameters: Any) -> dict[str, Any] | None:
        """S3's answer; None where there is no such key, {} where it is as `IfNoneMatch` says.

        Raises StoreError's kinds: OutcomeUnknownError only for what writes. What reads is asked again where
        S3 failed or the connection was cut; what writes is sent once.
        """
        deadline = time.monotonic() + timeout
        for again in range(_READS if operation not in WRITES else 1):
            try:
                return self._once(operation, deadline - time.monotonic(), parameters)
            except UnavailableError as error:
                failed = error
            pause = 0.05 * 4**again * random.uniform(0.5, 1.0)  # noqa: S311  # spreads readers
            if failed.word not in ("store-cut", "store-busy") or time.monotonic() + pause >= deadline:
                break
            time.sleep(pause)
        raise failed

    def _once(self, operation: str, timeout: float, parameters: dict[str, Any]) -> dict[str, Any] | None:
        failed: BaseException
        try:
            answer: dict[str, Any] = self._sent(operation, timeout, parameters)
        except failures.ClientError as error:
            code, status = code_of(error)
            if status == 304:
                return {}
            if status == 404 and code in ("NoSuchKey", "404"):
                return None
            failed = error
        except Exception as error:  # noqa: BLE001  # whatever it is, its text may hold what we must not show
            failed = error
        else:
            return answer
        raise error_of(failed, operation, self.place)

    def _sent(self, operation: str, timeout: float, parameters: dict[str, Any]) -> Any:
        client = self._client(timeout)
        now.deadline = time.monotonic() + timeout
        return getattr(client, operation)(Bucket=self.place.bucket, **parameters)

    def body(self, answer: dict[str, Any], deadline: float, limit: int) -> bytes:
        """The bytes of an object. Raises UnavailableError, MalformedError for more than `limit`."""
        parts: list[bytes] = []
        size = 0
        failed: BaseException | None = None
        stream = answer["Body"]
        now.deadline = deadline
        try:
            while part := stream.read(_PART):
                parts.append(part)
                size += len(part)
                if size > limit or time.monotonic() > deadline:
                    break
        except Exception as error:  # noqa: BLE001
            failed = error
        if failed is not None or size > limit or time.monotonic() > deadline:
            stream.close()  # what is left of it is not worth the connection
        if failed is not None:
            raise error_of(failed, "get_object", self.place)
        if size > limit:
            raise MalformedError("store-malformed", f"a stored value is larger than {limit} bytes")
        if time.monotonic() > deadline:
            raise UnavailableError("store-slow", "the store did not answer in time")
        return b"".join(parts)

    @property
    def endpoint(self) -> str:
        """Where requests go, however that was found out."""
        return str(self._client(1.0).meta.endpoint_url)

    def close(self) -> None:
        with self._lock:
            clients, self._clients = self._clients, {}
        if self._pid == os.getpid():
            for client in clients.values():
                client.close()

    def _client(self, timeout: float) -> Any:
        if self._pid != os.getpid():
            self._begin()
        limit = next((one for one in _LIMITS if one <= timeout), _LIMITS[-1])
        with self._lock:
            if limit not in self._clients:
                if self._session is None:
                    self._session = Session()
                    self._session.register_component("data_loader", _descriptions)
                    # It reads the end of a `100 Continue` in a loop that a cut connection never leaves.
                    self._session.unregister("before-call.s3", add_expect_header)
                    parsers = self._session.get_component("response_parser_factory")
                    parsers.set_parser_defaults(timestamp_parser=moment)
                self._clients[limit] = self._session.create_client(
                    "s3",
                    region_name=self.place.region or None,
                    endpoint_url=self.place.endpoint or None,
                    config=Config(
                        connect_timeout=limit * 0.3,
                        read_timeout=limit * 0.7,
                        retries={"total_max_attempts": 1, "mode": "standard"},
                        max_pool_connections=WORKERS + 2,
                        tcp_keepalive=True,
                    ),
                )
                _bind(self._clients[limit])
            return self._clients[limit]


def moment(text: Any) -> datetime:
    """A time of an answer, as botocore reads it, which takes a sixteenth of a second for a thousand keys."""
    try:
        if isinstance(text, str) and text.endswith(" GMT"):
            return parsedate_to_datetime(text)
        if isinstance(text, str) and text.endswith("Z") and "T" in text:
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    found: datetime = parse_timestamp(text)
    return found


def _bind(client: Any) -> None:
    """Bound all of an answer in time: botocore bounds each read by itself, and a server that sends a byte now
    and then would hold a request for hours.
    """
    for name, pool in (pools := client._endpoint.http_session._pool_classes_by_scheme).items():  # noqa: SLF001
        kind = pool.ConnectionCls

        def connect(self: Any, before: Any = kind.connect) -> None:
            before(self)
            bound(self.sock)

        pools[name] = type(
            pool.__name__, (pool,), {"ConnectionCls": type(kind.__name__, (kind,), {"connect": connect})}
        )
