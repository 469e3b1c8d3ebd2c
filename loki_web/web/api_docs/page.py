"""`/docs` with its style sheet and script."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, make_response, render_template, request
from jinja2 import FunctionLoader
from markupsafe import Markup, escape
from werkzeug.wrappers import Response as AnyResponse

from loki_web.store.coerce import Json
from loki_web.web.answers import kept
from loki_web.web.api_docs.operations import groups, messages
from loki_web.web.openapi import document

HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_STYLE, _SCRIPT, _TEMPLATE = "docs.css", "docs.js", "docs.html"
_CODE = re.compile(r"`([^`]+)`")
_EXTENSION = "loki_web.docs"


@functools.cache
def read_files() -> dict[str, str]:
    """Read the files of the page once, in the gunicorn master."""
    files = HERE / "static"
    paths = files / _STYLE, files / _SCRIPT, HERE / "templates" / _TEMPLATE
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


blueprint = Blueprint("docs", __name__, url_prefix="/docs")
blueprint.jinja_loader = FunctionLoader(lambda name: read_files().get(name))


def install(app: Flask, describe_feed: Callable[[str], Json]) -> None:
    """Add the page.

    :param describe_feed: returns the AsyncAPI document for a host.
    """
    app.extensions[_EXTENSION] = describe_feed
    app.register_blueprint(blueprint)


@blueprint.get(f"/static/{_STYLE}")
def style() -> AnyResponse:
    """Return the style sheet of the page."""
    return _send(_STYLE, "text/css")


@blueprint.get(f"/static/{_SCRIPT}")
def script() -> AnyResponse:
    """Return the script of the page."""
    return _send(_SCRIPT, "text/javascript")


def _send(name: str, kind: str) -> AnyResponse:
    response = Response(read_files()[name], mimetype=kind)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request)


@blueprint.get("")
@kept
def show() -> Response:
    """Return the page that describes every route and message; reading it needs no JavaScript."""
    api, feed = document(), current_app.extensions[_EXTENSION]("")
    page = render_template(
        _TEMPLATE,
        api=api,
        groups=groups(api),
        feed=feed["info"]["description"],
        messages=messages(feed),
        as_json=_as_json,
        marked=mark,
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def mark(text: str) -> Markup:
    """Return a text as HTML: words in backticks as code, a paragraph for each empty line."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    marked = [_CODE.sub(r"<code>\1</code>", str(escape(part))) for part in paragraphs]
    return Markup("<br><br>".join(marked))  # noqa: S704  # escaped above


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
