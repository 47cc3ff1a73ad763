"""Two pages: health, and something that uses what is published."""

from __future__ import annotations

from django.core import signing
from django.http import HttpRequest, JsonResponse
from django.urls import path

from gateway.config import live


def ready(_: HttpRequest) -> JsonResponse:
    return JsonResponse(live.status.as_dict(), status=200 if live.ready() else 503)


def limits(_: HttpRequest) -> JsonResponse:
    return JsonResponse({name: limit.per_minute for name, limit in live.current.rate_limits.items()})


def sign(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"signed": signing.dumps("somebody")})


def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"name": signing.loads(request.GET["signed"])})


urlpatterns = [
    path("ready", ready),
    path("limits", limits),
    path("sign", sign),
    path("whoami", whoami),
]
