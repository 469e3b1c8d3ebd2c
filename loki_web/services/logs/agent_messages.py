"""Formatting of the AI program's stream messages (one JSON object per line) as text."""

from dataclasses import dataclass
from typing import Any

from loki_web.store.coerce import Json, as_dict, as_list, dicts_in, first_text

_TARGET_KEYS = (
    *("file_path", "notebook_path", "path", "command", "pattern", "url", "query"),
    *("description", "skill", "prompt"),
)
_IN_PROGRESS = "in_progress"


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """A formatted message.

    :param level: INFO, WARNING or ERROR.
    """

    text: str
    level: str = "INFO"


def format_message(message: Json) -> AgentMessage | None:
    """Return the text and level of a message, None for any other object."""
    kind = message.get("type")
    if kind in ("assistant", "user"):
        return _format_turn(kind, as_dict(message.get("message")).get("content"))
    if kind == "system" and isinstance(message.get("subtype"), str):
        return AgentMessage(
            _add_label(f"System: {message['subtype']}", first_text(message.get("model")))
        )
    if kind == "result":
        outcome = first_text(message.get("subtype"), default="done")
        failed = message.get("is_error") is True or outcome.startswith("error")
        text = _add_label(f"Session result: {outcome}", first_text(message.get("result")))
        return AgentMessage(text, "ERROR" if failed else "INFO")
    return None


def _format_turn(kind: str, content: Any) -> AgentMessage:
    if isinstance(content, str):
        return AgentMessage(content.strip() or f"[{kind}]")
    blocks = dicts_in(content)
    texts = [text for text in map(_format_block, blocks) if text]
    failed = any(block.get("is_error") is True for block in blocks)
    return AgentMessage("\n".join(texts) or f"[{kind}]", "WARNING" if failed else "INFO")


def _format_block(block: Json) -> str:
    kind = block.get("type")
    if kind == "text":
        return first_text(block.get("text")).strip()
    if kind == "thinking":
        return _add_label("Thinking", first_text(block.get("thinking")))
    if kind == "tool_use":
        return _format_tool_use(
            first_text(block.get("name"), default="?"), as_dict(block.get("input"))
        )
    if kind == "tool_result":
        return _add_label("Result", _get_result_text(block.get("content")))
    return f"[{kind}]" if isinstance(kind, str) else ""


def _format_tool_use(name: str, arguments: Json) -> str:
    agent_type = arguments.get("subagent_type")
    if isinstance(agent_type, str):
        return _add_label(f"Agent Spawned: {agent_type}", first_text(arguments.get("description")))
    todos = dicts_in(arguments.get("todos"))
    current = next((todo.get("content") for todo in todos if _is_current(todo)), None)
    return _add_label(f"Tool: {name}", first_text(*map(arguments.get, _TARGET_KEYS), current))


def _is_current(todo: Json) -> bool:
    return todo.get("status") == _IN_PROGRESS


def _get_result_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(first_text(part.get("text")) for part in dicts_in(as_list(content)))


def _add_label(label: str, text: str) -> str:
    return f"[{label}] {text.strip()}".rstrip()
