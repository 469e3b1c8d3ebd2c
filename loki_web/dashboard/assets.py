"""The files of the page, held in memory under a version made of their contents.

A path is looked up by its exact name, so none leads out of the folder.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from werkzeug.http import generate_etag

INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_VERSION_MARK = "{{version}}"
_PRELOADS_MARK = "<!-- preloads -->"
_STYLES = "css/"
STYLE = "style.css"
_PRELOADED = ("js/core/", "js/ui/")


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


def read(folder: Path) -> Assets:
    """All files of the page; those of other types than the page has are left out."""
    found = {
        path.relative_to(folder).as_posix(): Asset(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }
    digest = hashlib.sha256()
    for name, asset in found.items():
        digest.update(name.encode() + b"\0" + asset.content + b"\0")
    version = digest.hexdigest()[:16]
    index = found.pop(INDEX)
    found[STYLE] = _one_of([found.pop(name) for name in list(found) if name.startswith(_STYLES)])
    return Assets(version, Asset(_filled(index, version, found), index.content_type), found)


def _one_of(styles: list[Asset]) -> Asset:
    """The style sheets, in the order of their names, as one: the page has to wait for them."""
    return Asset(b"".join(style.content for style in styles), _TYPES[".css"])


def _filled(index: Asset, version: str, files: dict[str, Asset]) -> bytes:
    """The index with the version, and with the modules that each view needs asked for at once."""
    links = "\n".join(
        f'<link rel="modulepreload" href="assets/{version}/{name}">'
        for name in files
        if name.startswith(_PRELOADED)
    )
    text = index.content.decode().replace(_PRELOADS_MARK, links)
    return text.replace(_VERSION_MARK, version).encode()
