"""From profiles to lists: who is answered by which recommender, within which time; and how a version comes to serve."""

__all__: list[str] = []
