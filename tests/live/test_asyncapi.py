"""The description of the live feed: sound, complete, and what is really sent."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from loki_web.live import protocol
from tests.live.clients import Message, listening, streaming
from tests.support.places import Place
from tests.support.servers import serving


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/asyncapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references(item)]
    return []


def resolved(document: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_the_document_is_asyncapi_3(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    assert {one["address"] for one in document["channels"].values()} == {"/ws", "/api/events"}
    assert all(one["action"] in ("send", "receive") for one in document["operations"].values())
    for server in document["servers"].values():
        assert {"host", "protocol"} <= set(server)


def test_each_host_and_prefix_is_told_its_own_address(client: FlaskClient) -> None:
    for host, prefix in (("localhost", ""), ("127.0.0.1:9", ""), ("localhost", "/x")) * 2:
        base = f"http://{host}{prefix}"
        answer = client.get("/asyncapi.json", base_url=base)
        server = answer.get_json()["servers"]["socket"]
        assert (server["host"], server["pathname"]) == (host, prefix or "/")


def test_everything_that_is_referred_to_is_there(document: dict[str, Any]) -> None:
    for reference in references(document):
        assert isinstance(resolved(document, reference), dict)


def test_every_schema_is_json_schema(document: dict[str, Any]) -> None:
    for message in document["components"]["messages"].values():
        Draft202012Validator.check_schema(message["payload"])


def test_messages_of_the_reference_are_described(document: dict[str, Any]) -> None:
    assert {
        *("connected", "ping", "pong", "subscribe", "subscribed"),
        *("task_created", "task_updated", "task_moved", "project_created"),
    } <= set(document["channels"]["socket"]["messages"])


def validate(document: dict[str, Any], channel: str, message: Message) -> None:
    """The message is one of those described for this channel, and has its shape."""
    assert message["type"] in document["channels"][channel]["messages"]
    payload = document["components"]["messages"][message["type"]]["payload"]
    Draft202012Validator({**payload, "components": document["components"]}).validate(message)


def test_each_message_of_a_session_is_described(session: Place, document: dict[str, Any]) -> None:
    every = ",".join(protocol.CHANNELS)
    with (
        serving(session) as server,
        listening(server, *protocol.CHANNELS) as client,
        streaming(server, f"/api/events?channels={every}", Last_Event_ID="unknown") as stream,
    ):
        session.write("queue/pending.json", [{"id": "new"}, {"payload": "no id", "priority": 9}])
        session.write("notifications/active.json", {"notifications": [{"id": "n1"}]})
        session.write("state/checkpoints/cp-9-1771578999/metadata.json", {"id": "cp-9-1771578999"})
        session.write("state/agents.json", [{"agent_id": "x", "pid": "5"}])
        session.write("council/state.json", {"enabled": True, "verdicts": []})
        session.write("metrics/efficiency/iteration-8.json", {"cost_usd": 1})
        with (session.loki / "logs/agent.log").open("a") as log:
            log.write("[WARN] careful\n")
        path = str(session.loki.parent)
        assert server.post("/api/registry/projects", json={"path": path}).status_code == 201
        client.say("nonsense")
        client.say({"type": "ping"})
        heard = client.hear_rest(*protocol.CHANNELS)
        assert server.end() == 0
        streamed = stream.hear_to_end()
    for message in heard:
        validate(document, "socket", message)
    for message in streamed:
        validate(document, "events", message)
    values = {"status", "agents", "cost", "council", "log", "notification", "checkpoint"}
    assert values | {"task_created", "error", "pong"} <= {one["type"] for one in heard}
    lists = {"reset", "tasks", "projects", "notifications", "checkpoints"}
    assert lists <= {one["type"] for one in streamed}
