# The hub; with --target pbs-exporter the exporter of Proxmox Backup Servers alone.
# Any Debian-based image with or without Python 3.11 or newer serves as BASE.
ARG BASE=python:3.13-slim

FROM ${BASE} AS wheel
ENV DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -c 'import ensurepip, venv' 2>/dev/null \
    || { apt-get update && apt-get install -y --no-install-recommends ca-certificates python3-venv; }
WORKDIR /build
COPY requirements requirements
# Wheels only: a build from source would fetch tools that are in no lock.
RUN python3 -m venv tools \
    && tools/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements/build.txt
COPY LICENSE README.md pyproject.toml ./
COPY src src
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist .

FROM wheel AS exporter-build
RUN python3 -m venv /opt/lastgood \
    && /opt/lastgood/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements/base.txt \
    && /opt/lastgood/bin/pip install --no-deps --no-index dist/*.whl \
    && /opt/lastgood/bin/pip uninstall --yes pip \
    && /opt/lastgood/bin/pbs-exporter --help

FROM ${BASE} AS pbs-exporter
# wget of busybox is what health checks of compose files ask with.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        busybox ca-certificates $(command -v python3 >/dev/null || echo python3) \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && ln -s "$(command -v busybox)" /usr/local/bin/wget \
    && groupadd --gid 10001 lastgood \
    && useradd --uid 10001 --gid lastgood --home-dir /var/lib/pbs-exporter --no-create-home --shell /usr/sbin/nologin lastgood \
    && install -d -o lastgood -g lastgood -m 0700 /var/lib/pbs-exporter
COPY --from=exporter-build /opt/lastgood /opt/lastgood
ENV PATH=/opt/lastgood/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/pbs-exporter
# Counters; nothing else is written, so the root may be read-only.
VOLUME /var/lib/pbs-exporter
EXPOSE 9101
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s --retries=3 \
    CMD ["wget", "--quiet", "--tries=1", "--spider", "http://localhost:9101/health"]
ENTRYPOINT ["pbs-exporter", "--state", "/var/lib/pbs-exporter"]

FROM wheel AS hub-build
RUN python3 -m venv /opt/lastgood \
    && /opt/lastgood/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements/postgres.txt \
    && /opt/lastgood/bin/pip install --no-deps --no-index dist/*.whl \
    && /opt/lastgood/bin/pip uninstall --yes pip \
    && /opt/lastgood/bin/lastgood version

FROM ${BASE}
# restic for repositories that the hub looks into itself, ssh for those behind sftp.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates openssh-client restic tzdata $(command -v python3 >/dev/null || echo python3) \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 10001 lastgood \
    && useradd --uid 10001 --gid lastgood --home-dir /var/lib/lastgood --no-create-home --shell /usr/sbin/nologin lastgood \
    && install -d -o lastgood -g lastgood -m 0700 /var/lib/lastgood
COPY --from=hub-build /opt/lastgood /opt/lastgood
# Everything that is written goes to the volume or to /tmp, so the root may be read-only.
ENV PATH=/opt/lastgood/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LASTGOOD_SERVER__LISTEN=0.0.0.0:8080 \
    LASTGOOD_SERVER__DATA_DIR=/var/lib/lastgood
USER 10001:10001
WORKDIR /var/lib/lastgood
VOLUME /var/lib/lastgood
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["lastgood", "healthz"]
ENTRYPOINT ["lastgood"]
CMD ["serve"]
