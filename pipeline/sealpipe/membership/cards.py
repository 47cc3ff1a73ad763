"""A card: the public halves of somebody's key on one line, as `keys new` prints it to be sent."""

from __future__ import annotations

from sealpipe.crypto.keys import Identity, format_public, parse_public, parse_recipient
from sealpipe.errors import UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.membership.trust_edit import check_name

MARK = "sealpipe-card-1"


class Card(NamedTuple):
    """Who somebody says they are. A card proves nothing: compare it with its owner."""

    name: str
    read: str | None  # age1…; None for a key that only signs
    sign: bytes

    def __str__(self) -> str:
        return f"{MARK} {self.name} {self.read or '-'} {format_public('ed25519', self.sign)}"


def card_of(name: str, identity: Identity) -> Card:
    """Raises UsageError [bad-name]."""
    return Card(check_name(name), identity.read.recipient, identity.sign.public)


def parse_card(text: str) -> Card:
    """Raises UsageError [bad-card], TrustError for a key that nothing may be sealed to."""
    parts = text.split()
    sign = b""
    if len(parts) == 4 and parts[0] == MARK:
        try:
            sign = parse_public(parts[3], "ed25519")
        except ValueError:
            sign = b""
    if not sign:
        raise UsageError(
            "bad-card",
            f"a card is one line: {MARK} NAME age1… ed25519:…",
            hint=["its owner prints it with: sealpipe keys new"],
        )
    read = None if parts[2] == "-" else parts[2]
    if read is not None:
        parse_recipient(read)
    return Card(check_name(parts[1]), read, sign)
