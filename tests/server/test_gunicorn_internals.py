"""What we rely on of gunicorn that it does not document; each new version has to be compared."""

import inspect
import io
import re
from typing import Any

import gunicorn
import pytest
from gunicorn import arbiter, config, glogging, sock, systemd, util
from gunicorn.http import errors, parser, unreader, wsgi
from gunicorn.workers import base, gthread

from loki_web.server import worker
from tests.support.servers import ROOT


def name_of(value: Any) -> str:
    return str(getattr(value, "__qualname__", value))


SIGNATURES = [
    (util.write_error, "sock, status_int, reason, mesg"),
    (util.write_nonblock, "sock, data, chunked=False"),
    (glogging.Logger.setup, "self, cfg"),
    (glogging.Logger.access, "self, resp, req, environ, request_time"),
    (gthread.ThreadWorker.__init__, "self, *args, **kwargs"),
    (gthread.ThreadWorker.init_process, "self"),
    (gthread.ThreadWorker.handle_quit, "self, sig, frame"),
    (gthread.ThreadWorker.run, "self"),
    (gthread.ThreadWorker.accept, "self, listener"),
    (gthread.ThreadWorker.handle, "self, conn"),
    (gthread.ThreadWorker.enqueue_req, "self, conn"),
    (gthread.ThreadWorker.finish_request, "self, conn, fs"),
    (gthread.ThreadWorker.murder_pending, "self"),
    (gthread.ThreadWorker._cap_keepalive, "self, deadline"),
    (gthread.ThreadWorker._keepalive_after, "self, conn, keepalive"),
    (gthread.TConn.__init__, "self, cfg, sock, client, server"),
    (gthread.TConn.close, "self, graceful=False"),
    (parser.Parser.finish_body, "self, deadline=None, max_bytes=None"),
    (sock.create_sockets, "conf, log, fds=None"),
    (systemd.listen_fds, "unset_environment=True"),
]
# In the source of what we extend or use, because the values exist only in a running server.
USES: list[tuple[Any, str]] = [
    (gthread.ThreadWorker.__init__, r"self\.worker_connections = "),
    (gthread.ThreadWorker.__init__, r"self\.keepalived_conns = deque\(\)"),
    (gthread.ThreadWorker.__init__, r"self\.pending_conns = deque\(\)"),
    (gthread.ThreadWorker.__init__, r"self\.nr_conns = 0"),
    (gthread.ThreadWorker.init_process, r"self\.poller = selectors\."),
    (gthread.ThreadWorker.init_process, r"self\.method_queue\.init\(\)"),
    (gthread.ThreadWorker.run, r"self\.method_queue\.run_callbacks"),
    (gthread.ThreadWorker.run, r"self\.murder_pending\(\)"),
    (gthread.ThreadWorker.handle_quit, r"self\.tpool\.shutdown"),  # whose lock may be held
    (gthread.PollableMethodQueue.defer, r"self, callback, \*args"),
    (base.Worker.init_signals, r"signal\.set_wakeup_fd\(self\.PIPE\[1\]\)"),
    (
        base.Worker.handle_quit,
        r"self\.cfg\.worker_int\(self\)\s+time\.sleep\(0\.1\)\s+sys\.exit\(0\)",
    ),
    (gthread.ThreadWorker.finish_request, r"result is _DEFER and self\.alive"),
    (
        gthread.ThreadWorker.run,
        r"self\._cap_keepalive\(time\.monotonic\(\) \+ STOP_KEEPALIVE_LINGER",
    ),
    (gthread.ThreadWorker.handle, r"self\._keepalive_after\(conn, self\.handle_request"),
    (gthread.ThreadWorker.handle, r"except StopIteration"),  # ends a request without a response
    (gthread.ThreadWorker.handle_request, r"self\.cfg\.post_request\(self, req, environ, resp\)"),
    (gthread.TConn.__init__, r"self\.parser = None"),
    (gthread.TConn.__init__, r"self\.sock = sock"),
    (base.Worker.init_process, r"self\.booted = True\s+self\.run\(\)"),
    (base.Worker.handle_error, r"util\.write_error\(client, status_int, reason, mesg\)"),
    (base.Worker.load_wsgi, r"self\.wsgi = "),
    (wsgi.default_environ, r'"gunicorn\.socket": sock'),
    (wsgi.Response.__init__, r"self\.status = None"),
    (wsgi.Response.__init__, r"self\.version = SERVER"),  # a copy made at import
    (util.close, r"sock\.close\(\)"),
    (util.close_graceful, r"sock\.shutdown\(socket\.SHUT_WR\)\s+except OSError"),
    (glogging.Logger.setup, r'getattr\(handler, "_gunicorn", False\)|self\._set_handler'),
    (glogging.Logger._set_handler, r"h\._gunicorn = True"),
    (arbiter.Arbiter.__init__, r'self\.START_CTX = \{\s+"args": args'),
    (arbiter.Arbiter.reexec, r"execvpe\(self\.START_CTX\[0\], self\.START_CTX\['args'\]"),
    (arbiter.Arbiter.reexec, r"self\.cfg\.pre_exec\(self\)"),
    (arbiter.Arbiter.reexec, r"self\.reexec_pid = os\.fork\(\)"),
    (arbiter.Arbiter.spawn_workers, r"self\.spawn_worker\(\)"),
    (arbiter.Arbiter.spawn_worker, r"os\.fork\(\)"),
    (
        arbiter.Arbiter.spawn_worker,
        r"self\.cfg\.post_fork\(self, worker\)\s+worker\.init_process\(\)",
    ),
    (arbiter.Arbiter.start, r"self\.LISTENERS = sock\.create_sockets"),
    (arbiter.Arbiter.stop, r"self\.kill_workers\(sig\)\s.*\n.*\n\s+while \(self\.WORKERS or "),
    (arbiter.Arbiter.reap_workers, r"if worker is None:"),  # of a process that is no worker
    (arbiter.Arbiter.start, r"self\.cfg\.when_ready\(self\)"),
    (sock.BaseSocket.__init__, r"self\.sock = "),
    (sock.UnixSocket.bind, r"os\.umask\(self\.conf\.umask\)"),
]


