# One image for every role: `docker run nexus serve --role api`, `docker run nexus worker`, `docker run nexus init-resources`.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
RUN pip install --no-cache-dir "uv>=0.8"
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/nexus
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --all-extras --no-install-project
COPY src src
COPY migrations migrations
RUN uv sync --frozen --no-dev --all-extras --no-editable

FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 nexus && install -d -o nexus -g nexus /data /files
COPY --from=build /opt/nexus /opt/nexus
ENV PATH=/opt/nexus/bin:$PATH NEXUS_HOST=0.0.0.0 NEXUS_DATA_DIR=/data PYTHONUNBUFFERED=1
USER nexus
VOLUME ["/data", "/files"]
EXPOSE 8000
# A worker listens nowhere: it lives as long as its process does.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import os, urllib.request as r; os.environ.get('NEXUS_ROLE') == 'worker' or r.urlopen('http://127.0.0.1:8000/ready', timeout=2)"]
ENTRYPOINT ["nexus"]
CMD ["serve"]
