"""`/` and `/assets/<version>/…`.

All addresses in the page are relative, so it works below any prefix that a proxy puts before it.
"""

import re
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from loki_web import __version__
from loki_web.config.settings import Settings
from loki_web.dashboard import assets
from loki_web.dashboard.assets import Asset, Assets

HERE = Path(__file__).parent
_EXTENSION = "loki_web.dashboard"
_FOR_EVER = "public, max-age=31536000, immutable"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; {connect}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")

blueprint = Blueprint("dashboard", __name__)


def install(app: Flask, settings: Settings) -> None:
    """:param settings: whether a token is needed is told to the page, to ask for it first."""
    said = {"release": __version__, "access": "token" if settings.auth_required else "open"}
    app.extensions[_EXTENSION] = assets.read(HERE / "static", said)
    app.register_blueprint(blueprint)


@blueprint.get("/")
def index() -> AnyResponse:
    """The page; one asked for as `/prefix` is sent to `/prefix/`, where its addresses begin."""
    if request.script_root and not request.environ.get("PATH_INFO"):
        return redirect(f"{request.script_root}/", 308)
    response = _response(_assets().index, "no-cache")
    response.headers["Content-Security-Policy"] = policy(request.host)
    return response


@blueprint.get("/assets/<version>/<path:name>")
def asset(version: str, name: str) -> AnyResponse:
    """A file of the page. One of another version is not there, whatever it was."""
    known = _assets()
    if version != known.version or name not in known.files:
        abort(404)
    return _response(known.files[name], _FOR_EVER)


def policy(host: str) -> str:
    """What the page may do: nothing but its own files, the API and, on the same host, the socket.

    The socket's address is named because not every browser counts it to `'self'`.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return _POLICY.format(connect=f"connect-src 'self'{sockets}")


def _response(found: Asset, caching: str) -> AnyResponse:
    response = Response(found.content, content_type=found.content_type)
    response.headers["Cache-Control"] = caching
    response.set_etag(found.etag)
    return response.make_conditional(request)


def _assets() -> Assets:
    found: Assets = current_app.extensions[_EXTENSION]
    return found
