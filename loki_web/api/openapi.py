"""The API described by itself: the OpenAPI document comes from the schemas of the routes."""

from collections.abc import Iterable
from typing import Any

import flask_smorest
from flask import Flask, Response, current_app, jsonify, request
from werkzeug.routing import PathConverter

from loki_web import __version__
from loki_web.api.blueprint import Blueprint
from loki_web.api.converters import Anything
from loki_web.schemas.base import Error
from loki_web.store.shapes import Json

_EXTENSION = "loki_web.openapi"
_ABOUT = (
    "Watch and steer a Loki Mode session. Everything is read from the session's files, so an "
    'answer is as fresh as they are. Every error is `{"detail": "sentence"}`. Objects may carry '
    "more fields than are named here."
)
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token, asked for when LOKI_ENTERPRISE_AUTH or OIDC is on",
}


class _Api(flask_smorest.Api):  # type: ignore[misc]  # the library has no types
    ERROR_SCHEMA = Error

    def _register_error_handlers(self) -> None:
        """The library's would replace ours."""

    def _register_pagination_header(self) -> None:
        """Lists are plain arrays, without a header about pages."""


def install(app: Flask, blueprints: Iterable[Blueprint]) -> None:
    """Register the blueprints and `/openapi.json`, which describes them."""
    app.config.update(
        API_TITLE="Loki Web",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=None,
    )
    app.url_map.converters["anything"] = Anything
    described = _Api(app, spec_kwargs={"info": {"description": _ABOUT}})
    described.register_converter(PathConverter, _path_parameter)
    described.spec.components.security_scheme("bearer", _BEARER)
    described.spec.options["security"] = [{}, {"bearer": []}]
    for blueprint in blueprints:
        described.register_blueprint(blueprint)
    app.extensions[_EXTENSION] = described
    app.add_url_rule("/openapi.json", "openapi", _document)


def describe(app: Flask, endpoint: str, tag: Json, operations: Json) -> None:
    """Add a route that no blueprint has, under a tag of its own."""
    spec = app.extensions[_EXTENSION].spec
    spec.tag(tag)
    tagged = {method: {**about, "tags": [tag["name"]]} for method, about in operations.items()}
    spec.path(rule=next(app.url_map.iter_rules(endpoint)), operations=tagged)


def document() -> Json:
    """The OpenAPI 3.1 document of the application at hand, as seen by the request at hand."""
    found: Json = current_app.extensions[_EXTENSION].spec.to_dict()
    return {**found, "servers": [{"url": request.script_root or "/"}]}


def _document() -> Response:
    return jsonify(document())


def _path_parameter(_: PathConverter) -> dict[str, Any]:
    return {"type": "string", "minLength": 1}
