"""`/docs` and its style sheet."""

import json
from pathlib import Path

from flask import Blueprint, Response, make_response, render_template

from loki_web.web.api_docs.operations import groups
from loki_web.web.openapi import document

HERE = Path(__file__).parent
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'"

blueprint = Blueprint(
    "docs", __name__, url_prefix="/docs", template_folder="templates", static_folder="static"
)


@blueprint.get("")
def show() -> Response:
    """Return the page that describes every route; it needs no JavaScript."""
    api = document()
    page = render_template("docs.html", api=api, groups=groups(api), as_json=_as_json)
    response = make_response(page)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
