"""The files of the page, in memory, under a version computed from their contents.

Files are looked up by exact name, so a path cannot lead out of the folder.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from werkzeug.http import generate_etag

from loki_web.dashboard import linking

INDEX = "index.html"
STYLE = "style.css"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FIRST = "js/app.js"
_SHARED = ("js/core/", "js/ui/", "js/views.js")
_BEFORE_PAINT = "js/theme.js"


@dataclass(frozen=True)
class Asset:
    content: bytes
    content_type: str

    @property
    def etag(self) -> str:
        return generate_etag(self.content)


@dataclass(frozen=True)
class Assets:
    """:param version: changes whenever any of the files does.
    :param files: by their path below the folder, without the index.
    """

    version: str
    index: Asset
    files: dict[str, Asset]


def read(folder: Path, placeholders: Mapping[str, str] | None = None) -> Assets:
    """Read all files of the page as they are served.

    :param placeholders: values of further placeholders in the index, by name.
    """
    texts = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }
    digest = hashlib.sha256()
    for name, text in texts.items():
        digest.update(f"{name}\0{text}\0".encode())
    version = digest.hexdigest()[:16]
    index = texts.pop(INDEX)
    for name, text in {"version": version, **(placeholders or {})}.items():
        index = index.replace(f"{{{{{name}}}}}", text)
    served = {
        **{name: text for name, text in texts.items() if name.endswith(".svg")},
        STYLE: "".join(text for name, text in texts.items() if name.endswith(".css")),
        **_scripts(texts),
    }
    return Assets(
        version, _asset(INDEX, index), {name: _asset(name, served[name]) for name in served}
    )


def _scripts(texts: dict[str, str]) -> dict[str, str]:
    scripts = {name: text for name, text in texts.items() if name.endswith(".js")}
    alone = scripts.pop(_BEFORE_PAINT)
    return {_BEFORE_PAINT: alone, **_linked(tuple(scripts.items()))}


@lru_cache(maxsize=1)
def _linked(scripts: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Join the modules once for all applications of a process: they have the same contents."""
    return linking.linked(dict(scripts), _FIRST, _SHARED)


def _asset(name: str, text: str) -> Asset:
    return Asset(text.encode(), _TYPES[Path(name).suffix])
