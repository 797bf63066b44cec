"""The port which the servers of a process have one after the other."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from aiodp.testing._port import ReservedPort


def test_nobody_listens_at_a_reserved_port_unless_it_is_lent():
    """Calls are refused at once; a server can have the port any number of times."""
    with closing(ReservedPort()) as port:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port.number))
            with port.lent() as number, socket.create_server(("127.0.0.1", number)):
                socket.create_connection(("127.0.0.1", number)).close()


def test_a_port_which_is_not_given_back():
    """The test that lent it has its end; the next one finds out whether it is free."""
    with closing(ReservedPort()) as port:
        with port.lent() as number:
            server = socket.create_server(("127.0.0.1", number))
        with port.lent(), pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", number))
        server.close()
        with port.lent(), socket.create_server(("127.0.0.1", number)):
            pass
