"""`/docs` and its style sheet."""

import functools
import json
from pathlib import Path

from flask import Blueprint, Response, make_response, render_template, request
from jinja2 import FunctionLoader
from werkzeug.wrappers import Response as AnyResponse

from loki_web.web.answers import kept
from loki_web.web.api_docs.operations import groups
from loki_web.web.openapi import document

HERE = Path(__file__).parent
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'"

_STYLE, _TEMPLATE = "docs.css", "docs.html"


@functools.cache
def read_files() -> dict[str, str]:
    """Read the files of the page once, in the gunicorn master."""
    paths = HERE / "static" / _STYLE, HERE / "templates" / _TEMPLATE
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


blueprint = Blueprint("docs", __name__, url_prefix="/docs")
blueprint.jinja_loader = FunctionLoader(lambda name: read_files().get(name))


@blueprint.get(f"/static/{_STYLE}")
def style() -> AnyResponse:
    """Return the style sheet of the page."""
    response = Response(read_files()[_STYLE], mimetype="text/css")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request)


@blueprint.get("")
@kept
def show() -> Response:
    """Return the page that describes every route; it needs no JavaScript."""
    api = document()
    page = render_template(_TEMPLATE, api=api, groups=groups(api), as_json=_as_json)
    response = make_response(page)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
