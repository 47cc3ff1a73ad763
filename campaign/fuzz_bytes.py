"""Coverage-guided fuzzing of everything that reads bytes from elsewhere: only typed errors may come out.

    python campaign/fuzz_bytes.py [TARGET] [--seconds N]     TARGET: yaml token release trust, else each

Needs atheris (`pip install atheris==3.0.0`), which is no requirement of the tests. What libFuzzer finds worth
keeping is below .campaign/fuzz/TARGET; the seeds in campaign/corpus/TARGET are part of the repository.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests")]
HINT = "atheris is not here: .venv/bin/pip install 'atheris==3.0.0'"


def read_yaml(data: bytes) -> None:
    from sealpipe.canonical import canonical
    from sealpipe.documents.parse import parse_yaml
    from sealpipe.documents.read import read_yaml as read
    from sealpipe.documents.write import dump_yaml
    from sealpipe.errors import InputError

    try:
        found = read(data, file="f")
    except InputError as error:
        assert all(finding.where and finding.what for finding in error.findings)
        return
    canonical(found)
    assert read(dump_yaml(found), file="f") == found
    assert parse_yaml(data.decode(), file="f") == found  # whichever way it was read


def read_token(data: bytes) -> None:
    from sealpipe.crypto.keys import PrivateKey
    from sealpipe.crypto.sealing import open_value
    from sealpipe.errors import TrustError
    from sealpipe.tokens import parse_token

    text = data.decode("latin-1")
    with contextlib.suppress(TrustError):
        token = parse_token(text)
        assert str(token) == text
        open_value(token, b"place", PrivateKey(bytes([1]) * 32))
        raise AssertionError("a forged value was opened")


def read_release(data: bytes) -> None:
    from release_builder import UNIT, pins, root
    from sealpipe.errors import TrustError
    from sealpipe.releases.check import check_release
    from sealpipe.releases.drafts import check_draft, draft_from_json
    from sealpipe.releases.payloads import payload_from_json
    from sealpipe.releases.wire import parse_locator, split_release, split_state

    for read in (split_release, split_state, parse_locator, payload_from_json):
        with contextlib.suppress(TrustError):
            read(data)  # type: ignore[operator]
    with contextlib.suppress(TrustError):
        check_draft(draft_from_json(data))
    with contextlib.suppress(TrustError):
        # With signatures believed, the rules behind them are reached.
        check_release(data, pins=pins(root("anna")), unit=UNIT, verify=lambda *_: True)


def read_trust(data: bytes) -> None:
    from sealpipe.canonical import strict_json
    from sealpipe.errors import InputError, TrustError
    from sealpipe.keyrings import parse_keyring
    from sealpipe.roots import parse_pins
    from sealpipe.trust import parse_trust, trust_from_json

    with contextlib.suppress(TrustError, InputError):
        trust_from_json(data)
    with contextlib.suppress(TrustError, InputError):
        parse_pins(data.decode("latin-1"))
    with contextlib.suppress(TrustError, InputError):
        found = strict_json(data)
        with contextlib.suppress(TrustError, InputError):
            parse_trust(found)
        parse_keyring(found, "f")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "yaml": read_yaml,
    "token": read_token,
    "release": read_release,
    "trust": read_trust,
}


def seeds() -> dict[str, dict[str, bytes]]:
    """What each target starts from: right inputs, which mutation makes wrong ones of."""
    from release_builder import Recipe, draft_document, payload_document, token, trust_document
    from sealpipe.canonical import canonical

    recipe = Recipe()
    texts = {
        "map": b"a: 1\nb: {c: [x, 'y', \"z\\n\"]}\n# note\nd: |\n  text\n",
        "types": b"a: ~\nb: 0x1F\nc: 1e3\nd: no\ne: -0\nf: 0o7\n",
    }
    return {
        "yaml": texts,
        "token": {"token": token(b"secret", "checkout", "db", "password").encode()},
        "release": {
            "release": recipe.bytes(),
            "draft": canonical(draft_document()),
            "payload": canonical(payload_document()),
        },
        "trust": {"trust": canonical(trust_document())},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target", nargs="?", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("CAMPAIGN_SECONDS", "600")))
    given = parser.parse_args()
    if given.target is None:
        line = [sys.executable, __file__, "--seconds", str(given.seconds)]
        return max(subprocess.run([*line, target], check=False).returncode for target in TARGETS)
    try:
        import atheris  # type: ignore[import-not-found]
    except ImportError:
        print(HINT, file=sys.stderr)
        return 1
    kept = ROOT / "campaign" / "corpus" / given.target
    found = ROOT / ".campaign" / "fuzz" / given.target
    for folder in (kept, found):
        folder.mkdir(parents=True, exist_ok=True)
    # What is instrumented has to be imported here for the first time.
    with atheris.instrument_imports(include=["sealpipe"]):
        for name, data in seeds()[given.target].items():
            (kept / name).write_bytes(data)
            TARGETS[given.target](data)
    options = [f"-max_total_time={given.seconds}", "-max_len=4096", "-timeout=5", "-rss_limit_mb=1024"]
    options += [f"-artifact_prefix={found}/", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(found), str(kept)], TARGETS[given.target])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
