"""S3: what only S3 does, on two real servers and one that keeps no promise (contract: test_contract.py)."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import urllib3
from botocore.utils import parse_timestamp
from tests.stores.pages import policy

from publishing import NOW, A, content, put, release
from sealpipe.errors import (
    ConflictError,
    DeniedError,
    FullError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from sealpipe.flows import deliver
from sealpipe.flows.targets import Target
from sealpipe.publishing.collect import DAY_MS, collect
from sealpipe.stores.base import ABSENT, Check, Delete, Put
from sealpipe.stores.registry import open_store
from sealpipe.stores.s3 import conditions
from sealpipe.stores.s3 import store as s3_store
from sealpipe.stores.s3.calls import moment
from sealpipe.testing import store_contract
from servers.fixtures import need
from servers.lax import lax_endpoint
from servers.processes import free_ports
from servers.proxy import Fault, Proxy
from servers.s3 import BUCKET, client, start_moto

SERVERS = ["weed", "moto"]


@pytest.fixture
def server(request, monkeypatch):
    running = request.getfixturevalue(request.param)
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def credentials(monkeypatch):
    """Ours, and nothing else that boto3 could find."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDNOTTOBESEEN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-not-to-be-seen")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-not-to-be-seen")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def opened(monkeypatch):
    """Opens a store by its URL's parts; all are closed at the end."""
    monkeypatch.setattr(conditions, "_verdicts", {})  # a port may be used again
    stores = []

    def one(endpoint, place="shop", bucket=BUCKET, options=""):
        url = f"s3://{bucket}/{place.strip('/')}?endpoint={endpoint}" + (f"&{options}" if options else "")
        store, prefix = open_store(url, base="/")
        assert prefix == ""
        stores.append(store)
        return store

    yield one
    for store in stores:
        store.close()


# ---- TLS


def test_tls_is_checked(authority, tmp_path, credentials, opened, monkeypatch):
    """The authority, the host's name, and that it is TLS at all; nothing is taken for an answer otherwise."""
    files = authority.issue("s3", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["certificate"], files["key"])

    def refused(endpoint, says):
        for ask in (lambda store: store.get("a"), lambda store: store.write([Put("a", b"1", ABSENT)])):
            with pytest.raises(UnavailableError, match=says) as caught:
                ask(opened(endpoint))
            assert caught.value.word == "store-unavailable"

    with lax_endpoint("create", "swap", "delete", tls=context) as lax:
        refused(lax.url, "its certificate is not accepted")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.certificate))
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")  # it reads no trailers
        store = opened(lax.url)
        store.write([Put("a", b"1", ABSENT)])
        assert store.get("a").value == b"1"
        asked = len(lax.asked)
        refused(lax.url.replace("127.0.0.1", "127.1"), "its certificate is not accepted")
        assert len(lax.asked) == asked
    with lax_endpoint() as lax:
        refused(lax.url.replace("http://", "https://"), "does it speak TLS")
        assert lax.objects == {}


# ---- conditional writes


@pytest.mark.parametrize(
    ("keeps", "why"), [((), "If-None-Match"), (("create",), "If-Match"), (("swap",), "If-None-Match")]
)
def test_an_endpoint_that_ignores_conditions_is_refused(keeps, why, credentials, opened):
    with lax_endpoint(*keeps) as lax:
        store = opened(lax.url)
        for op in (Put("dev/heads/a", b"1", ABSENT), Put("dev/heads/a", b"1", None), Delete("dev/heads/a")):
            with pytest.raises(UnsupportedError) as caught:
                store.write([op])
            assert caught.value.word == "no-conditional-writes"
            assert f"it ignores {why}" in str(caught.value)
        assert lax.objects == {}  # what it was tried with is gone again
        assert {key.rpartition("-")[0] for _, key, _ in lax.asked} == {"shop/dev/.probe"}