@pytest.mark.parametrize(("function", "parameters"), SIGNATURES, ids=name_of)
def test_signatures_are_as_relied_upon(function: Any, parameters: str) -> None:
    assert str(inspect.signature(function)) == f"({parameters})"


@pytest.mark.parametrize(("function", "pattern"), USES, ids=name_of)
def test_names_are_used_as_relied_upon(function: Any, pattern: str) -> None:
    assert re.search(pattern, inspect.getsource(function))


def test_types_are_as_relied_upon() -> None:
    assert issubclass(errors.ParseException, Exception)
    assert isinstance(unreader.Unreader().buf, io.BytesIO)
    assert gthread._DEFER is not None
    assert isinstance(inspect.getattr_static(glogging.Logger, "access_log_enabled"), property)
    assert isinstance(inspect.getattr_static(config.Config, "worker_class_str"), property)
    assert isinstance(inspect.getattr_static(config.Config, "address"), property)
    assert isinstance(wsgi.SERVER, str)


def test_each_method_of_our_worker_that_gunicorn_calls_is_in_the_table() -> None:
    shared = vars(worker.Worker).keys() & vars(gthread.ThreadWorker).keys()
    overridden = {name for name in shared if inspect.isfunction(getattr(worker.Worker, name))}
    assert overridden == {
        function.__name__ for function, _ in SIGNATURES
        if function.__qualname__.startswith("ThreadWorker.")
    }  # fmt: skip


def test_the_version_is_pinned_to_the_one_that_was_compared() -> None:
    assert gunicorn.__version__.startswith("27.0.")
    assert "gunicorn==27.0.*\n" in (ROOT / "requirements.txt").read_text(encoding="utf-8")
