"""From profiles to lists: who is answered by which recommender, within which time."""

__all__: list[str] = []
