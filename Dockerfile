# vstack-api in a container: `docker build -t vstack .`, or buildah. Both architectures; nothing here is compiled.
# BASE is any image with CPython 3.11 or later as python3, and its venv module.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/build.txt requirements/container.txt requirements/
# Pinned code with known hashes, or none: the backend that builds our wheel, too.
RUN python3 -m venv /opt/backend \
    && /opt/backend/bin/pip install --no-cache-dir --quiet --require-hashes -r requirements/build.txt \
    && python3 -m venv /opt/vstack \
    && /opt/vstack/bin/pip install --no-cache-dir --quiet --require-hashes -r requirements/container.txt
COPY pyproject.toml README.md LICENSE ./
COPY vstack_proto vstack_proto
COPY vstack_runtime vstack_runtime
COPY vstack_mcp vstack_mcp
RUN /opt/backend/bin/pip wheel --no-cache-dir --quiet --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/vstack/bin/pip install --no-cache-dir --quiet --no-deps --no-index /dist/*.whl \
    && /opt/vstack/bin/python -m pip uninstall --quiet --yes pip setuptools

FROM ${BASE}
LABEL org.opencontainers.image.title="vstack" \
      org.opencontainers.image.description="Diagnoses runs of AI agents." \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/vstack /opt/vstack
# A number, so that Kubernetes can see that it is not root.
RUN mkdir --mode=0700 /var/lib/vstack && chown 10001:10001 /var/lib/vstack
ENV PATH=/opt/vstack/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/vstack \
    VSTACK_API_HOST=0.0.0.0 \
    VSTACK_HOME=/var/lib/vstack
USER 10001:10001
VOLUME /var/lib/vstack
EXPOSE 8000
# The service heeds SIGTERM itself, as process 1 too; it starts no program whose end somebody would have to await.
STOPSIGNAL SIGTERM
# What can be known without settings: Python, packages, patterns, and a diagnosis made offline.
RUN ["vstack-doctor", "--skip-network", "--only", "python,packages,engine"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=2 CMD ["vstack-doctor", "--only", "alive"]
CMD ["vstack-api", "serve"]
