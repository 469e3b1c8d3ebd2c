"""gunicorn's logger: the format of all other log lines, and an access log without secrets."""

import logging
import re
import sys
from datetime import timedelta
from typing import Any, ClassVar

from gunicorn import glogging

from loki_web import logging_setup
from loki_web.server import hooks

_OWN_MARK = "_gunicorn"  # attribute that gunicorn sets on its own handlers
_QUERY = re.compile(r"\?[^\s'\"]*")
_RAW = re.compile(r"(No more data after).*", re.DOTALL)


class Logger(glogging.Logger):  # type: ignore[misc]  # the library has no types
    """:cvar log_format: TEXT or JSON, see `logging_setup`."""

    log_format: ClassVar[str] = logging_setup.TEXT

    def setup(self, cfg: Any) -> None:
        # The logger is made before gunicorn loads the class of the workers, which may be missing.
        """Set up gunicorn's loggers with our formatters, on standard error."""
        hooks.refuse_worker_class(cfg.worker_class_str)
        super().setup(cfg)
        if cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json:
            return  # the administrator configures logging
        for logger in (self.error_log, self.access_log):
            for handler in _own_handlers(logger):
                handler.setFormatter(logging_setup.formatter(self.log_format))
                if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                    handler.setStream(sys.stderr)  # one stream, so that lines keep their order
        self._configure_other_loggers()

    def access(
        self, resp: Any, req: Any, environ: Any, request_time: timedelta, status: int | None = None
    ) -> None:
        """Log one line a request, after its response was sent."""
        if not self.access_log_enabled or not (status or resp.status):
            return
        method, path = str(environ.get("REQUEST_METHOD")), _path(environ)
        status = status or int(str(resp.status).partition(" ")[0])
        fields = {
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": round(request_time.total_seconds() * 1000, 1),
            "client": environ.get("REMOTE_ADDR") or "local",  # a unix socket has none
            "user": environ.get(logging_setup.USER, ""),
        }
        self.access_log.info(
            "%s %s %s", method, path, status, extra={logging_setup.REQUEST: fields}
        )

    def log_takeover(self, resp: Any, req: Any, environ: Any) -> None:
        """Log a request whose connection the live feed has taken over (status 101 or 200).

        gunicorn does not call `access` then: the handler raised StopIteration.
        """
        if isinstance(sys.exc_info()[1], StopIteration) and resp.status is None:
            status = 101 if "HTTP_UPGRADE" in environ else 200
            self.access(resp, req, environ, timedelta(), status)

    def _configure_other_loggers(self) -> None:
        """Make all loggers use gunicorn's handlers; libraries only from level warning."""
        root = logging.getLogger()
        for handler in _own_handlers(root):
            root.removeHandler(handler)
        for handler in _own_handlers(self.error_log):
            root.addHandler(handler)
            handler.addFilter(_remove_client_data)
        root.setLevel(max(logging.WARNING, self.loglevel))
        logging.getLogger("loki_web").setLevel(self.loglevel)
        logging_setup.capture_warnings_and_threads()


def logger_class(log_format: str) -> type[Logger]:
    """Return the logger class for a format, TEXT or JSON."""
    return type("Logger", (Logger,), {"log_format": log_format})


def _own_handlers(logger: logging.Logger) -> list[logging.Handler]:
    return [handler for handler in logger.handlers if hasattr(handler, _OWN_MARK)]


def _remove_client_data(record: logging.LogRecord) -> bool:
    """Remove query strings and header values, which gunicorn repeats when it cannot parse them."""
    if record.name == "gunicorn.error":
        message = _RAW.sub(r"\1", record.getMessage())
        record.msg, record.args = _QUERY.sub("?", message), ()
    return True


def _path(environ: Any) -> str:
    """Return the path, decoded as UTF-8; the raw URI for a request that could not be parsed."""
    path = environ.get("PATH_INFO")
    if path is None:
        return _QUERY.sub("", str(environ.get("RAW_URI")))
    return str(path).encode("latin-1", "replace").decode("utf-8", "replace")
