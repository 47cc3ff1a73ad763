"""Whether a store is this machine's own: what is careless on a network is usual there."""

from __future__ import annotations


def open_mark(url: str) -> str:
    """The mark of a store that asks for no credentials: a warning, but not for one that only we can reach."""
    hosts = url.partition("://")[2].partition("/")[0].split(",")
    local = all(host.startswith(("127.", "localhost", "[::1]")) for host in hosts)
    return "unknown" if local else "warning"
