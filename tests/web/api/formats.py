"""What fits the formats that the document names, for schemathesis: loaded by it, no test."""

import schemathesis
from hypothesis import strategies as st

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=64)
schemathesis.openapi.format("reelstream-id", WORDS)