def test_an_endpoint_is_tried_once(credentials, opened):
    with lax_endpoint("create", "swap", "delete") as lax:
        for _ in range(2):
            store = opened(lax.url)
            assert store.get("dev/none") is None
            store.write([Put("dev/heads/a", b"1", None)])
        assert lax.methods().count("PUT") == 3 + 2
        assert list(lax.objects) == ["shop/dev/heads/a"]
        opened(lax.url, bucket="another-bucket").write([Put("dev/heads/a", b"1", None)])
        assert lax.methods().count("PUT") == 3 + 2 + 3 + 1


def test_without_conditional_deletes_only_those_are_refused(credentials, opened):
    with lax_endpoint("create", "swap") as lax:
        store = opened(lax.url)
        store.write([Put("dev/heads/a", b"1", ABSENT)])
        with pytest.raises(UnsupportedError) as caught:
            store.write([Delete("dev/heads/a", store.get("dev/heads/a").version)])
        assert "when it deletes" in str(caught.value)
        assert store.get("dev/heads/a").value == b"1"
        store.write([Delete("dev/heads/a")])
        assert lax.objects == {}


def test_a_store_that_cannot_be_tried_now_is_tried_again(credentials, opened):
    with lax_endpoint("create", "swap", "delete") as lax:
        store = opened(lax.url)
        lax.answers["PUT"] = (500, "<Error><Code>InternalError</Code></Error>")
        with pytest.raises(UnavailableError):  # known to have written nothing of ours
            store.write([Put("dev/heads/a", b"1", None)])
        lax.answers.clear()
        store.write([Put("dev/heads/a", b"1", None)])


# ---- requests


