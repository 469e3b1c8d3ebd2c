"""The server's log: one line an event, as text or JSON, whoever writes it.

What a client sent can neither split a line nor colour it, and no secret gets into one.
"""

import json
import logging
import re
import threading
import traceback
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from loki_web.services.redaction import redact
from loki_web.store.coerce import Json
from loki_web.store.times import isoformat
from loki_web.text import printable

TEXT, JSON = "text", "json"
MAX_MESSAGE, MAX_EXCEPTION = 8_000, 32_000  # characters
USER = "loki_web.user"  # key of the WSGI environ: the user name for the access log
REQUEST = "request"  # attribute of a record: what it tells of a request, by field
_IN_MESSAGE = ("method", "path", "status")  # fields that the message of such a record has already
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

_request_id: ContextVar[str] = ContextVar("request_id", default="")

log = logging.getLogger(__name__)


def begin_request(given: str = "") -> str:
    """What this thread logs from now on belongs to a request.

    :param given: the id that somebody before us gave it.
    :return: its id: the given one where that is one, else a new one.
    """
    _request_id.set(given if _ID.fullmatch(given) else uuid.uuid4().hex)
    return request_id()


def end_request() -> None:
    _request_id.set("")


def request_id() -> str:
    """The id of the request that this thread works on; empty where there is none."""
    return _request_id.get()


class TextFormatter(logging.Formatter):
    """For people. The lines of a traceback are indented, so that none can pass for another."""

    def format(self, record: logging.LogRecord) -> str:
        told = _fields(record)
        line = f"{told.pop('time')} [{told.pop('process')}] {told.pop('level').upper()} "
        line += f"{told.pop('logger')}: {told.pop('message')}"
        traceback_lines = told.pop("exception", "").split("\n")
        line += "".join(
            f" {key}={value}" for key, value in told.items() if value and key not in _IN_MESSAGE
        )
        return "\n    | ".join([line, *filter(None, traceback_lines)])


class JsonFormatter(logging.Formatter):
    """For programs: an object a line, a traceback in one of its fields."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record))


def formatter(form: str) -> logging.Formatter:
    """:param form: TEXT or JSON."""
    return JsonFormatter() if form == JSON else TextFormatter()


def catch_everything() -> None:
    """Let what would be printed past the log go into it: warnings, and ends of threads."""
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread


def _fields(record: logging.LogRecord) -> Json:
    told: Json = {
        "time": isoformat(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname.lower(),
        "logger": record.name,
        "process": record.process,
        "message": _tidied(_message(record), MAX_MESSAGE),
    }
    if request_id():
        told["request_id"] = request_id()
    for key, value in getattr(record, REQUEST, {}).items():
        told[key] = _tidied(value, MAX_MESSAGE) if isinstance(value, str) else value
    if record.exc_info and record.exc_info[1]:
        told["exception"] = _exception(record.exc_info[1])
    return told


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # its words do not go with its arguments
        return f"{record.msg} {record.args}"


def _exception(error: BaseException) -> str:
    """The traceback, its own line ends kept and those in the exception's text escaped."""
    told = traceback.TracebackException.from_exception(error)
    lines: list[str] = []
    for part in told.format():
        is_frame = part.startswith(("  ", "Traceback"))
        lines += part.rstrip("\n").split("\n") if is_frame else [part.strip("\n")]
    return "\n".join(_tidied(line, MAX_MESSAGE) for line in lines if line)[:MAX_EXCEPTION]


def _tidied(text: str, most: int) -> str:
    return printable(redact(text[: 2 * most])[:most])


def _log_end_of_thread(ended: Any) -> None:
    if ended.exc_type is not SystemExit:
        log.error("a thread has ended", exc_info=ended.exc_value)
