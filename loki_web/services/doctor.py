"""The checks behind `loki-web doctor`: the files of a session and its processes."""

import platform
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.metadata import version
from types import UnionType

from loki_web import __version__
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.session import liveness, state
from loki_web.store import files, json_text
from loki_web.store.inputs import MAX_DOCUMENT_BYTES

_STATE = ".loki"
_MAX_LISTED = 20  # paths of each kind
_LIBRARIES = ("flask", "gunicorn", "marshmallow")
_JSON, _OBJECT, _LINES, _ANY = (
    "a JSON document",
    "a JSON object",
    "a JSON object a line",
    "any text",
)

# The files of a `.loki/` and how each is written (docs/files.md, sections 3 to 16).
_PATTERNS = (
    # The first match wins. `*` also matches slashes.
    ("dashboard-state.json", _OBJECT),
    ("session.json", _OBJECT),
    ("autonomy-state.json", _OBJECT),
    ("pricing.json", _OBJECT),
    ("events.jsonl", _LINES),
    ("queue/*.json", _JSON),
    ("pids/*.json", _OBJECT),
    ("state/checkpoints/index.jsonl", _LINES),
    ("state/*.json", _JSON),
    ("state/checkpoints/*", _ANY),
    ("state/provider", _ANY),
    ("state/*.txt", _ANY),
    ("state/*.md", _ANY),
    ("metrics/*.json", _OBJECT),
    ("metrics/*.jsonl", _LINES),
    ("context/tracking.json", _OBJECT),
    ("context/last_offset.txt", _ANY),
    ("council/*.json", _OBJECT),
    ("assumptions/*.json", _OBJECT),
    ("assumptions/*.md", _ANY),
    ("decisions/decisions.jsonl", _LINES),
    ("escalations/*.md", _ANY),
    ("quality/reviews/*/aggregate.json", _OBJECT),
    ("council/*.md", _ANY),
    ("council/*.txt", _ANY),
    ("council/convergence.log", _ANY),
    ("notifications/*.json", _OBJECT),
    ("events/*.json", _OBJECT),
    ("learning/*.json", _OBJECT),
    ("memory/*.json", _JSON),
    ("memory/*.md", _ANY),
    ("memory/*.npz", _ANY),
    ("logs/audit-*.jsonl", _ANY),  # the CLI writes objects over several lines here
    ("logs/*.jsonl", _LINES),
    ("logs/*", _ANY),
    ("signals/*", _ANY),
    ("dashboard/*", _ANY),
    ("artifacts/*", _ANY),
    ("reports/*", _ANY),
    ("checklist/*", _ANY),
    ("app-runner/*", _ANY),
    ("verification/*", _ANY),
    ("quality/*", _ANY),
    ("github/*", _ANY),
    ("sandbox/*", _ANY),
    ("skills/*", _ANY),
    ("config/*", _ANY),
)
_NAMES = frozenset(
    (
        *("PAUSE", "STOP", "PAUSED.md", "HUMAN_INPUT.md", "COMPLETED", "STATUS.txt"),
        *("loki.pid", "run.pid", "session.lock", "events.jsonl.1", "config.yaml", "SKILL.md"),
        *("CONTINUITY.md", "prd-observations.md", "generated-prd.md", "quick-prd.md"),
    )
)
_TEMPORARY = (".tmp", ".lock")


@dataclass
class Diagnosis:
    """The result of a diagnosis.

    :param lines: the report, in the order in which it is printed.
    :param faults: a sentence for each fault; empty for a healthy session.
    """

    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add_fault(self, fault: str) -> None:
        """Add a fault, also to the report."""
        self.faults.append(fault)
        self.lines.append(f"  {fault}")


def diagnose(sources: Sources) -> Diagnosis:
    """Read every file of the session and report damaged and unknown files and dead processes."""
    diagnosis = Diagnosis()
    diagnosis.lines.append(_describe_versions(sources))
    _check_files(sources, diagnosis)
    _check_session(sources, diagnosis)
    return diagnosis


