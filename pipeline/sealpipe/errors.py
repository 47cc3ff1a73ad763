"""Findings and errors, typed by who must act. Nothing else in the package subclasses `Exception`.

No text here ever holds a value of the configuration: who raises writes what, where, why and the next
command. Errors made from a library's exception are raised outside its `except` block, because a chained
exception carries the value on.
"""

from __future__ import annotations

from collections.abc import Iterable

from sealpipe.frozen import NamedTuple


class Where(NamedTuple):
    """A place in a file; lines and columns count from 1, 0 is unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        text = self.file
        if self.line:
            text += f":{self.line}"
            if self.column:
                text += f":{self.column}"
        return text


class Finding(NamedTuple):
    """One cause, said once: `error[word]: where what`, then why, then what to do."""

    word: str  # documented, never renamed: "plaintext-secret"
    what: str  # one line
    where: Where | None = None
    path: str = ""  # the setting, as people write it: db.pool_max
    why: tuple[str, ...] = ()
    hint: tuple[str, ...] = ()  # commands that work when pasted, or a sentence
    severity: str = "error"  # or "warning"
    source: str = ""  # the line of the file; only where no path of it is secret
    width: int = 0  # characters to underline in `source`, from `where.column`
    reach: int = 0  # documents that it reaches, when more than one


class SealpipeError(Exception):
    """Base of all. `exit_code` is what the command line ends with."""

    exit_code = 1

    def __init__(
        self,
        word: str,
        what: str,
        *,
        where: Where | None = None,
        path: str = "",
        why: Iterable[str] = (),
        hint: Iterable[str] = (),
    ) -> None:
        super().__init__(what)
        self.finding = Finding(word, what, where, path, tuple(why), tuple(hint))

    @property
    def word(self) -> str:
        return self.finding.word

    def __str__(self) -> str:
        found = self.finding
        place = f"{found.where}: " if found.where else ""
        lines = [f"{place}{found.what}", *found.why, *(f"hint: {hint}" for hint in found.hint)]
        return "\n".join(lines)


class UsageError(SealpipeError):
    """Who typed the command must act."""

    exit_code = 2


class InputError(SealpipeError):
    """Who wrote the configuration must act. `findings` holds every cause found."""

    exit_code = 4

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        first = next((f for f in self.findings if f.severity == "error"), self.findings[0])
        super().__init__(
            first.word, first.what, where=first.where, path=first.path, why=first.why, hint=first.hint
        )


class RefusedError(SealpipeError):
    """The state of things forbids it: conflict, stale, held, approval missing, guard, not a publisher."""

    exit_code = 5


class TrustError(SealpipeError):
    """A signature, key or origin is not what it must be. Never retried, never worked around."""

    exit_code = 6


class StoreError(SealpipeError):
    """Who runs the store must act."""


class ConflictError(StoreError):
    """A compare-and-swap found something else; nothing was written."""

    exit_code = 5


class OutcomeUnknownError(StoreError):
    """The request may or may not have been applied."""


class UnavailableError(StoreError):
    """The store did not answer; nothing is known of its content."""


class DeniedError(StoreError):
    """The store refused our credentials."""


class TooLargeError(StoreError):
    """The value or request exceeds what the store takes; nothing was sent."""


class FullError(StoreError):
    """The store has no room left; nothing was written."""


class MalformedError(StoreError):
    """The store answered something that no such store should."""


class UnsupportedError(StoreError):
    """The store cannot do what is needed, or no store is known for the URL."""


class ConfigError(SealpipeError):
    """A service's configuration cannot be used. `exit_code` is what a service should end with."""

    exit_code = 78


class ConfigUnavailable(ConfigError):
    """The store is away and nothing usable is cached."""

    exit_code = 75


class ConfigUntrusted(ConfigError):
    """What the store holds is altered, foreign, older or signed by someone without the right."""


class ConfigRefused(ConfigError):
    """The release is genuine and does not fit the service's settings."""


class SecretUnreadable(ConfigError):
    """A sealed value cannot be opened with this service's key, or has no secret type to go to."""
