"""Model versions as files: written whole, found again, checked before anyone trusts them."""

__all__: list[str] = []
