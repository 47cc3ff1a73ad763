"""Every single-bit flip and every truncation of the sealed and signed artefacts, with the counts.

    python campaign/mutants.py [ARTEFACT …]

What counts as accepted is said in `tests/tampering/mutants.py`. Ends with 1 when one was.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "pipeline")]

from tampering.mutants import ACCEPTED, REFUSED, SAME, artefacts, mutants  # noqa: E402


def main(names: list[str]) -> int:
    total: Counter[str] = Counter()
    print("| artefact | bytes | mutants | refused | same meaning | accepted | s |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for one in artefacts(Path(folder)):
            if names and one.name not in names:
                continue
            began = time.monotonic()
            found: Counter[str] = Counter()
            for number, mutant in enumerate(mutants(one.data)):
                verdict = one.verdict(mutant)
                found[verdict] += 1
                if verdict == ACCEPTED:
                    print(f"accepted: {one.name}, mutant {number}")
            row = [one.name, len(one.data), found.total(), found[REFUSED], found[SAME], found[ACCEPTED]]
            print("| " + " | ".join(map(str, row)) + f" | {time.monotonic() - began:.0f} |", flush=True)
            total += found
    print(f"{total.total()} mutants, {total[ACCEPTED]} accepted")
    return 1 if total[ACCEPTED] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
