"""What is told: new alerts, verdicts of the council, and the end of the session."""

import hashlib
from typing import TypedDict

from loki_web.config.parsers import ALERT, COUNCIL_VERDICT, SESSION_ENDED
from loki_web.services import council
from loki_web.services.context import Sources
from loki_web.services.notifications import notifications
from loki_web.services.session import state
from loki_web.store.coerce import Json
from loki_web.store.times import isoformat, sort_key, tidy_time

_MOST = 1000  # of each kind: the newest
_TEXT_LENGTH = 2000
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class MessageDict(TypedDict):
    """The body of a message, redacted.

    :ivar id: the same for each attempt to send it, and after a restart.
    :ivar text: for people; Slack shows it, so it is escaped as Slack wants it.
    """

    id: str
    event: str
    timestamp: str
    project: str
    text: str
    data: Json


def list_messages(sources: Sources) -> dict[str, MessageDict]:
    """Return the messages for what is in the files, by id, oldest first."""
    alerts = notifications.list_notifications(sources, acknowledged=False, limit=_MOST)
    messages = [
        _build(
            sources,
            ALERT,
            (alert["id"], alert["timestamp"]),
            alert["timestamp"],
            f"{alert['severity'].capitalize()}: {alert['message']}",
            {**alert},
        )
        for alert in sorted(alerts, key=lambda alert: sort_key(alert["timestamp"]))
    ]
    messages += [
        _build(
            sources,
            COUNCIL_VERDICT,
            (verdict["kind"], str(verdict["iteration"]), verdict["timestamp"]),
            verdict["timestamp"],
            f"The council votes to {verdict['result']} after iteration {verdict['iteration']}: "
            f"{verdict['votes_complete']} complete, {verdict['votes_continue']} continue",
            {**verdict},
        )
        for verdict in council.list_verdicts(sources, limit=_MOST)["verdicts"]
    ]
    events = sources.settings.webhook_events
    return {message["id"]: message for message in messages if message["event"] in events}


def build_end(sources: Sources, started: str) -> MessageDict:
    """Return the message for the end of the session that began at a time."""
    iteration = state.get_iteration(sources)
    text = f"The session has ended after {iteration} iterations"
    data = {
        "started_at": tidy_time(started),
        "iteration": iteration,
        "phase": state.get_phase(sources),
    }
    ended = isoformat(sources.now())
    return {
        **_build(sources, SESSION_ENDED, (), ended, text, data),
        "id": f"{SESSION_ENDED} {started}",
    }


def _build(
    sources: Sources, event: str, key: tuple[str, ...], timestamp: str, text: str, data: Json
) -> MessageDict:
    project = state.get_project_name(sources)
    return {
        "id": f"{event} {hashlib.sha256(repr(key).encode()).hexdigest()[:24]}",
        "event": event,
        "timestamp": timestamp,
        "project": project,
        "text": f"[{project}] {text}"[:_TEXT_LENGTH].translate(_ESCAPED),
        "data": data,
    }
