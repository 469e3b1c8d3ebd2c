"""How an installation of Loki Mode starts a server, and how to make it start this one.

Loki Mode 5 runs its dashboard with `dashboard/.venv/bin/python3` of its installation, if that can
import fastapi. Install a program of that name that answers this question and starts Loki Web.
Loki Mode 9 uses a server that runs on its port already.
"""

import os
import re
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loki_web import ROOT
from loki_web.errors import PublicError
from loki_web.store import atomic
from loki_web.store.folder import Folder

_PROGRAM = "dashboard/.venv/bin/python3"
_KEPT = ".before-loki-web"
_MARK = "Loki Web: start its server"  # in the first lines of the program
_PARTS = ("autonomy", "dashboard")  # folders of an installation
_USES_RUNNING_SERVER = 9  # from this version on
_OF_THE_USER = Path(".claude/skills/loki-mode")
# `-c "import fastapi"`, `-m dashboard.server`, `-m uvicorn dashboard.server:app --port 57374 …`;
# everything else is for a real interpreter.
_TEMPLATE = """#!/bin/sh
# Loki Web: start its server where Loki Mode starts its dashboard. Remove: loki-web uninstall
python=@PYTHON@
root=@ROOT@

case "$1 $2" in
"-c "*fastapi*) exit 0 ;;
"-m dashboard.server") shift 2 ;;
"-m uvicorn") shift 2 ;;
*)
    if [ -x "$0@KEPT@" ]; then python=$0@KEPT@; fi
    exec "$python" "$@"
    ;;
esac
while [ $# -gt 0 ]; do
    case "$1" in
    --*=*) option=${1%%=*} value=${1#*=} ;;
    --*) option=$1 value=$2 ;;
    *) option= ;;
    esac
    case "$option" in
    --host) export LOKI_DASHBOARD_HOST="$value" ;;
    --port) export LOKI_DASHBOARD_PORT="$value" ;;
    --ssl-certfile) export LOKI_TLS_CERT="$value" ;;
    --ssl-keyfile) export LOKI_TLS_KEY="$value" ;;
    esac
    shift
done
export PYTHONPATH="$root"
exec "$python" -P -m loki_web serve
"""


@dataclass(frozen=True)
class Installation:
    """An installation of Loki Mode.

    :param version: `""` if it has none.
    :param program: what starts the server of Loki Mode 5.
    :param interpreter: that of Loki Web, by the installed program; None if it is not installed.
    """

    folder: Path
    version: str
    program: Path
    interpreter: Path | None

    @property
    def uses_running_server(self) -> bool:
        """Whether a session uses the server that already runs on its port."""
        major = self.version.partition(".")[0]
        return major.isdecimal() and int(major) >= _USES_RUNNING_SERVER

    @property
    def backup(self) -> Path:
        """Where the program is kept that was there before."""
        return self.program.with_name(self.program.name + _KEPT)

    @property
    def is_current(self) -> bool:
        """Whether the program is the one that `install` would write now."""
        return self.interpreter is not None and _read(self.folder) == _build_program()


def find(folder: Path | None, home: Path, command: str | None) -> Installation | None:
    """Return the installation in a folder, else that of the command `loki`, else the user's.

    :param folder: the only place to look, if it is given.
    :param command: the path of `loki`, None if there is no such command.
    """
    candidates = [folder] if folder else [home / _OF_THE_USER]
    if command and not folder:
        candidates.insert(0, Path(command).resolve().parent.parent)  # autonomy/loki
    for candidate in candidates:
        if any((candidate / part).is_dir() for part in _PARTS):
            root = candidate.resolve()
            version = (Folder(root).text("VERSION", limit=64) or "").strip()
            return Installation(root, version, root / _PROGRAM, _find_interpreter(root))
    return None


def install(installation: Installation) -> None:
    """Make the installation start Loki Web; what was there before is kept beside it.

    :raises PublicError: if another program would be lost.
    """
    if installation.interpreter is None and os.path.lexists(installation.program):
        if os.path.lexists(installation.backup):
            raise PublicError(
                f"{installation.backup} exists: remove it, or rename it to {_PROGRAM}"
            )
        os.rename(installation.program, installation.backup)
    atomic.make_folders(str(installation.program.parent))
    atomic.write_whole(str(installation.program), _build_program().encode(), mode=0o755)


def uninstall(installation: Installation) -> None:
    """Remove the program and put back what was there before."""
    if os.path.lexists(installation.backup):
        os.replace(installation.backup, installation.program)
        return
    installation.program.unlink()
    with suppress(OSError):  # not empty: others use it
        installation.program.parent.rmdir()
        installation.program.parent.parent.rmdir()


def _build_program() -> str:
    words = {"PYTHON": shlex.quote(sys.executable), "ROOT": shlex.quote(ROOT), "KEPT": _KEPT}
    return re.sub("@([A-Z]+)@", lambda match: words[match[1]], _TEMPLATE)


def _read(root: Path) -> str:
    return Folder(root).text(_PROGRAM) or ""


def _find_interpreter(root: Path) -> Path | None:
    """Return the interpreter that the program of Loki Web starts; None for any other program."""
    lines = _read(root).splitlines()[:10]
    if not any(_MARK in line for line in lines):
        return None
    words = (shlex.split(line.partition("=")[2]) for line in lines if line.startswith("python="))
    return next((Path(word[0]) for word in words if word), Path())
