"""S3 and what speaks it, `s3://BUCKET/PREFIX`: one object a key. Needs the extra `s3`.

The service must honour conditional writes: the first write of a process tries that out. boto3's own
repetition of requests is switched off, because it takes its own success for a conflict.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from sealpipe.errors import UnsupportedError
from sealpipe.stores.base import Store
from sealpipe.stores.s3.place import parse_place


def open_url(url: str, *, base: str) -> tuple[Store, str]:  # noqa: ARG001
    """All keys are below the URL's path. Raises UsageError, UnsupportedError [missing-package]."""
    place = parse_place(url)
    if find_spec("botocore") is None:
        raise UnsupportedError(
            "missing-package", "an S3 store needs the package boto3", hint=["pip install 'sealpipe[s3]'"]
        )
    store: Store = import_module("sealpipe.stores.s3.store").S3Store(place)
    return store, ""
