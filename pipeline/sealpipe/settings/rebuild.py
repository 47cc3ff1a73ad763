"""Settings of a newer release with what the process said at its first: variables, arguments and files are
read once, so a refresh can neither meet a half-edited .env nor parse the command line again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_settings import BaseSettings

from sealpipe.errors import ConfigError
from sealpipe.frozen import field, frozen
from sealpipe.settings.base import PublishedSettings
from sealpipe.settings.origin import Above
from sealpipe.settings.source import Candidate, fit_to_class

S = TypeVar("S", bound=BaseSettings)


@frozen
class Captured:
    """What every source said at the first build, highest first; the published one among them."""

    states: Mapping[str, Mapping[str, Any]] = field(repr=False)
    above: tuple[Above, ...] = field(repr=False)


def overridden(kept: Captured, values: Mapping[str, Any]) -> Captured:
    """The same with `values` above everything: for tests that change a setting."""
    return Captured({"override": values, **kept.states}, (Above("override", values), *kept.above))


def captured(candidate: Candidate) -> Captured:
    """From the candidate of the first build, after it went through."""
    return Captured(dict(candidate.states), candidate.above)


def overlaid(over: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    """Both maps as one: maps merge, everything else of `over` wins, lists whole."""
    found = dict(below)
    for key, value in over.items():
        mine = found.get(key)
        both = isinstance(mine, Mapping) and isinstance(value, Mapping)
        found[key] = overlaid(value, mine) if both and isinstance(mine, Mapping) else value
    return found


def rebuild(candidate: Candidate, kept: Captured, cls: type[S]) -> S:
    """An instance from the candidate's snapshot between the other sources' captured answers.

    Validates as the constructor does, without calling it. Raises ConfigRefused and SecretUnreadable as
    fitting does, pydantic's ValidationError, and whatever the class's validators raise.
    """
    upstream: dict[str, Any] = {}
    for above in kept.above:
        upstream = overlaid(upstream, above.state)
    candidate.above = kept.above
    candidate.states = kept.states
    candidate.fitted = fit_to_class(candidate, upstream)
    values: dict[str, Any] = {}
    for name, state in kept.states.items():
        values = overlaid(values, candidate.fitted.values if name == "published" else state)
    defaults = kept.states.get("DefaultSettingsSource", {})
    values = {key: value for key, value in values.items() if key not in defaults or defaults[key] != value}
    made = cls.__new__(cls)
    return cls.__pydantic_validator__.validate_python(values, self_instance=made)  # type: ignore[no-any-return]


def refuse_own_constructor(cls: type[BaseSettings]) -> None:
    """ConfigError [settings-class] for a class that a refresh could not build without its `__init__`."""
    ours = (PublishedSettings, BaseSettings, BaseModel, object)
    for base in cls.__mro__:
        if base not in ours and "__init__" in vars(base):
            raise ConfigError(
                "settings-class",
                f"{cls.__name__} has an __init__ of its own, which a live refresh would not call",
                hint=["use a validator, a default_factory or model_post_init"],
            )
