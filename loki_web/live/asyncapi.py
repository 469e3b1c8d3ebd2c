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
from loki_web.web.answers import kept

_ABOUT = (
    "Changes of a session, as they happen. A connection without subscriptions gets the channels "
    "tasks and projects; after a subscription it gets the subscribed channels only. The data of a "
    "server-sent event is the same JSON as a WebSocket message. Its id identifies the state of the "
    "channels: send it as Last-Event-ID to any worker to get the missed messages, or `reset` and "
    "the whole lists if they are no longer available. A connection follows the project that is "
    "shown, or the one that it names in `subscribe` or in the parameter `project` of its address."
)
_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_NAMES = {"type": "array", "items": {"enum": list(protocol.CHANNELS)}}
_CHOICE: Json = {
    "type": "object",
    "description": "Without channels: subscribe to tasks and projects, unsubscribe from all.",
    "properties": {"channel": {"enum": list(protocol.CHANNELS)}, "channels": _NAMES},
}
_PROJECT = {
    "type": "string",
    "description": "Id, alias or path of the project to follow from now on, with all channels of "
    "the connection. Empty for the one that is shown; without it nothing changes.",
}
_KNOWN = {
    "type": "object",
    "additionalProperties": _TEXT,
    "description": "The ETags of lists that the client has, by channel, without W/ and quotes: of "
    "GET /api/tasks, /api/registry/projects?include_inactive=true, /api/notifications?limit=1000 "
    "or /api/checkpoints?limit=200. `reset` follows with the channels whose list has changed.",
}
_SUBSCRIPTION = {
    **_CHOICE,
    "properties": {
        **_CHOICE["properties"],
        protocol.PROJECT: _PROJECT,
        protocol.KNOWN: _KNOWN,
    },
}
_ADDRESS = {
    protocol.PROJECT: {
        "type": "string",
        "description": "Id, alias or path of the project to follow. 404 if it is unknown.",
    },
}
_NAMED = {"type": "string", "description": "Names of channels, separated by commas."}
_SOCKET_QUERY = {"type": "object", "properties": _ADDRESS}
_EVENTS_QUERY = {"type": "object", "properties": {"channels": _NAMED, **_ADDRESS}}


@dataclass(frozen=True)
class _Described:
    """A message type.

    :param data: the schema of `data`: a marshmallow class, a list with one, JSON Schema, or None
        for a message without data.
    """

    about: str
    data: type[Answer] | list[type[Answer]] | Json | None = None


_SENT_BY_CLIENTS = {
    "ping": _Described("Request a pong."),
    "subscribe": _Described("Subscribe to channels.", _SUBSCRIPTION),
    "unsubscribe": _Described("Unsubscribe from channels.", _CHOICE),
}
_SENT_TO_CLIENTS = {
    "connected": _Described(
        "The first message of a connection.",
        {"type": "object", "properties": {"message": _TEXT, "channels": _NAMES}},
    ),
    "pong": _Described("Response to a ping."),
    "subscribed": _Described("Confirmation, with the data of the request.", _OBJECT),
    "unsubscribed": _Described("Confirmation, with the data of the request.", _OBJECT),
    "error": _Described(
        "A message was malformed, or its project is unknown; the connection stays open.",
        {"type": "object", "properties": {"detail": _TEXT}},
    ),
    "task_created": _Described("tasks: a new task.", Task),
    "task_updated": _Described("tasks: a task changed without moving.", Task),
    "task_moved": _Described(
        "tasks: a task has another status or another order within its status. A position that "
        "changes only because other tasks came or went gives no message.",
        Task,
    ),
    "task_removed": _Described(
        "tasks: a task has been in no queue for 3 seconds; its last state. If it comes back, it is "
        "a new task.",
        Task,
    ),
    "project_created": _Described("projects: a new registered project.", Project),
    "project_removed": _Described(
        "projects: a project has been missing from the registry for 3 seconds; its last state.",
        Project,
    ),
    "status": _Described("status: after subscribing, and on each change.", Status),
    "agents": _Described("agents: all agents, after subscribing and on each change.", [Agent]),
    "log": _Described("logs: a new line of the session's log, redacted.", LogEntry),
    "notification": _Described("notifications: a new or changed notification.", Notification),
    "notification_removed": _Described(
        "notifications: a notification has been missing from its file for 3 seconds; its last "
        "state. If it comes back, it is a new notification.",
        Notification,
    ),
    "cost": _Described("cost: after subscribing, and on each change.", Cost),
    "council": _Described("council: after subscribing, and on each change.", CouncilState),
    "checkpoint": _Described("checkpoints: a new checkpoint.", Checkpoint),
    "checkpoint_removed": _Described(
        "checkpoints: a checkpoint has been missing from the list of the newest 1000 for 3 "
        "seconds; its last state.",
        Checkpoint,
    ),
    "reset": _Described(
        "The state that the client sent is unknown or no longer available. On an event stream the "
        "whole lists follow; on a WebSocket the client requests them from the API.",
        {"type": "object", "properties": {"detail": _TEXT, "channels": _NAMES}},
    ),
}
_ONLY_EVENTS = {
    "tasks": _Described("tasks, after a reset: the whole list.", [Task]),
    "projects": _Described("projects, after a reset: the whole list.", [Project]),
    "notifications": _Described("notifications, after a reset: the whole list.", [Notification]),
    "checkpoints": _Described("checkpoints, after a reset: the whole list.", [Checkpoint]),
}
_ALL = {**_SENT_BY_CLIENTS, **_SENT_TO_CLIENTS, **_ONLY_EVENTS}

