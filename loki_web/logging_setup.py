"""The server's log: one line an event, as text or JSON, for all loggers.

Text of clients is escaped, so that it cannot split a line or send control sequences, and secrets
are redacted.
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
REQUEST = "request"  # attribute of a log record: the fields of a request
_IN_MESSAGE = ("method", "path", "status")  # fields that the message already contains
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

# W3C trace context: version, trace, parent, flags; later versions may append fields.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_trace_id: ContextVar[str] = ContextVar("trace_id", default="")

log = logging.getLogger(__name__)


def begin_request(sent_id: str = "", traceparent: str = "") -> str:
    """Set the ids for the log lines of this thread.

    :param sent_id: the X-Request-ID of the client or proxy.
    :param traceparent: the header of that name, whose trace id is logged.
    :return: the given id if it is valid, else a new one.
    """
    _request_id.set(sent_id if _ID.fullmatch(sent_id) else uuid.uuid4().hex)
    _trace_id.set(_parse_trace(traceparent) if traceparent else "")
    return request_id()


def end_request() -> None:
    """Remove the ids of this thread."""
    _request_id.set("")
    _trace_id.set("")


def request_id() -> str:
    """Return the id of the request that this thread handles; empty if there is none."""
    return _request_id.get()


class TextFormatter(logging.Formatter):
    """Lines for people. Tracebacks are indented, so that they cannot imitate a log line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, and its traceback in indented lines."""
        fields = _fields(record)
        line = f"{fields.pop('time')} [{fields.pop('process')}] {fields.pop('level').upper()} "
        line += f"{fields.pop('logger')}: {fields.pop('message')}"
        traceback_lines = fields.pop("exception", "").split("\n")
        line += "".join(
            f" {key}={value}" for key, value in fields.items() if value and key not in _IN_MESSAGE
        )
        return "\n    | ".join([line, *filter(None, traceback_lines)])


class JsonFormatter(logging.Formatter):
    """Lines for programs: a JSON object each, a traceback in the field `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON object of a record."""
        return json.dumps(_fields(record))


def formatter(log_format: str) -> logging.Formatter:
    """Return the formatter for a format, TEXT or JSON."""
    return JsonFormatter() if log_format == JSON else TextFormatter()


def capture_warnings_and_threads() -> None:
    """Log warnings and uncaught exceptions of threads, instead of printing them."""
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread


def _parse_trace(traceparent: str) -> str:
    """Return the trace id of a header; empty if the header is malformed."""
    match = _TRACEPARENT.match(traceparent)
    if match is None:
        return ""
    rest = traceparent[match.end() :]
    is_valid = rest.startswith("-") and not traceparent.startswith("00") if rest else True
    return match[1] if is_valid else ""


def _fields(record: logging.LogRecord) -> Json:
    fields: Json = {
        "time": isoformat(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname.lower(),
        "logger": record.name,
        "process": record.process,
        "message": _sanitize(_message(record), MAX_MESSAGE),
    }
    ids = {"request_id": request_id(), "trace_id": _trace_id.get()}
    fields.update({name: value for name, value in ids.items() if value})
    for key, value in getattr(record, REQUEST, {}).items():
        fields[key] = _sanitize(value, MAX_MESSAGE) if isinstance(value, str) else value
    if record.exc_info and record.exc_info[1]:
        fields["exception"] = _exception(record.exc_info[1])
    return fields


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # the arguments do not match the format
        return f"{record.msg} {record.args}"


def _exception(error: BaseException) -> str:
    """Return the traceback; line ends in the text of the exception are escaped."""
    formatted = traceback.TracebackException.from_exception(error)
    lines: list[str] = []
    for part in formatted.format():
        is_frame = part.startswith(("  ", "Traceback"))
        lines += part.rstrip("\n").split("\n") if is_frame else [part.strip("\n")]
    return "\n".join(_sanitize(line, MAX_MESSAGE) for line in lines if line)[:MAX_EXCEPTION]


def _sanitize(text: str, most: int) -> str:
    return printable(redact(text[: 2 * most])[:most])


def _log_end_of_thread(ended: Any) -> None:
    if ended.exc_type is not SystemExit:
        log.error("a thread has failed", exc_info=ended.exc_value)
