"""What the tests of the web share with those of whole processes: an installation of their own."""

from tests.broker.conftest import forker, install, until

__all__ = ["forker", "install", "until"]
