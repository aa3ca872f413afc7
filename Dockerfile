# One image for every service, the command `treeward` and nats-server; the workload says which it is.
#
#   docker build -t treeward:0.1.0 .
#   buildah bud --build-arg BASE=localhost/py-base:1 -t treeward:0.1.0 .     # offline, on any base with Python 3.11
#
# The base is pinned by the digest of its index (all architectures), so that the same commit gives the same image.
ARG BASE=docker.io/library/python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1

FROM ${BASE} AS build
WORKDIR /source
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-services.lock ./
# Two environments: one that can build, which stays here, and one that only has what runs.
RUN python3 -m venv /build && /build/bin/pip install --quiet --require-hashes -r requirements.lock \
 && python3 -m venv /opt/treeward \
 && /opt/treeward/bin/pip install --quiet --require-hashes -r requirements-services.lock
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY libs libs
COPY services services
RUN /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/treeward/bin/pip install --quiet --no-deps --no-index /wheels/*.whl \
 && /opt/treeward/bin/pip uninstall --quiet --yes setuptools pip \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/treeward/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="treeward" org.opencontainers.image.licenses="Apache-2.0"
# What the base may have for building and installing is of no use here; nothing is written at run time.
RUN rm -rf /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* \
      /usr/lib/python3/dist-packages/pip* /usr/bin/pip*
COPY --from=build /opt/treeward /opt/treeward
ENV PATH=/opt/treeward/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp HOME=/tmp
USER 10001:10001
WORKDIR /tmp
CMD ["treeward", "--help"]
