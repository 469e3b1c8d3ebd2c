"""gunicorn's log lines in the form of all others, and its access log without what is secret."""

import logging
import re
import sys
from datetime import timedelta
from typing import Any, ClassVar

from gunicorn import glogging

from loki_web import logging_setup

USER = "loki_web.user"  # where the application leaves in the environ who has asked
_OWN_MARK = "_gunicorn"  # by which gunicorn knows its handlers again when it reloads
_QUERY = re.compile(r"\?[^\s'\"]*")
_RAW = re.compile(r"(No more data after).*", re.DOTALL)


class Logger(glogging.Logger):  # type: ignore[misc]  # the library has no types
    """:cvar log_format: the form of lines, see `server_log`."""

    log_format: ClassVar[str] = logging_setup.TEXT

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json:
            return  # an administrator's own arrangement
        for logger in (self.error_log, self.access_log):
            for handler in _own_handlers(logger):
                handler.setFormatter(logging_setup.formatter(self.log_format))
                if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                    handler.setStream(sys.stderr)  # one log, in its order
        self._take_in_all_others()

    def access(
        self, resp: Any, req: Any, environ: Any, request_time: timedelta, status: int | None = None
    ) -> None:
        """One line a request, when its answer is sent."""
        if not self.access_log_enabled or not (status or resp.status):
            return
        method, path = str(environ.get("REQUEST_METHOD")), _path(environ)
        status = status or int(str(resp.status).partition(" ")[0])
        told = {
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": round(request_time.total_seconds() * 1000, 1),
            "client": environ.get("REMOTE_ADDR") or "local",  # a unix socket has none
            "user": environ.get(USER, ""),
        }
        self.access_log.info("%s %s %s", method, path, status, extra={logging_setup.REQUEST: told})

    def handed_over(self, resp: Any, req: Any, environ: Any) -> None:
        """The same for a connection that goes on in the live feed, when it goes there."""
        if isinstance(sys.exc_info()[1], StopIteration) and resp.status is None:
            status = 101 if "HTTP_UPGRADE" in environ else 200
            self.access(resp, req, environ, timedelta(), status)

    def _take_in_all_others(self) -> None:
        """Where gunicorn writes, everybody writes; libraries only what is a warning."""
        root = logging.getLogger()
        for handler in _own_handlers(root):
            root.removeHandler(handler)
        for handler in _own_handlers(self.error_log):
            root.addHandler(handler)
            handler.addFilter(_without_what_was_sent)
        root.setLevel(max(logging.WARNING, self.loglevel))
        logging.getLogger("loki_web").setLevel(self.loglevel)
        logging_setup.catch_everything()


def speaking(log_format: str) -> type[Logger]:
    """The logger class for a form of lines."""
    return type("Logger", (Logger,), {"log_format": log_format})


def _own_handlers(logger: logging.Logger) -> list[logging.Handler]:
    return [handler for handler in logger.handlers if hasattr(handler, _OWN_MARK)]


def _without_what_was_sent(record: logging.LogRecord) -> bool:
    """gunicorn repeats what it cannot read; query strings and headers are no business of a log."""
    if record.name == "gunicorn.error":
        said = _RAW.sub(r"\1", record.getMessage())
        record.msg, record.args = _QUERY.sub("?", said), ()
    return True


def _path(environ: Any) -> str:
    """As UTF-8; a request that was not understood has only what was sent."""
    path = environ.get("PATH_INFO")
    if path is None:
        return _QUERY.sub("", str(environ.get("RAW_URI")))
    return str(path).encode("latin-1", "replace").decode("utf-8", "replace")
