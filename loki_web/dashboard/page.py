"""`/` and `/assets/<version>/…`.

All URLs in the page are relative, so it works below any path prefix of a proxy.
"""

import functools
import html
import re
from pathlib import Path
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, abort, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from loki_web import __version__
from loki_web.config.settings import Settings
from loki_web.dashboard import assets
from loki_web.dashboard.assets import Asset, Assets
from loki_web.web.access import PROJECT
from loki_web.web.answers import kept
from loki_web.web.context import server_sources

HERE = Path(__file__).parent
_EXTENSION = "loki_web.dashboard"
_FOR_EVER = "public, max-age=31536000, immutable"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; {connect}; "
    "base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# What every view reads first (`core/store.js`), requested while the modules are loaded. Not if a
# token is needed: the browser sends no Authorization header for these requests.
OTHER_PROJECTS = "api/registry/projects?include_inactive=true"
FIRST_DATA = (  # of the project in the page's address
    *("api/status", "api/tasks", "api/agents", "api/cost", "api/notifications?limit=1000"),
    *("api/context", "api/council/convergence"),
)
_PRELOAD = '<link rel="preload" as="fetch" crossorigin href="{url}">\n'
_DATA = b"{{data}}"  # where they are named in the index
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")

blueprint = Blueprint("dashboard", __name__)


def install(app: Flask, settings: Settings) -> None:
    """Add the routes of the page."""
    app.extensions[_EXTENSION] = read_assets(settings.auth_required)
    app.register_blueprint(blueprint)


@functools.cache
def read_assets(auth_required: bool) -> Assets:
    """Read the files of the page once, in the gunicorn master.

    :param auth_required: the page asks for a token first.
    """
    placeholders = {
        "release": __version__,
        "access": "token" if auth_required else "open",
    }
    return assets.read(HERE / "static", placeholders)


@blueprint.get("/")
@kept
def index() -> AnyResponse:
    """Return the page; redirect `/prefix` to `/prefix/`, for its relative URLs."""
    if request.script_root and not request.environ.get("PATH_INFO"):
        query = request.query_string.decode("latin-1")
        return redirect(f"{request.script_root}/{'?' if query else ''}{query}", 308)
    response = _response(_assets().index, "no-cache")
    is_open = not server_sources().settings.auth_required
    data = _preload_data(request.args.get(PROJECT)) if is_open else ""
    response.data = _assets().index.content.replace(_DATA, data.encode())
    response.headers["Content-Security-Policy"] = policy(request.host)
    return response


@blueprint.get("/assets/<version>/<path:name>")
@kept
def asset(version: str, name: str) -> AnyResponse:
    """Return a file of the page; 404 for another version, whose modules must not be mixed in."""
    current = _assets()
    if version != current.version or name not in current.files:
        abort(404)
    return _response(current.files[name], _FOR_EVER)


def policy(host: str) -> str:
    """Return the Content-Security-Policy: own files, the API and the WebSocket of this host.

    The WebSocket URL is listed because not every browser includes it in `'self'`.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return _POLICY.format(connect=f"connect-src 'self'{sockets}")


def _preload_data(project: str | None) -> str:
    """Return the hints for what every view reads first, of the project that the address names."""
    query = urlencode({PROJECT: project}) if project else ""
    urls = [f"{url}{'&' if '?' in url else '?'}{query}" if query else url for url in FIRST_DATA]
    return "".join(_PRELOAD.format(url=html.escape(url)) for url in (*urls, OTHER_PROJECTS))


def _response(asset: Asset, caching: str) -> Response:
    return Response(
        asset.content, content_type=asset.content_type, headers={"Cache-Control": caching}
    )


def _assets() -> Assets:
    installed: Assets = current_app.extensions[_EXTENSION]
    return installed
