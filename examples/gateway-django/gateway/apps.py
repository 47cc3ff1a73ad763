"""Session keys that rotate while the gateway runs."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from pydantic import Secret

from gateway.config import live


class Gateway(AppConfig):
    name = "gateway"

    def ready(self) -> None:
        @live.on_change("sessions.keys")
        def rotate(_: Secret[list[str]], new: Secret[list[str]]) -> None:
            newest, *older = new.get_secret_value()
            settings.SECRET_KEY_FALLBACKS = older  # what was signed with the old one is still good
            settings.SECRET_KEY = newest