blueprint = Blueprint("asyncapi", __name__)


@blueprint.get("/asyncapi.json")
@kept
def show() -> Response:
    """Return the document for the host of the request."""
    return jsonify(document(request.host, request.script_root))


def document(host: str, prefix: str = "") -> Json:
    """Return the AsyncAPI document.

    :param host: host name and port of the server, as the client sees them.
    :param prefix: the URL path below which it is served.
    """
    server = {"host": host, "pathname": prefix or "/"}
    spec = APISpec("", "", "3.1.0", plugins=[MarshmallowPlugin()])
    messages = {name: _message(name, described, spec) for name, described in _ALL.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Loki Web live feed", "version": __version__, "description": _ABOUT},
        "servers": {
            "socket": {**server, "protocol": "ws"},
            "events": {**server, "protocol": "http"},
        },
        "channels": {
            "socket": {
                **_channel("/ws", "socket", {**_SENT_BY_CLIENTS, **_SENT_TO_CLIENTS}),
                "bindings": {"ws": {"method": "GET", "query": _SOCKET_QUERY}},
            },
            "events": _channel("/api/events", "events", {**_SENT_TO_CLIENTS, **_ONLY_EVENTS}),
        },
        "operations": {
            "hear": _operation("receive", "socket", _SENT_BY_CLIENTS),
            "tell": _operation("send", "socket", _SENT_TO_CLIENTS),
            "stream": {
                **_operation("send", "events", {**_SENT_TO_CLIENTS, **_ONLY_EVENTS}),
                "bindings": {"http": {"method": "GET", "query": _EVENTS_QUERY}},
            },
        },
        "components": {"messages": messages, "schemas": spec.to_dict()["components"]["schemas"]},
    }


def _message(name: str, described: _Described, spec: APISpec) -> Json:
    payload: Json = {
        "type": "object",
        "properties": {"type": {"const": name}},
        "required": ["type"],
    }
    if described.data is not None:
        payload["properties"]["data"] = _schema(described.data, spec)
        payload["required"] = ["type", *(["data"] if name not in _SENT_BY_CLIENTS else [])]
    return {"name": name, "summary": described.about, "payload": payload}


def _schema(data: type[Answer] | list[type[Answer]] | Json, spec: APISpec) -> Any:
    if isinstance(data, dict):
        return data
    if isinstance(data, list):
        return {"type": "array", "items": _schema(data[0], spec)}
    if data.__name__ not in spec.components.schemas:
        spec.components.schema(data.__name__, schema=data)
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
