"""Services that are started otherwise, each as its own documentation shows it, on the same values in clear:
py-consul with pydantic, dynaconf with redis, pydantic-settings' own AWS source against moto's server.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import programs
from measure import Candidate, Row, measure
from peers import python_with, server

import repositories
from repositories import Bench

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests")]

_MODEL = """\
from pydantic import BaseModel, SecretStr
groups = {name: type(name, (BaseModel,), {"__annotations__": {
    key: SecretStr if key == "secret" else type(value) for key, value in group.items()}})
    for name, group in VALUES.items()}
"""
_CONSUL = """\
import consul, sys
host, port, key = sys.argv[1:]
Orders = type("Orders", (BaseModel,), {"__annotations__": groups})
_, found = consul.Consul(host=host, port=int(port)).kv.get(key)
Orders.model_validate_json(found["Value"])
"""
_AWS = """\
import sys
from pydantic_settings import AWSSecretsManagerSettingsSource, BaseSettings
def sources(cls, settings_cls, **_):
    return (AWSSecretsManagerSettingsSource(settings_cls, sys.argv[1]),)
body = {"__annotations__": groups, "settings_customise_sources": classmethod(sources)}
Orders = type("Orders", (BaseSettings,), body)
Orders()
"""
_AWS_WRITE = """\
import boto3, sys
boto3.client("secretsmanager").create_secret(Name=sys.argv[1], SecretString=sys.stdin.read())
"""
_DYNACONF = """\
import sys
from dynaconf import Dynaconf
where = {"host": "127.0.0.1", "port": int(sys.argv[1]), "decode_responses": True}
settings = Dynaconf(redis_enabled=True, environments=False, REDIS_FOR_DYNACONF=where)
for name, group in VALUES.items():
    for key, value in group.items():
        assert settings[name][key] == value, name
"""
_REDIS_WRITE = """\
import json, redis, sys
store = redis.StrictRedis(port=int(sys.argv[1]))
store.hset("DYNACONF_MAIN", mapping={
    name.upper(): "@json " + json.dumps(group) for name, group in json.load(sys.stdin).items()})
"""


def starts(bench: Bench, runs: int) -> Iterator[Row]:
    """A service's start from Consul, ours, beside what others start from what they know."""
    from servers.places import served

    values = repositories.values()
    with served(("consul",)) as places, ExitStack() as stack:
        for place in places:
            before, bench.environ = bench.environ, {**bench.environ, **place.environ}
            repository, told = repositories.published_service(bench, "peers", place.url)
            environ, bench.environ = bench.environ, before
            mine = bench.folder / "ours.py"
            mine.write_text(programs.published(values))
            ours = Candidate("load", [bench.python, str(mine)], repository, {**environ, **told})
            others = dict(_others(bench, place, values, stack))
            used, *theirs = measure([ours, *others.values()], max(runs, 5) * 3)
            for name, peer in zip(others, theirs, strict=True):
                yield Row("`load` from Consul, signature and five secrets", name, used, peer, "wall")


def _others(
    bench: Bench, place: Any, values: Mapping[str, Any], stack: ExitStack
) -> Iterator[tuple[str, Candidate]]:
    python = python_with("py-consul")
    if python is not None:
        host, _, port = place.server.address.rpartition(":")
        _put_consul(place, "plain/orders", json.dumps(values).encode())
        command = [python, _written(bench, "py_consul.py", _MODEL + _CONSUL, values), host, port]
        yield (
            "py-consul + pydantic, in clear",
            Candidate("py-consul", [*command, "plain/orders"], bench.folder, bench.environ),
        )
    python, redis = python_with("dynaconf"), server("redis-server")
    if python is not None and redis is not None:
        port = stack.enter_context(_redis(redis, bench.folder))
        _told([python, "-c", _REDIS_WRITE, str(port)], json.dumps(values), bench.environ)
        command = [python, _written(bench, "with_redis.py", _DYNACONF, values), str(port)]
        yield (
            "dynaconf + redis, untyped, in clear",
            Candidate("dynaconf", command, bench.folder, bench.environ),
        )
    python = python_with("pydantic-settings-aws")
    if python is not None:
        yield from _aws(bench, python, values, stack)


def _aws(
    bench: Bench, python: str, values: Mapping[str, Any], stack: ExitStack
) -> Iterator[tuple[str, Candidate]]:
    from servers import programs as servers
    from servers.s3 import start_moto

    if servers.find("moto_server") is None:
        print(f"SKIPPED: {servers.hint('moto_server')}", file=sys.stderr)
        return
    folder = bench.folder / "moto"
    folder.mkdir()
    moto = start_moto(folder)
    stack.callback(moto.kill)
    environ = {**bench.environ, **moto.environ, "AWS_ENDPOINT_URL": f"http://{moto.address}"}
    flat = {f"{name}--{key}": str(value) for name, group in values.items() for key, value in group.items()}
    _told([python, "-c", _AWS_WRITE, "orders"], json.dumps(flat), environ)
    command = [python, _written(bench, "aws.py", _MODEL + _AWS, values), "orders"]
    yield "pydantic-settings' AWS source, moto", Candidate("AWS", command, bench.folder, environ)


def _written(bench: Bench, name: str, text: str, values: Mapping[str, Any]) -> str:
    file = bench.folder / name
    file.write_text(f"VALUES = {json.loads(json.dumps(values))!r}\n{text}")
    return str(file)


def _put_consul(place: Any, key: str, value: bytes) -> None:
    import urllib3

    url = f"http://{place.server.address}/v1/kv/{key}"
    done = urllib3.request("PUT", url, body=value, retries=False)
    assert done.status == 200, done.data


def _told(command: list[str], text: str, environ: Mapping[str, str]) -> None:
    done = subprocess.run(command, input=text, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


@contextmanager
def _redis(program: str, folder: Path) -> Iterator[int]:
    """A server of its own, in memory; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    words = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    running = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, env={"PATH": os.defpath})
    try:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                if time.monotonic() > end or running.poll() is not None:
                    raise SystemExit("redis-server does not answer") from None
                time.sleep(0.02)
            else:
                break
        yield port
    finally:
        running.kill()
        running.wait()
