"""The API described by itself: the OpenAPI document comes from the schemas of the routes."""

from collections.abc import Iterable
from typing import Any

import flask_smorest
from flask import Flask, Response, current_app, jsonify
from werkzeug.routing import PathConverter

from loki_web import __version__
from loki_web.api.blueprint import Blueprint

EXTENSION = "loki_web.openapi"
_ABOUT = 'Watch and steer a Loki Mode session. Every error is `{"detail": "sentence"}`.'


class _Api(flask_smorest.Api):  # type: ignore[misc]  # the library has no types
    def _register_error_handlers(self) -> None:
        """The library's would replace ours."""


def install(app: Flask, blueprints: Iterable[Blueprint]) -> None:
    """Register the blueprints and `/openapi.json`, which describes them."""
    app.config.update(
        API_TITLE="Loki Web",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=None,
    )
    described = _Api(app, spec_kwargs={"info": {"description": _ABOUT}})
    described.register_converter(PathConverter, _path_parameter)
    for blueprint in blueprints:
        described.register_blueprint(blueprint)
    app.extensions[EXTENSION] = described
    app.add_url_rule("/openapi.json", "openapi", _document)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the application at hand."""
    found: dict[str, Any] = current_app.extensions[EXTENSION].spec.to_dict()
    return found


def _document() -> Response:
    return jsonify(document())


def _path_parameter(_: PathConverter) -> dict[str, Any]:
    return {"type": "string", "minLength": 1}
