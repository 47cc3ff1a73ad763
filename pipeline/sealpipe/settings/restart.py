"""Fields whose change only a restart brings into effect: `Field(json_schema_extra={"x-restart": True})`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from sealpipe.paths import show_path


def restart_values(settings: Any) -> dict[str, Any]:
    """Path -> value now, of every field marked `x-restart`, in nested models too."""
    found: dict[str, Any] = {}
    _collect(settings, (), found)
    return found


def _collect(model: Any, at: tuple[str | int, ...], found: dict[str, Any]) -> None:
    if not isinstance(model, BaseModel):
        return
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        extra = info.json_schema_extra
        if isinstance(extra, dict) and extra.get("x-restart") is True:
            found[show_path((*at, name))] = value
        else:
            _collect(value, (*at, name), found)
