"""The version, as a constant: asking the installed metadata costs 50 ms."""

from __future__ import annotations

VERSION = "0.1.0"
