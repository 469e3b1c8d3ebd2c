from flask import Blueprint, Response, jsonify

blueprint = Blueprint("asyncapi", __name__)


@blueprint.get("/asyncapi.json")
def document() -> Response:
    return jsonify({})
