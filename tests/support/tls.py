"""Servers that speak TLS themselves, and sockets to speak it with them."""

import contextlib
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.places import Place
from tests.support.programs import needed
from tests.support.servers import environment, free_port, start_module
from tests.support.waiting import PATIENCE_SECONDS, wait_until


def certificate(folder: Path) -> tuple[str, str]:
    """The files of a new certificate and its key."""
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    command = [
        needed("openssl", "openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-subj", "/CN=localhost", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@contextmanager
def serving_tls(
    place: Place, folder: Path, *, conf: str | Path = "gunicorn.conf.py", **settings: str
) -> Iterator[str]:
    """The host and port of a server; it has to end cleanly and without a fault in its log."""
    cert, key = certificate(folder)
    port = free_port()
    own = {"LOKI_TLS_CERT": cert, "LOKI_TLS_KEY": key, "LOKI_DASHBOARD_PORT": str(port)}
    env = environment(place, **{"LOKI_WORKERS": "1", **own, **settings})
    said = folder / "said"
    with said.open("w") as stderr:
        process = start_module(
            "gunicorn", "-c", str(conf), "wsgi:app", env=env, errors=stderr.fileno()
        )
        try:
            wait_until(lambda: process.poll() is not None or _is_reachable(port), "a TLS server")
            assert process.poll() is None, said.read_text()
            yield f"127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=PATIENCE_SECONDS)
    assert code == 0
    assert not [line for line in said.read_text().splitlines() if "ERROR" in line]


def any_certificate() -> ssl.SSLContext:
    """The settings of a client that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def secured(port: int) -> ssl.SSLSocket:
    return any_certificate().wrap_socket(
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    )


def _is_reachable(port: int) -> bool:
    with contextlib.suppress(OSError), secured(port):
        return True
    return False
