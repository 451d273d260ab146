"""Where `up` and `demo` let the API listen."""

import socket
from contextlib import suppress

from commands.parts.children import api_address


def test_a_port_that_is_taken_is_left_alone(tmp_path):
    """The API has its own port where that is free; where somebody listens there, another one, the same each time."""
    with suppress(OSError), socket.create_server(("127.0.0.1", 8080)):
        other = api_address(tmp_path)
    with suppress(OSError), socket.create_server(("127.0.0.1", 8080)):
        assert api_address(tmp_path) == other != "http://127.0.0.1:8080"
