"""Which editor to start on a file that holds secrets, and with what, so that it leaves no copies."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

from sealpipe.errors import RefusedError, SealpipeError

# Swap, backup, undo and history files hold what was edited, outside the folder that is swept.
_VIM = (
    "-n",
    "-i",
    "NONE",
    "--cmd",
    "set noswapfile nobackup nowritebackup noundofile",
    "-c",
    "setlocal nomodeline",
)
_NVIM = ("-n", "-i", "NONE", "--cmd", "set noswapfile nobackup nowritebackup noundofile shada=")
_EMACS = ("--eval", "(setq make-backup-files nil auto-save-default nil create-lockfiles nil)")
_WAITS = {"code": "--wait", "codium": "--wait", "subl": "--wait", "zed": "--wait", "gedit": "--wait"}


def editor_words(target: str) -> list[str]:
    """The editor and its arguments: SEALPIPE_EDITOR, VISUAL, EDITOR, else one that is found.

    Raises RefusedError [no-editor] when there is none.
    """
    for name in ("SEALPIPE_EDITOR", "VISUAL", "EDITOR"):
        if os.environ.get(name, "").strip():
            return shlex.split(os.environ[name])
    for name in ("nano", "vim", "vi"):
        if shutil.which(name):
            return [name]
    raise RefusedError("no-editor", "no editor was found", hint=[f"EDITOR=nano sealpipe edit {target}"])


def hardened(words: list[str]) -> list[str]:
    """The editor's words with what keeps copies of the text away from the disk, where we know how."""
    name = _really(words[0])
    if name.startswith("nvim"):
        return [*words, *_NVIM]
    if name.startswith(("vim", "gvim", "vi.")) and "tiny" not in name:
        return [*words, *_VIM]
    if name == "emacs" or name.startswith("emacs-"):
        return [*words, *_EMACS]
    if name in _WAITS and _WAITS[name] not in words and "-w" not in words:
        return [*words, _WAITS[name]]
    return words


def _really(word: str) -> str:
    # `vi` is often vim under another name: what it links to decides.
    found = shutil.which(word)
    name = Path(word).name
    real = Path(found).resolve().name if found else name
    return real if name in ("vi", "editor", "view") else name


def run_editor(file: Path, target: str) -> None:
    """Edit `file`, which is `target`'s, and wait.

    Raises SealpipeError [editor] when the editor cannot start or ends badly.
    """
    words = hardened(editor_words(target))
    problem = ""
    # Ctrl-C belongs to the editor while it runs. A function, not SIG_IGN, which the editor would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        done = subprocess.run([*words, str(file)], check=False)
        if done.returncode:
            problem = f"{Path(words[0]).name} ended with {done.returncode}; nothing was changed"
    except OSError as error:
        problem = f"{Path(words[0]).name} cannot be started: {error.strerror}"
    finally:
        signal.signal(signal.SIGINT, before)
    if problem:
        raise SealpipeError("editor", problem, hint=[f"EDITOR=nano sealpipe edit {target}"])
