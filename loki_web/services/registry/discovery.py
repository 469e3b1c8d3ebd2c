"""Projects that nobody registered yet, looked for where people keep their code (`spec` 15.1)."""

from pathlib import Path

from loki_web.services.context import Sources
from loki_web.services.registry import project
from loki_web.store import scan
from loki_web.store.coerce import Json

DEFAULT_DEPTH = 3
MAX_DEPTH = 10
_PLACES = ("git", "projects", "code", "dev", "workspace", "src")
_SKIPPED = frozenset({"node_modules"})


def find_roots(src: Sources, depth: int = DEFAULT_DEPTH) -> list[Path]:
    """The directories with a `.loki/` below the usual places in HOME, links resolved.

    :param depth: 1 looks only directly in those places.
    """
    home = scan.resolved(str(src.settings.home))
    if home is None:
        return []
    places = [home / name for name in _PLACES]
    return scan.holding(project.LOKI_DIR, places, depth=depth, skipped=_SKIPPED)


def discover_projects(src: Sources, depth: int = DEFAULT_DEPTH) -> list[Json]:
    """What was found, whether it is registered or not."""
    return [
        {
            "path": str(root),
            "name": root.name,
            "has_state": project.has_state(root),
            "has_prd": project.has_prd(root),
        }
        for root in find_roots(src, depth)
    ]
