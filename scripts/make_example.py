"""Makes the example repository's keys, signatures and sealed values anew, with keys that are thrown away.

YAML, schemas and sealpipe.yaml are kept as they stand, comments included; trust/ is written from nothing and
every secret below is sealed again, all with the program's own commands. The private keys live in a
temporary folder for as long as this runs: nobody can open the example's secrets afterwards, and nobody
needs to.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import string
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sealpipe.crypto.keys import Identity, generate_identity
from sealpipe.editing.writing import apply
from sealpipe.keyrings import keyring_data
from sealpipe.membership.keyring_edit import keyring_files, new_keyring, signed_keyring
from sealpipe.membership.root_change import edit_role
from sealpipe.membership.trust_edit import change_trust, new_trust, trust_files
from sealpipe.roots import pin_text
from sealpipe.stages.load import load
from sealpipe.trees import WorkTree
from sealpipe.trust import parse_trust, root_of

ROOT = Path(__file__).resolve().parent.parent
LETTERS = string.ascii_letters + string.digits


def word(size: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(size))


def bank(country: str) -> dict[str, str]:
    digits = "".join(secrets.choice(string.digits) for _ in range(18))
    return {"iban": f"{country}{digits[:2]}{digits}", "holder": "Example Shop"}


# document -> path -> (type, value); invented at each run.
SECRETS: dict[str, dict[str, tuple[str, object]]] = {
    "dev/checkout": {"db.password": ("str", word(20))},
    "dev/gateway": {"sessions.keys": ("array", [word(40)])},
    "dev/payments-worker": {"hsm.pin": ("int", 100_000 + secrets.randbelow(900_000))},
    "staging/_payments": {"payments.provider.api_key": ("str", word(32))},
    "staging/checkout": {"db.password": ("str", word(24))},
    "staging/gateway": {
        "sessions.keys": ("array", [word(40)]),
        "oauth.client_secret": ("str", word(32)),
    },
    "staging/mailer": {"smtp.password": ("str", word(20))},
    "staging/payments-worker": {
        "hsm.pin": ("int", 100_000 + secrets.randbelow(900_000)),
        "settlement.banks": ("object", {"nord": bank("DE")}),
    },
    "production/_all": {"tracing.token": ("str", word(32))},
    "production/_payments": {"payments.provider.secret_key": ("str", "sk_example_" + word(32))},
    "production/checkout": {"db.password": ("str", word(32))},
    "production/gateway": {
        "sessions.keys": ("array", [word(48), word(48)]),
        "oauth.client_secret": ("str", word(40)),
    },
    "production/mailer": {
        "smtp.password": ("str", word(24)),
        "dkim.private_key": ("bytes", secrets.token_bytes(138)),
    },
    "production/payments-worker": {
        "queue.password": ("str", word(24)),
        "hsm.pin": ("int", 10_000_000 + secrets.randbelow(89_999_999)),
        "settlement.banks": ("object", {"nord": bank("DE"), "atlantic": bank("GB")}),
    },
    "production/search": {"nodes[name=primary].token": ("str", word(32))},
    "production-eu/_payments": {"payments.provider.secret_key": ("str", "sk_example_" + word(32))},
    "production-eu/checkout": {"db.password": ("str", word(32))},
}
ROLES = {
    "ben": (
        *(("publishes", name) for name in ("dev", "staging")),
        *(("admin", name) for name in ("dev", "staging")),
        *((role, name) for role in ("approves", "break-glass") for name in ("production", "production-eu")),
    ),
    "carla": (("publishes", "dev"), ("approves", "production"), ("approves", "production-eu")),
}
CI = {"ci-staging": ("staging",), "ci-production": ("production", "production-eu")}
SERVICES = ("checkout", "search", "mailer", "gateway", "payments-worker")


class Shop:
    """The repository being made, and a person's surroundings to run commands in."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.home = home
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SEALPIPE_", "SOPS_"))
        }
        self.environ = {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}

    def run(self, *arguments: str, stdin: bytes = b"", key: str = "anna") -> bytes:
        """Run a command as a person; a failure ends the script with what the command said."""
        done = subprocess.run(
            [sys.executable, "-m", "sealpipe", *arguments],
            cwd=self.root,
            env={**self.environ, "SEALPIPE_KEY_FILE": str(self.home / f"{key}.txt")},
            input=stdin,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"sealpipe {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr.decode()}")
        return done.stdout

    def recovery(self) -> tuple[str, str]:
        """Where a new recovery key goes; like every private key here it is gone at the end."""
        return "--recovery-to", str(self.home / f"recovery-{secrets.token_hex(4)}.txt")

    def person(self, name: str) -> Identity:
        identity, text = generate_identity()
        file = self.home / f"{name}.txt"
        file.touch(mode=0o600)
        file.write_text(text + "\n", encoding="utf-8")
        return identity


