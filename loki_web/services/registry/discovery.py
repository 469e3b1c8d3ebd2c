"""Find projects in the usual source folders of HOME (docs/files.md, section 15.1)."""

from pathlib import Path
from typing import TypedDict

from loki_web.services.context import Sources
from loki_web.services.registry import project
from loki_web.store import scan

DEFAULT_DEPTH = 3
MAX_DEPTH = 10
_SEARCHED = ("git", "projects", "code", "dev", "workspace", "src")
_SKIPPED = frozenset({"node_modules"})


def find_roots(sources: Sources, depth: int = DEFAULT_DEPTH) -> list[Path]:
    """Return the directories with a `.loki/` below the usual source folders, links resolved.

    :param depth: how many levels below these folders to search; 1 is their direct children.
    """
    home = scan.resolve(str(sources.settings.home))
    if home is None:
        return []
    return scan.find_directories(project.LOKI_DIR, home, _SEARCHED, depth=depth, skipped=_SKIPPED)


class DiscoveredDict(TypedDict):
    """A project that was found in a source folder."""

    path: str
    name: str
    has_state: bool
    has_prd: bool


def discover_projects(sources: Sources, depth: int = DEFAULT_DEPTH) -> list[DiscoveredDict]:
    """Return the projects below the usual source folders, registered or not.

    :param depth: as for `find_roots`.
    """
    return [
        {
            "path": str(root),
            "name": root.name,
            "has_state": project.has_state(root),
            "has_prd": project.has_prd(root),
        }
        for root in find_roots(sources, depth)
        if sources.allows(root)
    ]
