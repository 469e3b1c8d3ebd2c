"""`/asyncapi.json`: the messages of the live feed, described as AsyncAPI 3."""

from dataclasses import dataclass
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Response, jsonify, request

from loki_web import __version__
from loki_web.live import protocol
from loki_web.schemas.agents import Agent
from loki_web.schemas.base import Answer
from loki_web.schemas.checkpoints import Checkpoint
from loki_web.schemas.cost import Cost
from loki_web.schemas.council import CouncilState
from loki_web.schemas.logs import LogEntry
from loki_web.schemas.notifications import Notification
from loki_web.schemas.registry import Project
from loki_web.schemas.session import Status
from loki_web.schemas.tasks import Task
from loki_web.store.coerce import Json

_ABOUT = (
    "What changes in the files of a session, as it changes. A connection that subscribes to "
    "nothing gets the channels tasks and projects; one that subscribes gets those that it named. "
    "A server-sent event has as its data the same JSON as a WebSocket message. Its id names the "
    "state of the channels: sent back as Last-Event-ID, at any worker, it brings what was missed, "
    "or `reset` and the whole lists where that is not known any more."
)
_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_NAMES = {"type": "array", "items": {"enum": list(protocol.CHANNELS)}}
_CHOICE = {
    "type": "object",
    "description": "Without a name: the documented broadcasts to subscribe, all to unsubscribe.",
    "properties": {"channel": {"enum": list(protocol.CHANNELS)}, "channels": _NAMES},
}


@dataclass(frozen=True)
class _Described:
    """:param data: the schema of `data`: a marshmallow class, a list of one, JSON Schema, or None
    where the message has no data."""

    about: str
    data: type[Answer] | list[type[Answer]] | Json | None = None


_SENT_BY_CLIENTS = {
    "ping": _Described("Asks for a pong."),
    "subscribe": _Described("Asks for channels.", _CHOICE),
    "unsubscribe": _Described("Asks for no more of channels.", _CHOICE),
}
_SENT_TO_CLIENTS = {
    "connected": _Described(
        "The first message.",
        {"type": "object", "properties": {"message": _TEXT, "channels": _NAMES}},
    ),
    "pong": _Described("Answers a ping."),
    "subscribed": _Described("Confirms, with the data that were sent.", _OBJECT),
    "unsubscribed": _Described("Confirms, with the data that were sent.", _OBJECT),
    "error": _Described(
        "A message could not be understood; the connection goes on.",
        {"type": "object", "properties": {"detail": _TEXT}},
    ),
    "task_created": _Described("tasks: a task that was not there before.", Task),
    "task_updated": _Described("tasks: a task changed where it is.", Task),
    "task_moved": _Described(
        "tasks: a task has another status, or another place among those of its status. That others "
        "came or went before it, which changes its position, is not told.",
        Task,
    ),
    "project_created": _Described("projects: a project was registered.", Project),
    "status": _Described("status: at once, and when it changes.", Status),
    "agents": _Described("agents: all of them, at once and when one changes.", [Agent]),
    "log": _Described("logs: a new line of the session's log, redacted.", LogEntry),
    "notification": _Described("notifications: a new or changed one.", Notification),
    "cost": _Described("cost: at once, and when it changes.", Cost),
    "council": _Described("council: its state, at once and when it changes.", CouncilState),
    "checkpoint": _Described("checkpoints: a new one.", Checkpoint),
}
_ONLY_EVENTS = {
    "reset": _Described(
        "What was missed is not known any more; the whole lists follow.",
        {"type": "object", "properties": {"detail": _TEXT, "channels": _NAMES}},
    ),
    "tasks": _Described("tasks, after a reset: all of them.", [Task]),
    "projects": _Described("projects, after a reset: all of them.", [Project]),
    "notifications": _Described("notifications, after a reset: all of them.", [Notification]),
    "checkpoints": _Described("checkpoints, after a reset: all of them.", [Checkpoint]),
}
_ALL = {**_SENT_BY_CLIENTS, **_SENT_TO_CLIENTS, **_ONLY_EVENTS}

blueprint = Blueprint("asyncapi", __name__)


@blueprint.get("/asyncapi.json")
def show() -> Response:
    return jsonify(document(request.host, request.script_root))


def document(host: str, prefix: str = "") -> Json:
    """:param host: under which the server is reached, with its port.
    :param prefix: the path below which it is served.
    """
    server = {"host": host, "pathname": prefix or "/"}
    made = APISpec("", "", "3.1.0", plugins=[MarshmallowPlugin()])
    messages = {name: _message(name, one, made) for name, one in _ALL.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Loki Web live feed", "version": __version__, "description": _ABOUT},
        "servers": {
            "socket": {**server, "protocol": "ws"},
            "events": {**server, "protocol": "http"},
        },
        "channels": {
            "socket": _channel("/ws", "socket", {**_SENT_BY_CLIENTS, **_SENT_TO_CLIENTS}),
            "events": _channel("/api/events", "events", {**_SENT_TO_CLIENTS, **_ONLY_EVENTS}),
        },
        "operations": {
            "hear": _operation("receive", "socket", _SENT_BY_CLIENTS),
            "tell": _operation("send", "socket", _SENT_TO_CLIENTS),
            "stream": _operation("send", "events", {**_SENT_TO_CLIENTS, **_ONLY_EVENTS}),
        },
        "components": {"messages": messages, "schemas": made.to_dict()["components"]["schemas"]},
    }


def _message(name: str, one: _Described, made: APISpec) -> Json:
    payload: Json = {
        "type": "object",
        "properties": {"type": {"const": name}},
        "required": ["type"],
    }
    if one.data is not None:
        payload["properties"]["data"] = _schema(one.data, made)
        payload["required"] = ["type", *(["data"] if name not in _SENT_BY_CLIENTS else [])]
    return {"name": name, "summary": one.about, "payload": payload}


def _schema(data: type[Answer] | list[type[Answer]] | Json, made: APISpec) -> Any:
    if isinstance(data, dict):
        return data
    if isinstance(data, list):
        return {"type": "array", "items": _schema(data[0], made)}
    if data.__name__ not in made.components.schemas:
        made.components.schema(data.__name__, schema=data)
    return {"$ref": f"#/components/schemas/{data.__name__}"}


def _channel(address: str, server: str, messages: dict[str, _Described]) -> Json:
    return {
        "address": address,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operation(action: str, channel: str, messages: dict[str, _Described]) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }
