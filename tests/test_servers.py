"""The ports that tests give to their servers."""

import socket

import pytest

from tests.support.servers import free_port


def test_a_port_is_given_to_one_server_only() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    for port in ports:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


def test_the_server_that_a_port_is_for_can_listen_there() -> None:
    with socket.create_server(("127.0.0.1", free_port())):  # it sets SO_REUSEADDR, as servers do
        pass
