"""Many znodes read in one request: the operation `multiRead` of ZooKeeper 3.6 and later, which kazoo does not
have. Its bytes are those of a multi: a header for each part, the part, and a header that ends it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from kazoo.exceptions import EXCEPTIONS, KazooException, MarshallingError, UnimplementedError
from kazoo.protocol.serialization import GetData

from sealpipe.stores.zk.session import Session

AT_ONCE = 128  # znodes of one request: its answer has all their values
FEW = 8  # below that, a request for each
_HEADER = struct.Struct("!i?i")  # type of a part, whether it is the end, error
_ERROR = struct.Struct("!i")
_LENGTH = struct.Struct("!i")
_STAT = 68  # bytes of a znode's stat
_END = _HEADER.pack(-1, True, -1)
_PART = _HEADER.pack(GetData.type, False, -1)
_REFUSED = -1  # type of a part that has an error instead of a value


class MultiRead:
    """A request for the values of these paths; its answer is what kazoo's `get` gives for each, or the
    exception that it would raise."""

    type = 22

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)

    def __repr__(self) -> str:
        return f"MultiRead({len(self._paths)} paths)"

    def serialize(self) -> bytes:
        parts = [_PART + bytes(GetData(path, None).serialize()) for path in self._paths]
        return b"".join(parts) + _END

    def deserialize(self, data: bytes, offset: int) -> list[Any]:
        """Raises MarshallingError for an answer that has another form or another number of parts."""
        found: list[Any] = []
        try:
            kind, done, error = _HEADER.unpack_from(data, offset)
            while not done:
                offset += _HEADER.size
                if kind == GetData.type:
                    found.append(GetData.deserialize(data, offset))
                    [length] = _LENGTH.unpack_from(data, offset)
                    offset += _LENGTH.size + max(length, 0) + _STAT
                elif kind == _REFUSED:
                    [error] = _ERROR.unpack_from(data, offset)
                    found.append(_exception(error))
                    offset += _ERROR.size
                else:
                    raise MarshallingError
                kind, done, error = _HEADER.unpack_from(data, offset)
        except struct.error:
            found = []
        if len(found) != len(self._paths):
            raise MarshallingError
        return found


def _exception(code: int) -> KazooException:
    # kazoo's table makes a class for a number that it does not know.
    made: KazooException = EXCEPTIONS[code]()
    return made


class ManyReads:
    """Reads of a session, a few requests for many znodes where its servers know how."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: bool | None = None  # whether they do; None: nobody asked yet

    def values(self, paths: Sequence[str], deadline: float) -> list[Any]:
        """What kazoo's `get` gives for each path, or its exception. Raises as `Session.read` does."""
        found: list[Any] = []
        if len(paths) < FEW or self._known is False:
            return self._session.each("get_async", paths, deadline)
        if self._known is None:
            # One alone: an old server closes the connection, and what was sent with it would be lost too.
            found = self._asked(paths[:AT_ONCE], deadline)
            if self._known is False:
                return self._session.each("get_async", paths, deadline)
        return found + self._asked(paths[len(found) :], deadline)

    def _asked(self, paths: Sequence[str], deadline: float) -> list[Any]:
        requests = [MultiRead(paths[at : at + AT_ONCE]) for at in range(0, len(paths), AT_ONCE)]
        answers = self._session.read(lambda client: [_sent(client, one) for one in requests], deadline)
        refused = next((one for one in answers if isinstance(one, KazooException)), None)
        self._known = not isinstance(refused, UnimplementedError)
        if refused is not None:
            return [refused] * len(paths)
        return [one for answer in answers for one in answer]


def _sent(client: Any, request: MultiRead) -> Any:
    result = client.handler.async_result()
    client._call(request, result)  # noqa: SLF001  # what each of kazoo's own requests does
    return result
