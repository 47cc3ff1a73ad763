"""Names of keys in a store. A prefix is "" or ends with a slash; every name is below it.

<env>/state                                fence
<env>/heads/<service>                      head
<env>/releases/<service>/<order>-<dig16>   archive of what has been head
<env>/chunks/<service>/<order>-<rid>/<i>   part of a release too large for one value
"""

from __future__ import annotations

import re

from sealpipe.frozen import NamedTuple
from sealpipe.released import Order, Unit

_NAME = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
_ORDER = r"(?P<trust>[0-9]{10})-(?P<seq>[0-9]{15})"
_HEAD = re.compile(rf"(?P<environment>{_NAME})/heads/(?P<service>{_NAME})")
_ARCHIVE = re.compile(
    rf"(?P<environment>{_NAME})/releases/(?P<service>{_NAME})/{_ORDER}-(?P<digest>[0-9a-f]{{16}})"
)
_CHUNK = re.compile(
    rf"(?P<environment>{_NAME})/chunks/(?P<service>{_NAME})/{_ORDER}-(?P<rid>[0-9a-f]{{32}})"
    r"/(?P<number>0|[1-9][0-9]?)"
)


class Archive(NamedTuple):
    unit: Unit
    order: Order
    digest: str  # the first 16 hex digits of the release's digest


class Chunk(NamedTuple):
    unit: Unit
    order: Order
    rid: str
    number: int


def state_key(prefix: str, environment: str) -> str:
    return f"{prefix}{environment}/state"


def heads_prefix(prefix: str, environment: str) -> str:
    return f"{prefix}{environment}/heads/"


def head_key(prefix: str, unit: Unit) -> str:
    return f"{heads_prefix(prefix, unit.environment)}{unit.service}"


def archives_prefix(prefix: str, unit: Unit) -> str:
    return f"{prefix}{unit.environment}/releases/{unit.service}/"


def archive_key(prefix: str, unit: Unit, order: Order, digest: str) -> str:
    """`digest` is the release's, whole or its first 16 digits."""
    return f"{archives_prefix(prefix, unit)}{order}-{digest[:16]}"


def chunks_prefix(prefix: str, unit: Unit) -> str:
    return f"{prefix}{unit.environment}/chunks/{unit.service}/"


def chunk_key(prefix: str, unit: Unit, order: Order, rid: str, index: int) -> str:
    return f"{chunks_prefix(prefix, unit)}{order}-{rid}/{index}"


def parse_head(prefix: str, key: str) -> Unit | None:
    """The unit whose head `key` is; None for any other key."""
    found = _match(_HEAD, prefix, key)
    return _unit(found) if found else None


def parse_archive(prefix: str, key: str) -> Archive | None:
    """What an archive's name says; None for any other key."""
    found = _match(_ARCHIVE, prefix, key)
    return Archive(_unit(found), _order(found), found["digest"]) if found else None


def parse_chunk(prefix: str, key: str) -> Chunk | None:
    """What a chunk's name says; None for any other key."""
    found = _match(_CHUNK, prefix, key)
    return Chunk(_unit(found), _order(found), found["rid"], int(found["number"])) if found else None


def _match(pattern: re.Pattern[str], prefix: str, key: str) -> re.Match[str] | None:
    return pattern.fullmatch(key[len(prefix) :]) if key.startswith(prefix) else None


def _unit(found: re.Match[str]) -> Unit:
    return Unit(found["environment"], found["service"])


def _order(found: re.Match[str]) -> Order:
    return Order(int(found["trust"]), int(found["seq"]))
