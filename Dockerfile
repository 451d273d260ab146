# The image of worker, api and every other command that serves or looks, without what only training, `eval`, the local stack
# and the tests need. With `--build-arg LOCK=requirements-train.lock` it is the image of the trainer: torch comes with it. The
# first stage installs exactly what the lock names, checked by hash and nothing beside it, and builds Reelstream with the
# setuptools of the trainer's lock; the second takes over the result, and neither setuptools nor uv nor a cache.
FROM python:3.11-slim AS build
RUN pip install --no-cache-dir uv==0.13.8
ENV UV_CACHE_DIR=/cache UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /src
RUN uv venv /opt/reelstream
ENV VIRTUAL_ENV=/opt/reelstream
ARG LOCK=requirements.lock
COPY requirements.lock requirements-train.lock ./
RUN --mount=type=cache,target=/cache uv pip install --no-deps --require-hashes -r "$LOCK"
COPY pyproject.toml README.md LICENSE reelstream.py ./
COPY streams streams
COPY agents agents
COPY model model
COPY replay replay
COPY commands commands
COPY web web
RUN --mount=type=cache,target=/cache uv pip install --no-deps --build-constraint requirements-train.lock .
# Tests of the packages, and headers to compile against, serve nobody here: 44 MB.
RUN find /opt/reelstream/lib -type d \( -name tests -o -path '*/pyarrow/include' \) -prune -exec rm -r {} +

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home reelstream && install --directory --owner=reelstream /models /keys
COPY --from=build /opt/reelstream /opt/reelstream
# glibc keeps an arena of freed memory for each thread, and raises what it keeps: 17 MB of a worker.
ENV PATH=/opt/reelstream/bin:$PATH PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072
USER 10001
WORKDIR /home/reelstream
ENTRYPOINT ["reelstream"]
