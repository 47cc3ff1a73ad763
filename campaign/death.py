"""Real commands, killed or failed by the disk at every system call that writes.

    python campaign/death.py [CASE …] [--sample N]

Each command is traced once; then it is run again for each of its writing calls and each fault (SIGKILL,
EIO, ENOSPC), which strace injects at that call. Afterwards: every file is the old or the new one and
nothing between, no secret stands in clear anywhere below the trial's folder, home, temporary folder and
memory folder, the same command goes through, and what it says is so. Needs strace.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PIPELINE = Path(__file__).resolve().parent.parent / "pipeline"
STRACE_HINT = "strace is not here (Debian: apt-get install strace)"
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC")
CALLS = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink"),
    *("unlinkat", "mkdir", "mkdirat", "rmdir", "fchmod", "chmod", "ftruncate", "link", "linkat", "symlink"),
)
OLD, NEW = "canary-old-4711", "canary-new-0815"
SWEPT = 5.0  # seconds for what a killed command left in memory to go away
_LINE = re.compile(r"^(\w+)\((.*)$")


class Trial:
    """A copy of the repository with its owner's home: what one fault is tried on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "repo"
        self.memory, self.temporary = folder / "runtime", folder / "tmp"

    def environ(self) -> dict[str, str]:
        people = {f"GIT_{role}_NAME": "Anna" for role in ("AUTHOR", "COMMITTER")}
        people |= {f"GIT_{role}_EMAIL": "anna@example.org" for role in ("AUTHOR", "COMMITTER")}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.memory),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(PIPELINE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "EDITOR": f"sed -i s/{OLD}/{NEW}/",
            **people,
        }

    def copy(self, folder: Path) -> Trial:
        shutil.copytree(self.folder, folder, symlinks=True)
        return Trial(folder)

    def run(self, words: Sequence[str], stdin: str = "", strace: Sequence[str] = ()) -> tuple[int, str]:
        """The command in a process of its own."""
        done = subprocess.run(
            [*strace, sys.executable, "-m", "sealpipe", *words],
            cwd=self.root,
            env=self.environ(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def inside(self, words: Sequence[str], stdin: str = "", days_ago: int = 0) -> tuple[int, str]:
        """The command in a fork of this process, which saves its start; on a day in the past."""
        reading, writing = os.pipe()
        output = tempfile.TemporaryFile()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.write(writing, stdin.encode())
                os.close(writing)
                for descriptor, source in ((0, reading), (1, output.fileno()), (2, output.fileno())):
                    os.dup2(source, descriptor)
                code = self._command(words, days_ago)
            except BaseException:  # noqa: BLE001 - shown, and the fork ends
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(code)
        os.close(reading)
        os.close(writing)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        with output:
            return code, output.read().decode()

    def _command(self, words: Sequence[str], days_ago: int) -> int:
        from sealpipe.cli.main import main

        own = self.environ()
        os.environ.clear()
        os.environ.update(own)
        os.chdir(self.root)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
        if days_ago:
            real = time.time_ns
            time.time_ns = lambda: real() - days_ago * 86_400_000_000_000
        code = main(list(words))
        sys.stdout.flush()
        sys.stderr.flush()
        return code

    def ok(self, *words: str, stdin: str = "", days_ago: int = 0) -> str:
        code, said = self.inside(words, stdin, days_ago)
        assert code == 0, (words, code, said)
        return said

    def read(self, file: str) -> bytes | None:
        path = self.root / file
        return path.read_bytes() if path.exists() else None

    def files(self) -> set[str]:
        found = (path for path in self.root.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {path.relative_to(self.root).as_posix() for path in found}


class Case(NamedTuple):
    """A command, the files that it may change, and what shows that it was done."""

    words: tuple[str, ...]
    stdin: str
    changes: tuple[str, ...]
    done: Callable[[Trial], bool]


def _value(path: str, wanted: str) -> Callable[[Trial], bool]:
    return lambda trial: trial.inside(["get", "dev/checkout", path, "--reveal"])[1].strip() == wanted


FILE, SCHEMA = "environments/dev/checkout.yaml", "schemas/checkout.schema.json"
STORE = ".sealpipe/store/"
CARD_FILE = "ben.card"


def cases(base: Trial) -> dict[str, Case]:
    card = (base.root / CARD_FILE).read_text().strip()
    granted = ("trust/",)
    grant = ("keys", "grant", "ben", "dev", "--card", card, "--recovery-to", "../home/recovery.txt")
    return {
        "set": Case(("set", "dev/checkout", "db.pool_max", "40"), "", (FILE,), _value("db.pool_max", "40")),
        "seal": Case(
            ("set", "dev/checkout", "db.password", "--secret"), NEW, (FILE,), _value("db.password", NEW)
        ),
        "new": Case(("set", "dev/checkout", "db.more", "7"), "", (FILE, SCHEMA), _value("db.more", "7")),
        "edit": Case(("edit", "dev/checkout"), "", (FILE,), _value("db.password", NEW)),
        "grant": Case(grant, "", granted, lambda t: "ben" in t.ok("keys", "list", "dev")),
        "publish": Case(("publish", "dev"), "", (STORE,), _head_is_new),
        "collect": Case(("publish", "dev"), "", (STORE,), _head_is_new),
    }


def _head_is_new(trial: Trial) -> bool:
    return trial.inside(["plan", "dev", "--exit-code"])[0] == 0


def prepare(folder: Path) -> dict[str, Trial]:
    """The repository as each case finds it."""
    base = Trial(folder / "base")
    for place in (base.root, base.folder / "home", base.memory, base.temporary):
        place.mkdir(parents=True, mode=0o700)
    subprocess.run(["git", "init", "-q", "-b", "main", "--template=", str(base.root)], check=True)
    base.ok("init")
    base.ok("add", "service", "checkout", "--in", "dev")
    base.ok("set", "dev/checkout", "db.pool_max", "20")
    base.ok("set", "dev/checkout", "db.password", "--secret", stdin=OLD)
    (base.root / CARD_FILE).write_text(_card())
    base.ok("publish", "dev")
    changed = base.copy(folder / "changed")
    changed.ok("set", "dev/checkout", "db.pool_max", "30")
    full = base.copy(folder / "full")
    shutil.rmtree(full.root / ".sealpipe/store")
    for number in range(24):  # more than a store keeps, and older than a day
        full.ok("set", "dev/checkout", "db.pool_max", str(31 + number))
        full.ok("publish", "dev", days_ago=3)
    full.ok("set", "dev/checkout", "db.pool_max", "30")
    return dict.fromkeys(("set", "seal", "new", "edit", "grant"), base) | {
        "publish": changed,
        "collect": full,
    }


def _card() -> str:
    from sealpipe.crypto.keys import Identity
    from sealpipe.membership.cards import card_of

    return str(card_of("ben", Identity(bytes([7]) * 32)))


class Point(NamedTuple):
    """The n-th use of a system call by the command, and the line that strace wrote of it."""

    call: str
    number: int
    line: str


def points(case: Case, base: Trial, folder: Path) -> list[Point]:
    """Every writing call of the command below its own folder, in order."""
    trial = base.copy(folder)
    trace = folder.with_suffix(".trace")
    strace = ["strace", "-y", "-s", "0", "-o", str(trace), "-e", "trace=" + ",".join(f"?{c}" for c in CALLS)]
    code, said = trial.run(case.words, case.stdin, strace)
    assert code == 0, said
    seen: Counter[str] = Counter()
    found = []
    for line in trace.read_text().splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        call = match[1]
        seen[call] += 1
        reads = call == "openat" and not re.search(r"O_(WRONLY|RDWR|CREAT)", line)
        if not reads and str(folder) in line:
            found.append(Point(call, seen[call], line))
    shutil.rmtree(folder)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):  # which does not mind what goes away meanwhile
        yield from (Path(place, name) for name in names)


def leaks(folder: Path) -> Iterator[str]:
    """Files that hold a secret in clear, in base64 or in hex."""
    needles = []
    for secret in (OLD.encode(), NEW.encode()):
        shifted = [base64.b64encode(bytes(n) + secret)[4:-4] for n in range(3)]
        needles += [secret, secret.hex().encode(), *(part for part in shifted if len(part) > 8)]
    for path in _files(folder):
        with suppress(FileNotFoundError):  # swept meanwhile
            if path.is_file() and any(needle in path.read_bytes() for needle in needles):
                yield str(path)


def attempt(case: Case, base: Trial, folder: Path, point: Point, fault: str) -> str:
    """One fault at one call. How the command ended: old, new or unreached. Raises AssertionError."""
    trial = base.copy(folder)
    before = {file: trial.read(file) for file in sorted(trial.files())}
    inject = f"inject={point.call}:{fault}:when={point.number}"
    strace = ["strace", "-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject]
    code, said = trial.run(case.words, case.stdin, strace)
    context = (case.words[:2], fault, point, code, said[-800:])
    assert "Traceback" not in said, context
    if fault == "signal=KILL" and code == 0:
        return "unreached"
    assert OLD not in said, context
    assert NEW not in said, context
    _until_swept(folder, context)
    changed = {file for file in trial.files() | set(before) if trial.read(file) != before.get(file)}
    own = [f for f in changed if not f.startswith(case.changes) and not _passing(f)]
    assert not own, (own, context)
    assert trial.inside(["validate"])[0] == 0, (trial.inside(["validate"]), context)
    done = case.done(trial)
    assert done or code != 0, ("it said that it was done", context)
    _go_on(case, trial, context)
    shutil.rmtree(folder)
    return "new" if done else "old"


def _passing(file: str) -> bool:
    """What a dead process may leave for the next command to take away; as sealed as the files themselves."""
    name = file.rpartition("/")[2]
    return name.endswith((".tmp", ".lock", ".journal"))


def _until_swept(folder: Path, context: object) -> None:
    deadline = time.monotonic() + SWEPT
    while left := [*leaks(folder), *map(str, _files(folder / "runtime"))]:
        assert time.monotonic() < deadline, ("in clear", left, context)
        time.sleep(0.02)


def _go_on(case: Case, trial: Trial, context: object) -> None:
    """The same command goes through, as if nothing had been; a recovery key that it kept goes elsewhere."""
    words = [*case.words]
    recovery = trial.folder / "home" / "recovery.txt"
    if "--recovery-to" in words and recovery.exists() and recovery.stat().st_size:
        words[words.index("--recovery-to") + 1] = "../home/another.txt"
    code, said = trial.inside(words, case.stdin)
    assert code == 0, ("the next command", code, said, context)
    assert case.done(trial), context
    left = [file for file in trial.files() if file.endswith((".tmp", ".journal"))]
    assert not left, (left, context)
    if STORE in case.changes:
        assert trial.inside(["verify", "dev"])[0] == 0, (trial.inside(["verify", "dev"]), context)
        left = [path.name for path in (trial.root / STORE).glob(".tmp-*")]
        assert not left, (left, context)


def chosen(found: Sequence[Point], sample: int, shift: int) -> list[tuple[Point, str]]:
    """All trials of a case, or `sample` of them spread evenly over calls and faults."""
    every = [(point, fault) for point in found for fault in FAULTS]
    if not sample or sample >= len(every):
        return every
    step = len(every) / sample
    return [every[(int(index * step) + shift) % len(every)] for index in range(sample)]


def campaign(folder: Path, names: Sequence[str] = (), sample: int = 0) -> dict[str, Counter[str]]:
    """Trials by case and outcome. Raises AssertionError at the first that breaks a promise."""
    _load_everything()
    repositories = prepare(folder)
    table: dict[str, Counter[str]] = {}
    for number, (name, case) in enumerate(cases(repositories["set"]).items()):
        if names and name not in names:
            continue
        base = repositories[name]
        found = points(case, base, folder / f"trace-{name}")
        outcomes = table[name] = Counter(calls=len(found))
        for index, (point, fault) in enumerate(chosen(found, sample, number)):
            outcomes[attempt(case, base, folder / f"{name}-{index}", point, fault)] += 1
    return table


def _load_everything() -> None:
    """Import what commands import, once, so that a fork need not."""
    import importlib
    import pkgutil

    import sealpipe

    for module in pkgutil.walk_packages(sealpipe.__path__, "sealpipe."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CASE")
    parser.add_argument("--sample", type=int, default=0)
    given = parser.parse_args()
    if not shutil.which("strace"):
        print(STRACE_HINT, file=sys.stderr)
        return 1
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sealpipe-death-") as folder:
        table = campaign(Path(folder), given.names, given.sample)
    for name, outcomes in table.items():
        trials = sum(outcomes.values()) - outcomes["calls"]
        counts = ", ".join(f"{kind} {outcomes[kind]}" for kind in ("old", "new", "unreached"))
        print(f"{name:8} {outcomes['calls']:3} writing calls, {trials:4} trials: {counts}")
    print(f"death: nothing between, nothing in clear; {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(PIPELINE))
    sys.exit(main())