def _describe_versions(sources: Sources) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"Loki Web {__version__}, Python {platform.python_version()}, {libraries}; "
        f"Loki Mode {state.get_loki_mode_version(sources) or 'unknown'}"
    )


def _check_files(sources: Sources, diagnosis: Diagnosis) -> None:
    path = sources.project.path
    if not sources.project.is_folder(""):
        diagnosis.lines.append(f"{path}: there is no such folder, so no session to show")
        if not (path.parent.is_dir() or sources.settings.is_edge):
            diagnosis.add_fault(f"there is no {path.parent} either: correct LOKI_DIR")
        return
    if path.name != _STATE and sources.project.is_folder(_STATE):
        diagnosis.add_fault(f"{path} has a {_STATE}/ of its own: set LOKI_DIR to {path / _STATE}")
        return
    if files.leads_out(sources.project.path) and not sources.settings.allow_linked_dir:
        diagnosis.add_fault(
            "the state folder is a link out of the project: nothing is written to it, unless "
            "LOKI_ALLOW_LINKED_DIR=true"
        )
    total, unknown, damaged, too_large = 0, [], [], []
    for relative in sources.project.walk():
        total += 1
        form = _get_format(relative)
        if form is None:
            unknown.append(relative)
        elif form not in (_ANY, _LINES) and sources.project.is_too_large(relative):
            too_large.append(f"{relative}: more than {MAX_DOCUMENT_BYTES >> 20} MB are not read")
        elif fault := _find_fault(sources, relative, form):
            damaged.append(f"{relative}: {fault}")
    diagnosis.lines.append(
        f"{sources.project.path}: {total} files, {len(damaged)} damaged, {len(unknown)} unknown"
    )
    diagnosis.lines += _list_paths("damaged", damaged) + _list_paths("too large", too_large)
    diagnosis.lines += _list_paths("unknown", unknown)
    diagnosis.faults += damaged + too_large


def _get_format(relative: str) -> str | None:
    """Return how a file below `.loki/` is written; None when it is not a known file."""
    name = relative.rsplit("/", 1)[-1]
    if relative in _NAMES or name.startswith(".") or name.endswith(_TEMPORARY) or ".tmp." in name:
        return _ANY
    return next((form for pattern, form in _PATTERNS if fnmatchcase(relative, pattern)), None)


def _find_fault(sources: Sources, relative: str, form: str) -> str | None:
    """Return a description of the file's damage, None when it is intact."""
    if sources.project.version(relative) is None:
        return "not a regular file of this folder, or not readable"
    if form == _ANY:
        return None
    data = sources.project.consistent_copy(relative)
    if data is None:
        return f"not {form}, or not readable"
    if form == _LINES:
        bad = sum(1 for line in data.splitlines() if line.strip() and not _is_json(line, dict))
        return f"{bad} lines are not JSON objects" if bad else None
    return None if _is_json(data, dict if form == _OBJECT else list | dict) else f"not {form}"


def _is_json(data: bytes, kind: type | UnionType) -> bool:
    try:
        return isinstance(json_text.parse(data), kind)
    except json_text.Damaged:
        return False


def _check_session(sources: Sources, diagnosis: Diagnosis) -> None:
    session = liveness.get_liveness(sources)
    diagnosis.lines.append(
        f"session: {state.get_status_word(sources)}, iteration {state.get_iteration(sources)}"
        + (f", process {session.pid} is alive" if session.pid else "")
    )
    for name in liveness.PID_FILES:
        if sources.project.exists(name) and not session.alive:
            diagnosis.add_fault(f"{name} names a process that is gone: the session was killed")
    diagnosis.lines.append(f"agents running: {records.count_running(sources)}")


def _list_paths(word: str, paths: list[str]) -> list[str]:
    lines = [f"  {word}: {path}" for path in paths[:_MAX_LISTED]]
    more = len(paths) - _MAX_LISTED
    return [*lines, f"  … and {more} more"] if more > 0 else lines
