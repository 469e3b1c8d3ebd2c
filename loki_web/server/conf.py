"""gunicorn's settings, from the same LOKI_* variables as the application's.

`gunicorn.conf.py` and `loki-web serve` both use them; GUNICORN_CMD_ARGS and gunicorn's own options
stand over them.
"""

import gc
import sys
from typing import Any

import gunicorn
import gunicorn.util

from loki_web import app as _app  # noqa: F401  # before the fork: workers share it
from loki_web import logging_setup, server_clock
from loki_web.errors import SettingsError
from loki_web.live import shutdown
from loki_web.server import access_log, heap, hooks
from loki_web.server_settings import settings_of_this_server

try:
    _settings = settings_of_this_server()
except SettingsError as _error:
    sys.exit(f"loki-web: {_error}")

gunicorn.SERVER = "loki-web"  # what the Server header says, without a version
gunicorn.util.write_error = hooks.refuse  # for requests that are too broken for the application
STARTED_AT = server_clock.STARTED_AT  # taken here, before workers are forked

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
bind = [f"{_host}:{_settings.port}"]
certfile = str(_settings.tls_cert) if _settings.tls_cert else None
keyfile = str(_settings.tls_key) if _settings.tls_key else None

worker_class = "loki_web.server.worker.Worker"
workers = _settings.workers
threads = _settings.threads
timeout = 60
graceful_timeout = 10  # orchestrators kill after 10 to 30 seconds
limit_request_line = 8190
sendfile = False  # it would wait for the client
keepalive = 75  # longer than balancers keep an idle connection, else they meet closed ones

# Forwarded headers are for the application to judge, by the number of trusted proxies.
forwarded_allow_ips = ""
logger_class = access_log.speaking(_settings.log_format)
loglevel = _settings.log_level
accesslog = "-" if _settings.access_log else None
# Its socket would lie in the home directory, which may be read-only.
control_socket_disable = True


def on_starting(server: Any) -> None:
    hooks.refuse_exposure(_settings, server.cfg.address)
    hooks.sweep(_settings)
    gc.collect()
    gc.freeze()  # what is loaded by now is shared with the workers: the collector leaves it alone


def post_worker_init(worker: Any) -> None:
    shutdown.close_on_signals(worker)
    heap.limit_arenas()
    gc.freeze()
    hooks.warm(worker)


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    worker.log.handed_over(resp, req, environ)
    logging_setup.end_request()


def worker_exit(server: Any, worker: Any) -> None:
    shutdown.wait_for_goodbyes(worker)


def on_exit(server: Any) -> None:
    hooks.withdraw_pid(_settings, server.pid)
