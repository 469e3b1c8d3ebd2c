"""The files of a `.loki/` that are known, and how each is written (`spec` 3 to 16)."""

from fnmatch import fnmatchcase

JSON, OBJECT, LINES, ANY = "a JSON document", "a JSON object", "a JSON object a line", "any text"

_PATTERNS = (
    # First match wins. A star also stands for folders.
    ("dashboard-state.json", OBJECT),
    ("session.json", OBJECT),
    ("autonomy-state.json", OBJECT),
    ("pricing.json", OBJECT),
    ("events.jsonl", LINES),
    ("queue/*.json", JSON),
    ("pids/*.json", OBJECT),
    ("state/checkpoints/index.jsonl", LINES),
    ("state/*.json", JSON),
    ("state/checkpoints/*", ANY),
    ("state/provider", ANY),
    ("state/*.txt", ANY),
    ("state/*.md", ANY),
    ("metrics/*.json", OBJECT),
    ("metrics/*.jsonl", LINES),
    ("context/tracking.json", OBJECT),
    ("context/last_offset.txt", ANY),
    ("council/*.json", OBJECT),
    ("council/*.md", ANY),
    ("council/*.txt", ANY),
    ("council/convergence.log", ANY),
    ("notifications/*.json", OBJECT),
    ("events/*.json", OBJECT),
    ("learning/*.json", OBJECT),
    ("memory/*.json", JSON),
    ("memory/*.md", ANY),
    ("memory/*.npz", ANY),
    ("logs/audit-*.jsonl", ANY),  # objects over several lines
    ("logs/*.jsonl", LINES),
    ("logs/*", ANY),
    ("signals/*", ANY),
    ("dashboard/*", ANY),
    ("artifacts/*", ANY),
    ("reports/*", ANY),
    ("checklist/*", ANY),
    ("app-runner/*", ANY),
    ("verification/*", ANY),
    ("quality/*", ANY),
    ("github/*", ANY),
    ("sandbox/*", ANY),
    ("skills/*", ANY),
    ("config/*", ANY),
)
_NAMES = frozenset(
    (
        *(
            "PAUSE",
            "STOP",
            "PAUSED.md",
            "HUMAN_INPUT.md",
            "COMPLETED",
            "STATUS.txt",
            "CONTINUITY.md",
        ),
        *("loki.pid", "run.pid", "session.lock", "events.jsonl.1", "config.yaml", "SKILL.md"),
        *("prd-observations.md", "generated-prd.md", "quick-prd.md"),
    )
)
_PASSING = (".tmp", ".lock")


def get_format(relative: str) -> str | None:
    """How a file below `.loki/` is written; None when nothing is known of it."""
    name = relative.rsplit("/", 1)[-1]
    if relative in _NAMES or name.startswith(".") or name.endswith(_PASSING) or ".tmp." in name:
        return ANY
    for pattern, written_as in _PATTERNS:
        if fnmatchcase(relative, pattern):
            return written_as
    return None
