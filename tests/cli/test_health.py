"""`loki-web health`: one line and an exit code, for probes of containers."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loki_web.cli import loki_web
from tests.cli.commands import COMMAND, answering, is_one_complaint, run
from tests.support import places
from tests.support.places import Place
from tests.support.servers import Server, accepts, environment, free_port, serving, start
from tests.support.tls import certificate, serving_tls
from tests.support.waiting import PATIENCE_SECONDS, wait_until


def check(*arguments: str, **settings: str) -> Result:
    command = ["health", "--timeout", str(PATIENCE_SECONDS), *arguments]
    return CliRunner().invoke(loki_web, command, env=settings)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(places.empty(tmp_path_factory.mktemp("health"))) as server:
        wait_until(lambda: check(server.url).exit_code == 0, "a server that is ready")
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_server_of_the_settings_is_asked_by_default(server: Server, host: str) -> None:
    port = server.host.rpartition(":")[2]
    done = check(LOKI_DASHBOARD_HOST=host, LOKI_DASHBOARD_PORT=port)
    assert (done.exit_code, done.output) == (0, "ready\n")


@pytest.mark.parametrize(
    ("url", "arguments", "line"),
    [
        ("http://{host}", (), "ready\n"),
        ("http://{host}/", ("--live",), "live\n"),
        ("http://{host}/below/a/prefix", (), "Error: Not found\n"),
    ],
)
def test_a_server_is_named_by_its_url(
    server: Server, url: str, arguments: tuple[str, ...], line: str
) -> None:
    done = check(url.format(host=server.host), *arguments)
    assert (done.exit_code, done.output) == (line.startswith("Error"), line)


def test_a_server_without_its_folder_lives_and_is_not_ready(place: Place) -> None:
    with serving(place) as server:
        shutil.rmtree(place.loki)
        done = run(place, "health", server.url, "--timeout", str(PATIENCE_SECONDS))
        assert (is_one_complaint(done), done.returncode) == (True, 1)
        assert "The state folder is gone" in done.stderr
        assert check("--live", server.url).exit_code == 0


@pytest.mark.parametrize("is_secured", [False, True], ids=["plain", "tls"])
def test_a_unix_socket_is_asked(place: Place, tmp_path: Path, is_secured: bool) -> None:
    address, tls = f"unix:{tmp_path}/s", {}
    if is_secured:
        tls["LOKI_TLS_CERT"], tls["LOKI_TLS_KEY"] = certificate(tmp_path)
    command = [*COMMAND, "sidecar", "--bind", address]
    with start(command, env=environment(place, **tls), stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: accepts(tmp_path / "s"), "a socket")
            done = check(address, **tls)
            assert (done.exit_code, done.output) == (0, "ready\n")
        finally:
            process.terminate()
    assert "no answer from unix:" in check(address, **tls).output


def test_the_certificate_of_this_server_is_trusted_and_no_other(
    place: Place, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with serving_tls(place, tmp_path) as host:
        own = {"LOKI_TLS_CERT": str(tmp_path / "cert.pem")}
        port = {"LOKI_DASHBOARD_PORT": host.rpartition(":")[2]}
        wait_until(lambda: check(**own, **port).exit_code == 0, "a server that is ready")
        assert check(**own, **port).output == "ready\n"
        assert check(f"https://{host}", **own).output == "ready\n"
        assert check(f"https://{host}", "--cacert", own["LOKI_TLS_CERT"]).output == "ready\n"
        for settings in ({}, {"LOKI_TLS_CERT": certificate(other)[0]}):
            done = check(f"https://{host}", **settings)
            assert done.exit_code == 1
            assert "its certificate is not trusted" in done.output
        assert "no answer from http:" in check(f"http://{host}").output


def test_a_server_that_works_alone_is_not_restarted() -> None:
    body = b'{"status": "degraded", "warnings": ["Redis does not answer"]}'
    with answering(b"HTTP/1.1 200 OK\r\n\r\n" + body) as url:
        done = check(url)
    assert (done.exit_code, done.output) == (0, "degraded; Redis does not answer\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the connection was closed; if it has a certificate, use https://"),
        (b"220 mail.example ESMTP\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "(200) is not Loki Web's"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"status": "up"}', "(200) is not Loki Web's"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000, "(200) is not Loki Web's"),
        (b'HTTP/1.1 503 No\r\n\r\n{"status": "ready"}', "(503) is not Loki Web's"),
        (b'HTTP/1.1 503 No\r\n\r\n{"detail": "\x1b[2J\\u001b[2Jgone"}', "is not Loki Web's"),
    ],
)
def test_another_server_is_not_healthy(answer: bytes, reason: str) -> None:
    with answering(answer) as url:
        done = check(url)
    assert (done.exit_code, len(done.output.splitlines())) == (1, 1)
    assert reason in done.output


def test_a_server_without_tls_is_named() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        refused = check(url.replace("http:", "https:"))
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        silent = check(f"https://127.0.0.1:{listener.getsockname()[1]}", "--timeout", "0.1")
    for done in (refused, silent):
        assert (done.exit_code, len(done.output.splitlines())) == (1, 1)
        assert "no TLS handshake; if it has no certificate, use http://" in done.output


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        done = check(url, "--timeout", "0.1")
    assert (done.exit_code, "longer than 0.1 seconds" in done.output) == (1, True)


@pytest.mark.parametrize(
    "url",
    [
        *("", "foo", "/run/s", "localhost:57374", "ftp://localhost"),
        *("http://", "http://a b", "http://a..b", f"http://{'a' * 64}.example"),
    ],
)
def test_a_malformed_address_is_a_usage_error(url: str) -> None:
    done = check(url)
    assert done.exit_code == 2
    assert "http://localhost:57374, or unix:/path/of/its/socket" in done.output


def test_a_path_that_is_too_long_for_a_socket_is_told() -> None:
    done = check(f"unix:/{'a' * 200}")
    assert (done.exit_code, "too long" in done.output) == (1, True)