def test_a_write_is_sent_once(credentials, opened, monkeypatch):
    """The SDK's own repetition would take its success for a conflict."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    with lax_endpoint("create", "swap", "delete") as lax:
        store = opened(lax.url)
        store.write([Put("dev/heads/a", b"1", ABSENT)])
        before = store.get("dev/heads/a").version
        sent = lax.methods().count("PUT")
        lax.hangs_up_after = "PUT"
        with pytest.raises(OutcomeUnknownError):
            store.write([Put("dev/heads/a", b"2", before)])
        assert lax.methods().count("PUT") == sent + 1
        assert lax.objects["shop/dev/heads/a"] == b"2"
        lax.hangs_up_after = ""
        for status in (500, 502, 504):
            lax.answers["PUT"] = (status, "<Error><Code>InternalError</Code></Error>")
            sent = lax.methods().count("PUT")
            with pytest.raises(OutcomeUnknownError):
                store.write([Put("dev/heads/a", b"3", None)])
            assert lax.methods().count("PUT") == sent + 1


_KINDS = {
    (403, "AccessDenied"): (DeniedError, "store-denied"),
    (403, "InvalidAccessKeyId"): (DeniedError, "store-denied"),
    (403, "SignatureDoesNotMatch"): (DeniedError, "store-denied"),
    (403, "RequestTimeTooSkewed"): (DeniedError, "clock-skew"),
    (400, "ExpiredToken"): (DeniedError, "no-credentials"),
    (404, "NoSuchBucket"): (UnavailableError, "no-bucket"),
    (503, "SlowDown"): (UnavailableError, "store-busy"),
    (301, "PermanentRedirect"): (UnavailableError, "wrong-region"),
    (400, "AuthorizationHeaderMalformed"): (UnavailableError, "wrong-region"),
    (409, "ConditionalRequestConflict"): (ConflictError, "conflict"),
    (412, "PreconditionFailed"): (ConflictError, "conflict"),
    (404, "NoSuchKey"): (ConflictError, "conflict"),
    (400, "KMS.DisabledException"): (DeniedError, "store-denied"),
    (400, "EntityTooLarge"): (TooLargeError, "value-too-large"),
    (507, "InsufficientStorage"): (FullError, "store-full"),
    (501, "NotImplemented"): (UnsupportedError, "store-refused"),
    (400, "InvalidRequest"): (UnsupportedError, "store-refused"),
}


@pytest.mark.parametrize(("status", "code"), _KINDS, ids=str)
def test_each_refusal_has_its_own_error(status, code, credentials, opened):
    kind, word = _KINDS[status, code]
    seen = "AKIDNOTTOBESEEN secret-not-to-be-seen token-not-to-be-seen"
    with lax_endpoint("create", "swap", "delete") as lax:
        store = opened(lax.url)
        store.write([Put("dev/heads/a", b"1", None)])
        lax.answers["PUT"] = (status, f"<Error><Code>{code}</Code><Message>{seen}</Message></Error>")
        with pytest.raises(kind) as caught:
            store.write([Put("dev/heads/a", b"2", store.get("dev/heads/a").version)])
        assert caught.value.word == word
        text = f"{caught.value} {caught.value.finding} {caught.value.__cause__} {caught.value.__context__}"
        assert "not-to-be-seen" not in text.casefold()
        assert "nottobeseen" not in text.casefold()


@pytest.mark.parametrize("body", ["", "<Error>", "not XML", "<Error><Code>a b\n&lt;c</Code></Error>"])
def test_answers_that_are_none(body, credentials, opened):
    with lax_endpoint() as lax:
        store = opened(lax.url)
        lax.answers["GET"] = (418, body)
        with pytest.raises((UnsupportedError, UnavailableError)):
            store.get("dev/heads/a")
        with pytest.raises((UnsupportedError, UnavailableError)):
            store.keys("")


def test_without_credentials(credentials, opened, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with lax_endpoint() as lax, pytest.raises(DeniedError) as caught:
        opened(lax.url).get("dev/heads/a")
    assert caught.value.word == "no-credentials"
    assert lax.asked == []
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(DeniedError):
        opened(lax.url).get("dev/heads/a")


def test_encryption_and_locks_are_asked_for(credentials, opened):
    options = "sse=aws:kms&kms_key=alias/config&lock=governance:30d"
    with lax_endpoint("create", "swap", "delete") as lax:
        store = opened(lax.url, options=options)
        for key in ("dev/state", "dev/heads/a", "dev/releases/a/1", "dev/chunks/a/1-x/0"):
            store.write([Put(key, b"1", ABSENT)])
        sent = {key: headers for method, key, headers in lax.asked if method == "PUT"}
    for key in ("shop/dev/state", "shop/dev/heads/a", "shop/dev/releases/a/1"):
        assert sent[key]["x-amz-server-side-encryption"] == "aws:kms"
        assert sent[key]["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/config"
    for key in ("shop/dev/releases/a/1", "shop/dev/chunks/a/1-x/0"):
        assert sent[key]["x-amz-object-lock-mode"] == "GOVERNANCE"
        assert sent[key]["x-amz-object-lock-retain-until-date"] > time.strftime("%Y-%m-%d")
        assert any(name.startswith(("x-amz-checksum-", "content-md5")) for name in sent[key])
    for key in ("shop/dev/state", "shop/dev/heads/a"):
        assert "x-amz-object-lock-mode" not in sent[key]


def test_the_endpoint_of_the_environment(credentials, monkeypatch):
    with lax_endpoint("create", "swap", "delete") as lax:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", lax.url)
        store, _ = open_store(f"s3://{BUCKET}/shop", base="/")
        store.write([Put("dev/heads/a", b"1", ABSENT)])
        store.close()
        assert list(lax.objects) == ["shop/dev/heads/a"]


def test_nobody_there_is_said_at_once(credentials, opened):
    store = opened(f"http://127.0.0.1:{free_ports(1)[0]}")
    started = time.monotonic()
    for action in (lambda: store.get("dev/a"), lambda: store.write([Put("dev/a", b"", None)])):
        with pytest.raises(UnavailableError) as caught:
            action()
        assert caught.value.word == "store-unavailable"
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("kind", ["black-hole", "black-hole-reply", "drip"])
def test_a_server_that_is_silent_costs_no_more_than_the_timeout(kind, credentials, opened):
    with lax_endpoint("create", "swap", "delete") as lax:
        proxy = Proxy(lax.url.removeprefix("http://"))
        try:
            store = opened(f"http://{proxy.address}")
            store.write([Put("dev/a", b"1", None)])
            for error, action in (
                (UnavailableError, lambda: store.get("dev/a", timeout=1.0)),
                (UnavailableError, lambda: store.keys("", timeout=1.0)),
                (OutcomeUnknownError, lambda: store.write([Put("dev/a", b"2", None)], timeout=1.0)),
            ):
                proxy.arm(Fault(kind, 1))
                started = time.monotonic()
                with pytest.raises(error):
                    action()
                assert time.monotonic() - started < 2.5
                proxy.heal()
        finally:
            proxy.close()


def test_no_answer_is_awaited_before_a_body_is_sent(credentials, opened):
    """botocore reads the end of a `100 Continue` in a loop that a closed connection never leaves."""
    seen = []

    def answer(listener):
        connection, _ = listener.accept()
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            seen.append(data.lower())
            connection.sendall(b"HTTP/1.1 100 Continue\r\n")  # and the end, before the empty line

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        calls = opened(f"http://127.0.0.1:{listener.getsockname()[1]}")._calls
        done = threading.Event()

        def write():
            with suppress(StoreError):
                calls.send("put_object", 2.0, Key="a", Body=b"x" * 1000)
            done.set()

        threading.Thread(target=write, daemon=True).start()
        assert done.wait(10), "it reads from a closed connection for ever"
    assert b"expect:" not in seen[0]


@pytest.mark.parametrize(
    "text",
    [
        "Tue, 01 Dec 2026 00:12:17 GMT",
        "2026-12-01T00:12:17.123Z",
        "2026-12-01T00:12:17Z",
        "2026-12-01T00:12:17+02:00",
        "20261201T001217Z",
        "1796083937",
        1796083937.5,
    ],
)
def test_times_are_read_as_botocore_reads_them(text):
    found = moment(text)
    assert found == parse_timestamp(text)
    assert found.utcoffset() is not None


# ---- real servers


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_least_privilege(server, opened, store_prefix, monkeypatch):
    """SeaweedFS knows who may read, list and write; the finer rules of IAM are tried below."""
    opened(server.url, store_prefix).write([Put("dev/heads/a", b"1", ABSENT)])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader-access")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "reader-secret-key")
    service = opened(server.url, store_prefix)
    assert service.get("dev/heads/a").value == b"1"
    assert service.get("dev/heads/b") is None
    assert service.keys("") == ["dev/heads/a"]
    for op in (Put("dev/heads/a", b"2", None), Delete("dev/heads/a")):
        with pytest.raises(DeniedError) as caught:
            service.write([op])
        assert "s3:" in str(caught.value)
    for access, secret in (("nobody", "guessed-secret"), ("reader-access", "guessed-secret")):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        with pytest.raises(DeniedError) as caught:
            opened(server.url, store_prefix).get("dev/heads/a")
        assert "guessed" not in str(caught.value)


def test_the_policies_of_the_guide(server_folder, monkeypatch, opened):
    need("moto_server")
    server = start_moto(server_folder)
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    try:
        client(server).create_bucket(Bucket="shop-config")
        root = opened(server.url, "config", "shop-config")
        for key in (
            "prod/heads/checkout",
            "prod/heads/orders",
            "prod/chunks/checkout/1-x/0",
            "dev/heads/checkout",
        ):
            root.write([Put(key, b"1", ABSENT)])
        who = {name: iam_user(server, name, policy("s3.md", name)) for name in ("publisher", "reader")}
        # From here on this server asks for rights.
        assert urllib3.request("POST", f"{server.url}/moto-api/reset-auth", body=b"0").status == 200
        conditions._verdicts.clear()

        def become(name):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", who[name][0])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", who[name][1])
            return opened(server.url, "config", "shop-config")

        publisher = become("publisher")
        assert publisher.get("prod/state") is None
        publisher.write([Put("prod/state", b"1", ABSENT)])
        head = publisher.get("prod/heads/checkout")
        publisher.write([Put("prod/heads/checkout", b"2", head.version)])
        publisher.write([Put("prod/releases/checkout/1", b"2", ABSENT)])
        publisher.write([Delete("prod/releases/checkout/1")])
        assert [entry.key for entry in publisher.scan("prod/heads/")] == [
            "prod/heads/checkout",
            "prod/heads/orders",
        ]
        for op in (Put("dev/heads/checkout", b"2", None), Delete("dev/heads/checkout")):
            with pytest.raises(DeniedError):
                publisher.write([op])
        with pytest.raises(DeniedError):
            publisher.get("dev/heads/checkout")

        service = become("reader")
        assert service.get("prod/heads/checkout").value == b"2"
        assert service.get("prod/chunks/checkout/1-x/0").value == b"1"
        assert service.wait("prod/heads/checkout", head.version, timeout=5)
        for action in (
            lambda: service.get("prod/heads/orders"),
            lambda: service.get("dev/heads/checkout"),
            lambda: service.keys("prod/"),
            lambda: service.write([Put("prod/heads/checkout", b"3", None)]),
            lambda: service.write([Delete("prod/heads/checkout")]),
        ):
            with pytest.raises(DeniedError):
                action()
    finally:
        server.kill()


def iam_user(server, name, text):
    import boto3

    iam = boto3.client("iam", endpoint_url=server.url, region_name="us-east-1")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="of-the-guide", PolicyDocument=text)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_a_listing_of_several_pages(server, opened, store_prefix):
    raw = client(server)
    names = [f"{store_prefix}dev/heads/s{number:04d}" for number in range(1_010)]
    strange = [f"{store_prefix}dev/heads/", f"{store_prefix}dev/.probe-x", f"{store_prefix}dev/heads/a b"]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: raw.put_object(Bucket=BUCKET, Key=key, Body=b"v"), [*names, *strange]))
    store = opened(server.url, store_prefix)
    assert store.keys("dev/heads/") == [name.removeprefix(store_prefix) for name in names]
    few = [entry.key for _, entry in zip(range(5), store.scan("dev/heads/"), strict=False)]
    assert few == store.keys("dev/heads/")[:5]


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_versioned_bucket_with_object_lock(server, opened, store_prefix):
    """What has been head stays, whoever deletes it; collection goes on as anywhere."""
    raw = client(server)
    bucket = f"locked-{store_prefix.strip('/')}"
    raw.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    places = iter(range(100))
    lock = "lock=compliance:1d"
    for check, options in (
        (store_contract.swap, lock),
        (store_contract.create_only, lock),
        (store_contract.delete, ""),
    ):
        place = f"contract{next(places)}"
        check(lambda place=place, options=options: opened(server.url, place, bucket, options))
    store = opened(server.url, "shop", bucket, "lock=compliance:1d")
    key = "dev/releases/a/1"
    store.write([Put(key, b"evidence", ABSENT)])
    with pytest.raises(DeniedError) as caught:
        store.write([Delete(key)])
    assert caught.value.word == "object-locked"
    with pytest.raises(ConflictError):
        store.write([Delete(key, '"another"')])
    store.write([Delete("dev/releases/a/none")])
    assert store.get(key).value == b"evidence"
    opened(server.url, "shop", bucket).write([Delete(key)])  # who knows of no lock
    assert store.get(key) is None
    (version,) = raw.list_object_versions(Bucket=bucket, Prefix=f"shop/{key}")["Versions"]
    assert version["Size"] == len(b"evidence")
    with pytest.raises(raw.exceptions.ClientError) as caught:
        raw.delete_object(Bucket=bucket, Key=f"shop/{key}", VersionId=version["VersionId"])
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_collection_leaves_what_is_locked_and_says_so(server, opened, store_prefix, monkeypatch):
    bucket = f"kept-{store_prefix.strip('/')}"
    client(server).create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    store = opened(server.url, "shop", bucket, "lock=governance:1d")
    for number in range(3):
        large = {"x": "y" * 200_000, "n": number}
        put(store, [content(A, large)], now=NOW + number)
    old = [key for key in store.keys("dev/") if "/heads/" not in key]
    target = Target("s3:", store, "")
    monkeypatch.setattr(deliver, "collect", partial(collect, keep=1))

    notes = deliver.collected(target, [A], now_ms=NOW + 2 * DAY_MS)
    assert [(note.word, note.severity) for note in notes] == [("not-collected", "warning")]
    assert "2 keys" in notes[0].what
    assert [key for key in store.keys("dev/") if "/heads/" not in key] == old

    day = timedelta(days=1, minutes=1)
    monkeypatch.setattr(s3_store, "_now", lambda: datetime.now(UTC) + day)
    assert deliver.collected(target, [A], now_ms=NOW + 2 * DAY_MS) == []
    left = [key for key in store.keys("dev/") if "/heads/" not in key]
    assert len(left) == len(old) // 3
    assert release(store, A).draft.values["n"] == 2


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_lock_that_the_bucket_has_not(server, opened, store_prefix):
    store = opened(server.url, store_prefix, options="lock=governance:1d")
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    with pytest.raises(UnsupportedError) as caught:
        store.write([Put("dev/releases/a/1", b"1", ABSENT)])
    assert "Object Lock" in str(caught.value)


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_encryption_at_a_server(server, opened, store_prefix):
    for options, expected in (
        ("sse=AES256", ("AES256", None)),
        ("sse=aws:kms&kms_key=alias/config", ("aws:kms", "alias/config")),
    ):
        store = opened(server.url, store_prefix, options=options)
        store.write([Put("dev/heads/a", b"1", None)])
        found = client(server).head_object(Bucket=BUCKET, Key=f"{store_prefix}dev/heads/a")
        assert (found["ServerSideEncryption"], found.get("SSEKMSKeyId")) == expected
    with pytest.raises(UnavailableError) as caught:
        opened(server.url, bucket="no-such-bucket").write([Put("dev/heads/a", b"1", None)])
    assert caught.value.word == "no-bucket"


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_a_forked_child_has_connections_of_its_own(server, opened, store_prefix):
    store = opened(server.url, store_prefix)
    store.write([Put("dev/heads/a", b"parent", ABSENT)])
    child = os.fork()
    if not child:  # nothing here may raise into pytest
        code = 1
        with suppress(BaseException):
            entry = store.get("dev/heads/a", timeout=5)
            store.write([Put("dev/heads/a", entry.value + b" and child", entry.version)], timeout=5)
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.get("dev/heads/a").value == b"parent and child"


# ---- the URL


@pytest.mark.parametrize(
    "url",
    [
        "s3:bucket/shop",
        "s3:///shop",
        "s3://B/shop",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://bucket/shop?endpoint=ftp://x",
        "s3://bucket/shop?endpoint=http://",
        "s3://bucket/shop?endpoint=http://h:port",
        "s3://bucket/shop?sse=none",
        "s3://bucket/shop?kms_key=alias/x",
        "s3://bucket/shop?sse=AES256&kms_key=alias/x",
        "s3://bucket/shop?lock=forever",
        "s3://bucket/shop?lock=governance:0d",
        "s3://bucket/shop?poll=soon",
        "s3://bucket/shop?poll=0",
        "s3://bucket/shop?region=eu west",
        "s3://bucket/shop?region=a&region=b",
        "s3://bucket/shop?acl=public-read",
    ],
)
def test_urls_that_are_none(url):
    with pytest.raises(UsageError) as caught:
        open_store(url, base="/")
    assert caught.value.word == "bad-store-url"


def test_no_user_in_the_endpoint():
    with pytest.raises(UsageError) as caught:
        open_store("s3://bucket/shop?endpoint=https://me:hunter2@minio.example.org", base="/")
    assert caught.value.word == "secret-in-url"
    assert "hunter2" not in str(caught.value)


def test_one_change_a_write(opened):
    store = opened("http://127.0.0.1:9")
    for ops in (
        [Put("a", b"", None), Put("b", b"", None)],
        [Check("a", "v"), Put("b", b"", None)],
        [Check("a", "v")],
        [Delete("a", ABSENT)],
    ):
        with pytest.raises(UnsupportedError):
            store.write(ops)
    store.write([])


def test_without_boto3(monkeypatch):
    import sealpipe.stores.s3 as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError) as caught:
        open_store("s3://bucket/shop", base="/")
    assert caught.value.word == "missing-package"
    assert "pip install 'sealpipe[s3]'" in str(caught.value)
