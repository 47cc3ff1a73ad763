"""Eight publishers, two readers and a collector on each store, as campaign/race.py has them on a folder.

python campaign/store_race.py [--on consul,etcd,…] [--releases N]       1,000 by default
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "pipeline"), str(ROOT / "tests")]

from campaign.race import race, shown  # noqa: E402

from servers.places import served  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--on", default="")
    parser.add_argument("--releases", type=int, default=1_000)
    given = parser.parse_args()
    with served([name for name in given.on.split(",") if name]) as places:
        for place in places:
            print(f"store_race: {place.kind}: {shown(race(place.url, given.releases))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
