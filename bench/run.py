"""`make bench`: every figure that is promised, as a ratio of one run against a peer. Prints a Markdown table.

Milliseconds belong to the machine that printed them; only ratios of one run are worth comparing. A figure
that is not reached is printed as MISSED, a peer that is not installed is named with what would bring it.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import programs
from measure import HEAD, Candidate, Row, Used, line, measure
from peers import peer, sops_files

import repositories
from repositories import Bench

ROOT = Path(__file__).resolve().parent.parent


class Job(NamedTuple):
    """What every row needs."""

    bench: Bench
    runs: int
    scale: float

    def ours(self, folder: Path, *words: str, **more: object) -> Candidate:
        script = str(Path(self.bench.python).parent / "sealpipe")
        return Candidate(f"sealpipe {words[0]}", [script, *words], folder, self.bench.environ)._replace(
            **more
        )

    def python(self, folder: Path, *words: str, **more: object) -> Candidate:
        command = [self.bench.python, *words]
        return Candidate("python", command, folder, self.bench.environ)._replace(**more)

    def other(self, folder: Path, *command: str, **more: object) -> Candidate:
        key = {"SOPS_AGE_KEY_FILE": str(self.key), **self.bench.environ}
        return Candidate(command[0], command, folder, key)._replace(**more)

    @property
    def key(self) -> Path:
        return self.bench.folder / "config" / "sealpipe" / "key.txt"

    def number(self, count: int) -> int:
        return max(2, int(count * self.scale))

    def program(self, name: str, text: str) -> str:
        file = self.bench.folder / name
        file.write_text(text)
        return str(file)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure sealpipe; prints a table.")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="whose sealpipe is measured"
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the promised sizes")
    parser.add_argument("--only", choices=sorted(GROUPS), action="append")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, medians of {options.runs} runs, {scaled(options.scale)}")
    print(HEAD, flush=True)
    missed = 0
    for name, group in GROUPS.items():
        if name not in options.only if options.only else name in ON_REQUEST:
            continue
        with tempfile.TemporaryDirectory(prefix="sealpipe-bench-") as folder:
            job = Job(Bench(Path(folder), options.python.absolute()), options.runs, options.scale)
            for row in group(job):
                missed += row.verdict() == "MISSED"
                print(line(row), flush=True)
    print(f"\n{missed} missed" if missed else "\nall reached")


def scaled(scale: float) -> str:
    return "the promised sizes" if scale == 1 else f"sizes x {scale:g}: no figure to keep"


def validating(job: Job) -> Iterator[Row]:
    services, environments = job.number(100), 20
    repository = repositories.many_documents(job.bench, services, environments)
    files = sorted(str(file) for file in (repository / "environments").rglob("*.yaml"))
    rules = str(job.bench.folder / "rules.json")
    work = f"`validate` {len(files):,} documents of 2 KB"
    candidates = [job.ours(repository, "validate", "--no-cache"), job.ours(repository, "validate")]
    found = {name: path for name in ("check-jsonschema", "ajv") if (path := peer(name))}
    if "check-jsonschema" in found:
        candidates.append(job.other(repository, found["check-jsonschema"], "--schemafile", rules, *files))
    if "ajv" in found:
        words = ("validate", "--strict=false", "-s", rules, "-d", "environments/*/*.yaml")
        candidates.append(job.other(repository, found["ajv"], *words))
    cold, warm, *others = measure(candidates, min(job.runs, 3))
    for name, used in zip(found, others, strict=True):
        yield Row(f"{work}, cold", name, cold, used, "cpu", "x10" if name != "ajv" else "x1")
        if name != "ajv":
            yield Row(f"{work}, warm", name, warm, used, "cpu", "x100")
    if not found:
        yield Row(f"{work}, cold", "–", cold, None)


def opening(job: Job) -> Iterator[Row]:
    sops, count = peer("sops"), job.number(1000)
    repository = repositories.sealed_services(job.bench, "secrets", 1, count)
    opened = job.program("open.py", programs.OPEN)
    dev, field = "dev/service-0000", f"s.secret_{count - 1:04}"
    candidates = [
        job.python(repository, opened, str(count), "service-0000"),
        job.ours(repository, "render", dev, "--reveal"),
        job.ours(repository, "set", dev, field, "--random", "--yes"),
    ]
    if sops:
        (file,) = sops_files(
            sops, job.key, job.bench.folder / "secrets.plain.yaml", job.bench.folder / "sops"
        )
        at = f'["s"]["secret_{count - 1:04}"]'
        quiet = "--disable-version-check"
        candidates.append(job.other(repository, sops, quiet, "decrypt", file))
        candidates.append(job.other(repository, sops, quiet, "set", file, at, '"another"'))
    fresh, command, ours_set, *others = measure(candidates, job.runs)
    decrypt, sops_set = others or (None, None)
    inside = inside_one(job, repository, opened, count, fresh)
    work = f"open {count:,} values"
    yield Row(
        f"{work}, within a running Python", "sops decrypt", inside, decrypt, "wall", "x4.5" if sops else ""
    )
    yield Row(f"{work}, a fresh Python", "sops decrypt", fresh, decrypt, "wall")
    yield Row(f"{work}, one command (`render --reveal`)", "sops decrypt", command, decrypt, "wall")
    yield Row(f"`set` one among {count:,}", "sops set", ours_set, sops_set, "wall", "x1" if sops else "")


def inside_one(job: Job, repository: Path, program: str, count: int, used: Used) -> Used:
    """The time that opening itself takes in a process that runs already: as it says itself, median."""
    words = [job.bench.python, program, str(count), "service-0000"]
    environ = job.bench.environ
    told = sorted(
        float(subprocess.run(words, cwd=repository, env=environ, capture_output=True, check=True).stdout)
        for _ in range(job.runs)
    )
    return used._replace(wall=told[len(told) // 2])


def folder_of_files(job: Job) -> Iterator[Row]:
    sops, count = peer("sops"), job.number(200)
    repository = repositories.sealed_services(job.bench, "files", count, 10)
    ours = [
        job.python(repository, job.program("open.py", programs.OPEN), str(10 * count)),
        job.ours(repository, "get", "dev/service-0000", "s.secret_0000", "--reveal"),
    ]
    plain = job.bench.folder / "files.plain.yaml"
    others = []
    if sops:
        files = sops_files(sops, job.key, plain, job.bench.folder / "sops", count)
        each = f'for file in "$@"; do "{sops}" --disable-version-check decrypt "$file" || exit 1; done'
        others = [
            job.other(repository, "sh", "-c", each, "sh", *files),
            job.other(repository, sops, "--disable-version-check", "decrypt", files[0]),
        ]
    all_ours, get, *theirs = measure([*ours, *others], job.runs)
    loop, single = theirs or (None, None)
    work = f"open {count} files of 10, one fresh Python"
    yield Row(work, "sops, a process a file", all_ours, loop, "wall", "x40" if sops else "")
    yield Row("`get` of one value", "sops decrypt of a small file", get, single, "wall", "<4" if sops else "")


def starting(job: Job) -> Iterator[Row]:
    shop = job.bench.folder / "shop"
    for part in ("environments", "schemas", "trust"):
        shutil.copytree(ROOT / part, shop / part)
    shutil.copy(ROOT / "sealpipe.yaml", shop)
    bare, version, own = measure(
        [
            job.python(shop, "-c", "pass"),
            job.ours(shop, "--version"),
            job.ours(shop, "validate", "dev/checkout", "--no-cache", passing=(0, 4)),
        ],
        job.runs * 5,
    )
    yield Row("`--version`", "bare Python", version, bare, "cpu", "<1.3")
    yield Row("a command's own start (`validate` of one service)", "bare Python", own, bare, "cpu", "120 ms")


def loading(job: Job) -> Iterator[Row]:
    repository, environ = repositories.published_service(job.bench)
    values = repositories.values()
    mine = job.program("published.py", programs.published(values))
    plain = job.program("json_file.py", programs.json_file(values))
    ours, peer_used = measure(
        [
            job.python(repository, mine, environ={**job.bench.environ, **environ}),
            job.python(repository, plain),
        ],
        job.runs * 3,
    )
    yield Row(
        "`load`, signature and five secrets, `file:`", "JSON file source", ours, peer_used, "wall", "+30 ms"
    )


def shipping(job: Job) -> Iterator[Row]:
    count = job.number(1000)
    repository = repositories.plain_services(job.bench, "ship", count)
    store = repository / ".sealpipe" / "store"
    copy = job.bench.folder / "copy"
    fresh, raw = measure(
        [
            job.ours(repository, "publish", "dev", "--yes", before=lambda: shutil.rmtree(store, True)),
            job.python(
                repository,
                job.program("write.py", programs.WRITE),
                str(store),
                str(copy),
                before=lambda: shutil.rmtree(copy, True),
            ),
        ],
        min(job.runs, 3),
    )
    yield Row(
        f"publish {count:,} units to `file:`", "fsynced writes of the same bytes", fresh, raw, "wall", "<3"
    )
    file = repository / "environments" / "dev" / "service-0000.yaml"
    file.write_text(file.read_text().replace("value 0", "another"))
    (again,) = measure([job.ours(repository, "plan", "dev")], job.runs)
    yield Row(f"`plan` of {count:,} units, 1 changed", "–", again, None, "wall", "1000 ms")


def on_servers(job: Job) -> Iterator[Row]:
    import stores

    yield from stores.rows(job.scale, runs=job.runs)


def loading_from_servers(job: Job) -> Iterator[Row]:
    import stores

    yield from stores.loads(job.bench, job.runs)


def shipping_to_servers(job: Job) -> Iterator[Row]:
    import stores

    yield from stores.ships(job.bench, job.runs, job.number(1000), "<1.5")


def shipping_much(job: Job) -> Iterator[Row]:
    import stores

    yield from stores.ships(job.bench, job.runs, job.number(10_000), "<", ("etcd",))


def running(job: Job) -> Iterator[Row]:
    import live

    yield from live.rows(job.bench, job.runs, job.scale)


GROUPS: dict[str, Callable[[Job], Iterator[Row]]] = {
    "validate": validating,
    "open": opening,
    "files": folder_of_files,
    "start": starting,
    "load": loading,
    "ship": shipping,
    "stores": on_servers,
    "stores-load": loading_from_servers,
    "stores-ship": shipping_to_servers,
    "stores-ship-10k": shipping_much,
    "live": running,
}
ON_REQUEST = {"stores-ship-10k"}
"""Groups that take so long that they only run when they are named."""


if __name__ == "__main__":
    main()
