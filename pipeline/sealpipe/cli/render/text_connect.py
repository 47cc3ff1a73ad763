"""What a service needs to start, as each platform wants it. Holds no private key, only where it is."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

KINDS = ("env", "docker", "k8s", "systemd", "github")
_CACHE = "/var/cache/sealpipe"


def snippet(kind: str, variables: Mapping[str, str], service: str, key_file: str) -> list[str]:
    """Lines to paste. `variables` are SEALPIPE_URL, _ENV, _SERVICE, _TRUST; the key is named by its place."""
    return _SNIPPETS[kind](variables, service, key_file)


def _quoted(value: str, *, dollars: bool = False) -> str:
    """In double quotes, as YAML and systemd read them. `dollars`: where `$NAME` would be replaced."""
    return json.dumps(value.replace("$", "$$") if dollars else value, ensure_ascii=False)


def _env(variables: Mapping[str, str], service: str, key_file: str) -> list[str]:
    found = {**variables, "SEALPIPE_KEY_FILE": key_file or "/path/to/the/key"}
    return [f"export {name}={shlex.quote(value)}" for name, value in found.items()] + [
        f"export SEALPIPE_CACHE=~/.cache/sealpipe/{service}   # the last good releases"
    ]


def _docker(variables: Mapping[str, str], service: str, key_file: str) -> list[str]:
    secret = f"{service}-key"
    lines = ["services:", f"  {service}:", "    environment:"]
    found = {
        **variables,
        "SEALPIPE_KEY_FILE": f"/run/secrets/{secret}",
        "SEALPIPE_CACHE": _CACHE,
    }
    lines += [f"      {name}: {_quoted(value, dollars=True)}" for name, value in found.items()]
    lines += [
        f"    secrets: [{secret}]",
        f"    volumes: [{service}-cache:{_CACHE}]   # survives restarts",
        "secrets:",
        f"  {secret}: {{file: {_quoted(key_file, dollars=True)}}}"
        if key_file
        else f"  {secret}: {{external: true}}",
        "volumes:",
        f"  {service}-cache: {{}}",
    ]
    return lines


def _k8s(variables: Mapping[str, str], service: str, key_file: str) -> list[str]:  # noqa: ARG001
    found = {
        **variables,
        "SEALPIPE_KEY_FILE": f"/run/secrets/{service}-key/key",
        "SEALPIPE_CACHE": _CACHE,
    }
    width = max(len(name) for name in found) + 1
    lines = ["env:"]
    lines += [f"  - {{name: {name + ',':<{width}} value: {_quoted(value)}}}" for name, value in found.items()]
    lines[-1] += "   # a volume that survives restarts"
    lines += [
        "volumeMounts:",
        f"  - {{name: {service}-key, mountPath: /run/secrets/{service}-key, readOnly: true}}",
        f"  - {{name: {service}-cache, mountPath: {_CACHE}}}",
        "# in the pod:",
        "volumes:",
        f"  - {{name: {service}-key, secret: {{secretName: {service}-key, defaultMode: 0440}}}}",
        f"  - {{name: {service}-cache, persistentVolumeClaim: {{claimName: {service}-cache}}}}",
    ]
    return lines


def _systemd(variables: Mapping[str, str], service: str, key_file: str) -> list[str]:
    where = (key_file or f"/etc/sealpipe/{service}.key").replace("%", "%%")
    lines = ["[Service]"]
    lines += [
        f"Environment={_quoted(f'{name}={value}'.replace('%', '%%'))}" for name, value in variables.items()
    ]
    lines += [
        f"LoadCredential=sealpipe-key:{where}",
        'Environment="SEALPIPE_KEY_FILE=%d/sealpipe-key"',
        f"CacheDirectory=sealpipe/{service}",
        'Environment="SEALPIPE_CACHE=%C/sealpipe/' + service + '"',
    ]
    return lines


def _github(variables: Mapping[str, str], service: str, key_file: str) -> list[str]:  # noqa: ARG001
    name = f"{service}_KEY".upper().replace("-", "_")
    lines = ["env:"]
    lines += [f"  {variable}: {_quoted(value)}" for variable, value in variables.items()]
    lines.append(f"  SEALPIPE_KEY: ${{{{ secrets.{name} }}}}   # gh secret set {name} < the key")
    return lines


_SNIPPETS = {"env": _env, "docker": _docker, "k8s": _k8s, "systemd": _systemd, "github": _github}
