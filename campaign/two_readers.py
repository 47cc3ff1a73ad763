"""Both readers of the formats on releases with random changes in trust, payload or draft, rightly signed.

`python campaign/two_readers.py [SEED [COUNT]]`. Ends with 1 when they differ in what they accept or in the
word of a refusal; needs node and the packages of tests/another.
"""

from __future__ import annotations

import copy
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("vectors", "another", ".")]

import make_releases as made  # noqa: E402
import test_format as ours  # noqa: E402

from sealpipe.errors import SealpipeError  # noqa: E402

ATOMS: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**53 - 1, 1.0, 1.5, "", "x", "/a", "ENC[", "a-", "A", "_all", "é\u2028"),
    *("ENC[NACL1,type:str,data:AAAA]", "production", "ci", "00" * 32, "00" * 8, "/replicas/0/name", "name"),
    *([], {}, ["anna"], [1], {"need": 1, "of": ["anna"]}, {"a": 1}),
]
DRAFT_RULES = {"bad-merge-key", "no-place", "unlisted-secret", "malformed-secret", "misplaced-secret"}
FIELDS = ["more", "x", "/db", "a~", "dev/x", "sealed", "production/_all", "read", "note"]


def paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, child in inside for found in ((*path, key), *paths(child, (*path, key)))]


def changed(data: Any, chance: random.Random) -> Any:
    data = copy.deepcopy(data)
    for _ in range(chance.choice([1, 1, 1, 2])):
        *parents, last = chance.choice(paths(data))
        node, how = data, chance.random()
        for key in parents:
            node = node[key]
        if how < 0.55:
            node[last] = copy.deepcopy(chance.choice(ATOMS))
        elif how < 0.75:
            del node[last]
        elif isinstance(node, dict):
            node[chance.choice(FIELDS)] = copy.deepcopy(chance.choice(ATOMS))
        else:
            node.append(copy.deepcopy(chance.choice(ATOMS)))
    return data


def row(number: int, chance: random.Random) -> dict[str, Any] | None:
    trust, draft, payload = made.trust, made.draft, made.payload
    which, name = chance.choice(["trust", "draft", "payload"]), f"#{number}"
    try:
        if which == "payload":
            made.payload = lambda *parts: changed(payload(*parts), chance)
        else:
            new = changed(getattr(made, which)(), chance)
            setattr(made, which, lambda: new)
        raw = made.release()
    except (KeyError, TypeError):  # the maker itself needs some fields
        return None
    finally:
        made.trust, made.draft, made.payload = trust, draft, payload
    secrets = {each: made.document_secret(f"production/{each}").hex() for each in ("checkout", "_all")}
    given = made.shaped(made.case(name, "-", raw))["given"] | {"document_secrets": secrets}
    try:
        return {"name": name, "do": "release", "given": given, "gives": ours.release(given)}
    except SealpipeError as error:
        return {"name": name, "do": "release", "given": given, "refused": error.finding.word}


def same_step(line: str) -> bool:
    """With two faults in a draft, either word is right: the format orders steps, not the rules in one."""
    words = re.search(r'wanted "([a-z-]+)", found {"refused":"([a-z-]+)"}$', line)
    return words is not None and {*words.groups()} <= DRAFT_RULES


def main() -> int:
    seed, count = map(int, (sys.argv[1:] + ["1", "5000"][len(sys.argv) - 1 :])[:2])
    if shutil.which("node") is None:
        print("no node: apt-get install nodejs npm && npm ci --ignore-scripts --prefix tests/another")
        return 1
    chance = random.Random(seed)  # noqa: S311 - a seed that can be given again
    rows = [found for number in range(count) if (found := row(number, chance)) is not None]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "tests" / "another", Path(folder, "another"))
        Path(folder, "vectors").mkdir()
        Path(folder, "vectors", "random.json").write_text(json.dumps({"format": 1, "vectors": rows}))
        program = ["node", Path(folder, "another", "run.mjs")]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
    differ = [
        line for line in done.stdout.splitlines() if line.startswith("random.json: ") and not same_step(line)
    ]
    ran = f"{len(rows)} cases, " in done.stdout
    print("\n".join(differ) if ran else done.stdout + done.stderr)
    for word, times in Counter(found.get("refused", "accepted") for found in rows).most_common():
        print(f"{times:7} {word}")
    print(f"seed {seed}: {len(rows)} releases, the two readers differ on {len(differ) if ran else 'all'}")
    return 1 if differ or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
