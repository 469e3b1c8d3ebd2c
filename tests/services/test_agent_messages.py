"""Messages of the AI program as text."""

from typing import Any

import pytest

from loki_web.services.logs.agent_messages import format_message


def turn(*blocks: Any, kind: str = "assistant") -> dict[str, Any]:
    return {"type": kind, "message": {"content": [*blocks]}}


def tool(name: Any = "Bash", **arguments: Any) -> dict[str, Any]:
    return turn({"type": "tool_use", "name": name, "input": arguments})


@pytest.mark.parametrize(
    ("message", "text", "level"),
    [
        (turn({"type": "text", "text": " hello "}), "hello", "INFO"),
        (turn({"type": "text", "text": "a"}, {"type": "text", "text": "b"}), "a\nb", "INFO"),
        (turn({"type": "thinking", "thinking": "hm"}), "[Thinking] hm", "INFO"),
        (turn({"type": "image"}), "[image]", "INFO"),
        (turn({"type": 5}), "[assistant]", "INFO"),
        (turn(), "[assistant]", "INFO"),
        ({"type": "user", "message": {"content": " typed "}}, "typed", "INFO"),
        ({"type": "user", "message": "odd"}, "[user]", "INFO"),
        (tool(command="ls"), "[Tool: Bash] ls", "INFO"),
        (tool("Read", file_path="a.py", command="ls"), "[Tool: Read] a.py", "INFO"),
        (tool(None), "[Tool: ?]", "INFO"),
        (
            tool("TodoWrite", todos=[{"content": "b"}, {"content": "a", "status": "in_progress"}]),
            "[Tool: TodoWrite] a",
            "INFO",
        ),
        (
            tool("Task", subagent_type="reviewer", description="look"),
            "[Agent Spawned: reviewer] look",
            "INFO",
        ),
        (
            turn({"type": "tool_result", "content": "ok"}, kind="user"),
            "[Result] ok",
            "INFO",
        ),
        (
            turn(
                {"type": "tool_result", "content": [{"text": "no"}], "is_error": True}, kind="user"
            ),
            "[Result] no",
            "WARNING",
        ),
        ({"type": "system", "subtype": "init", "model": "opus"}, "[System: init] opus", "INFO"),
        ({"type": "result"}, "[Session result: done]", "INFO"),
        ({"type": "result", "result": "all"}, "[Session result: done] all", "INFO"),
        ({"type": "result", "is_error": True}, "[Session result: done]", "ERROR"),
        ({"type": "result", "subtype": "error_x"}, "[Session result: error_x]", "ERROR"),
    ],
)
def test_a_message_is_formatted_by_its_type(message: Any, text: str, level: str) -> None:
    formatted = format_message(message)
    assert formatted is not None
    assert (formatted.text, formatted.level) == (text, level)


@pytest.mark.parametrize("message", [{}, {"type": "other"}, {"type": ["user"]}, {"type": "system"}])
def test_other_objects_are_no_messages(message: Any) -> None:
    assert format_message(message) is None
