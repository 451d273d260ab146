"""Redis as a server: connections, leases, and the signs of life of processes."""

__all__: list[str] = []
