"""Which store a URL names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sealpipe.errors import UnsupportedError, UsageError
from sealpipe.stores.base import ABSENT, Put
from sealpipe.stores.file import FileStore
from sealpipe.stores.registry import STORES, known_schemes, open_store, scheme_of

PIPELINE = Path(__file__).parents[2] / "pipeline"


def test_a_relative_file_url_starts_at_the_base(tmp_path):
    store, prefix = open_store("file:.sealpipe/store", base=str(tmp_path))
    store.write([Put(f"{prefix}dev/state", b"1", ABSENT)])
    assert isinstance(store, FileStore)
    assert (tmp_path / ".sealpipe/store/dev/state").read_bytes() == b"1"


def test_an_unknown_scheme_says_how_to_get_one():
    with pytest.raises(UnsupportedError) as caught:
        open_store("mystore://host/config", base="/")
    assert caught.value.word == "unknown-store"
    assert "file:" in str(caught.value)
    assert "sealpipe.stores" in str(caught.value)


@pytest.mark.parametrize("url", ["", "store", "/var/store", ":x", "FILE:x", "file", "fi le:x", "file:a\nb"])
def test_what_is_no_url(url):
    with pytest.raises(UsageError) as caught:
        scheme_of(url)
    assert caught.value.word == "bad-store-url"


@pytest.mark.parametrize(
    "url",
    [
        "consul://anna:hunter2@host/config",
        "https://token@host/config",
        "s3://bucket/config?secret_key=hunter2",
        "s3://bucket/config?region=eu&Access-Key=hunter2",
        "consul://host/config?token=",
        "file://anna:hunter2@localhost/x",
    ],
)
def test_secrets_are_never_in_urls(url):
    with pytest.raises(UsageError) as caught:
        open_store(url, base="/")
    assert caught.value.word == "secret-in-url"
    assert "hunter2" not in repr(caught.value) + str(caught.value)


def test_a_store_of_another_package(tmp_path, monkeypatch):
    """An installed distribution names its module under our entry point group; nothing else is needed."""
    info = tmp_path / "other_store-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-store\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sealpipe.stores]\nother = other_store\n")
    (tmp_path / "other_store.py").write_text(
        "from sealpipe.testing.memory import MemoryStore\n"
        "def open_url(url, *, base):\n"
        "    return MemoryStore(), url.removeprefix('other:') + '/'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    store, prefix = open_store("other:config", base="/")
    store.write([Put(f"{prefix}dev/state", b"1", ABSENT)])
    assert store.keys("config/") == ["config/dev/state"]
    assert "other" in known_schemes()
    with pytest.raises(UnsupportedError):
        open_store("other:ends inside a na%me", base="/")


def test_stores_are_imported_when_used():
    code = (
        "import sys, sealpipe.stores.registry as r\n"
        "assert not set(r.STORES.values()) & set(sys.modules)\n"
        "r.open_store('file:x', base='/')\n"
        "print(*sorted(set(r.STORES.values()) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PIPELINE, check=True
    )
    assert done.stdout.split() == [STORES["file"]]
