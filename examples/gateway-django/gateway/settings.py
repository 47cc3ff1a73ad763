"""Django's settings. What Django reads once comes from `live.current` here; the rest is asked when needed."""

from __future__ import annotations

from gateway.config import live

_keys = live.current.sessions.keys.get_secret_value()

DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "gateway.urls"
WSGI_APPLICATION = "gateway.wsgi.application"
INSTALLED_APPS = ["gateway.apps.Gateway"]
SECRET_KEY = _keys[0]
SECRET_KEY_FALLBACKS = _keys[1:]
SESSION_COOKIE_NAME = live.current.sessions.cookie
USE_TZ = True