def first_signatures(shop: Shop, anna: Identity) -> None:
    """trust.yaml and a keyring for each published environment, as `init` and `add environment` write them."""
    workspace = load(WorkTree(str(shop.root)))
    project = workspace.project
    published = [name for name in project.environments if not project.abstract(name)]
    data = new_trust(project.id, "anna", anna, published)
    trust = parse_trust(data)
    rings = []
    for environment in published:
        documents = [document.name for document in workspace.documents if document.environment == environment]
        ring = new_keyring(
            project.id, environment, sorted({"_all", *documents}), {"anna": anna.read.recipient}
        )
        rings.append(signed_keyring(keyring_data(ring), trust, [anna.sign]))
    shop.environ["SEALPIPE_TRUST"] = pin_text(project.id, root_of(trust))
    apply(str(shop.root), [*trust_files(str(shop.root), data), *keyring_files(str(shop.root), rings)])


def seal_secrets(shop: Shop) -> None:
    for document, paths in SECRETS.items():
        for path, (kind, value) in paths.items():
            data = value if isinstance(value, bytes) else str(value).encode()
            if kind in ("array", "object"):
                data = json.dumps(value).encode()
            shop.run("set", document, path, "--type", kind, "--file", "-", stdin=data)


def people_and_machines(shop: Shop, anna: Identity) -> None:
    """Ben and Carla read and approve, CI publishes, services read what they inherit."""
    everywhere = ("dev", "staging", "production", "production-eu")
    for name, reads in (("ben", everywhere), ("carla", ("dev", "staging"))):
        shop.person(name)
        card = shop.run("keys", "new", name, key=name).decode().strip()
        roles = [f"--{role}={where}" for role, where in ROLES[name]]
        shop.run("trust", "add", name, "--card", card, *roles, *shop.recovery())
        shop.run("keys", "grant", name, *reads, *shop.recovery())
    for name, environments in CI.items():
        shop.run("trust", "add", name, "--new", *(f"--publishes={where}" for where in environments))
    for environment in ("production", "production-eu"):
        shop.run("trust", "add", "anna", f"--approves={environment}", f"--break-glass={environment}")
        shop.run("trust", "admins", environment, "--protected", "--approvals=1", "--branch=main")
        for service in SERVICES:
            shop.run("connect", f"{environment}/{service}", "--key-to", str(shop.home / f"{service}.key"))
            (shop.home / f"{service}.key").unlink()
    only_ci_publishes(shop, anna)


def only_ci_publishes(shop: Shop, anna: Identity) -> None:
    """`add` gives roles; taking one away from somebody who keeps others is an edit of the roles."""

    def change(data: dict[str, Any]) -> None:
        for environment in CI["ci-production"]:
            edit_role(data["environments"][environment], "publishers", remove="anna")

    edit = change_trust(load(WorkTree(str(shop.root))), [anna.sign], change)
    apply(str(shop.root), trust_files(str(shop.root), edit.data, edit.chain))


def main() -> None:
    """Work outside git: trust made from nothing is, rightly, a fork of what is committed."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder, "shop"), Path(folder, "home"))
        shop.home.mkdir(mode=0o700)
        for part in ("schemas", "environments"):
            shutil.copytree(ROOT / part, shop.root / part)
        shutil.copy(ROOT / "sealpipe.yaml", shop.root)
        anna = shop.person("anna")
        first_signatures(shop, anna)
        seal_secrets(shop)
        people_and_machines(shop, anna)
        sys.stdout.write(shop.run("validate").decode())
        shutil.rmtree(ROOT / "trust", ignore_errors=True)
        shutil.copytree(shop.root / "trust", ROOT / "trust")
        shutil.copytree(shop.root / "environments", ROOT / "environments", dirs_exist_ok=True)
    print("wrote trust/ and environments/; commit them together")


if __name__ == "__main__":
    main()
