"""The files of the page, in memory, under a version computed from their contents.

Files are looked up by exact name, so a path cannot lead out of the folder.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

INDEX = "index.html"
STYLE, STYLE_OF_VIEWS = "style.css", "views.css"  # all of `css/`, and of `css/views/`
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FIRST_VIEW = ("js/app.js", "js/views/now.js")
_IMPORT = re.compile(r"""^(?:import|export)\b[^'";=]*'(\.[^']+)';""", re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """A static file with its content type."""

    content: bytes
    content_type: str


@dataclass(frozen=True)
class Assets:
    """The files of the page.

    :param version: changes whenever any of the files does.
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
    preloads = "\n".join(
        f'<link rel="modulepreload" href="assets/{version}/{name}">'
        for name in imported(texts, FIRST_VIEW)
    )
    values = {"version": version, "preloads": preloads, **(placeholders or {})}
    for name, text in values.items():
        index = index.replace(f"{{{{{name}}}}}", text)
    styles = {name: texts.pop(name) for name in list(texts) if name.endswith(".css")}
    texts[STYLE_OF_VIEWS] = _joined(styles, "css/views/")
    texts[STYLE] = _joined(styles, "css/")
    return Assets(
        version, _asset(INDEX, index), {name: _asset(name, texts[name]) for name in texts}
    )


def imported(texts: Mapping[str, str], first: Iterable[str]) -> list[str]:
    """Return modules and all modules that they import statically, in the order of first use.

    The result is only used for preload hints: a module that is missing here is loaded later.

    :param texts: the texts of the modules by path.
    """
    modules: dict[str, None] = {}
    pending = list(first)
    while pending:
        name = pending.pop(0)
        if name in modules or name not in texts:
            continue
        modules[name] = None
        folder = posixpath.dirname(name)
        pending += [
            posixpath.normpath(posixpath.join(folder, specifier))
            for specifier in _IMPORT.findall(texts[name])
        ]
    return list(modules)


def _joined(styles: dict[str, str], folder: str) -> str:
    """Return the styles of a folder as one, and remove them from those that are left."""
    return "".join(styles.pop(name) for name in list(styles) if name.startswith(folder))


def _asset(name: str, text: str) -> Asset:
    return Asset(text.encode(), _TYPES[Path(name).suffix])
