# The image of worker, trainer and every other command, without what only `eval`, the local stack and the tests need. The
# first stage installs exactly what requirements.lock names, checked by hash and nothing beside it (the lock leaves out a
# dependency of torch that is never loaded: see the Makefile); the second takes over the result, and neither uv nor a cache.
FROM python:3.11-slim AS build
RUN pip install --no-cache-dir uv==0.13.8
ENV UV_CACHE_DIR=/cache UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /src
RUN uv venv /opt/reelstream
ENV VIRTUAL_ENV=/opt/reelstream
COPY requirements.lock ./
RUN --mount=type=cache,target=/cache uv pip install --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE reelstream.py ./
COPY streams streams
COPY agents agents
COPY model model
COPY replay replay
COPY commands commands
COPY web web
RUN --mount=type=cache,target=/cache uv pip install --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home reelstream && install --directory --owner=reelstream /models /keys
COPY --from=build /opt/reelstream /opt/reelstream
ENV PATH=/opt/reelstream/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/reelstream
ENTRYPOINT ["reelstream"]
