# Makes bundles and engines for CPUs: docker build -f docker/Dockerfile.builder -t bark-triton-builder:0.1.0 .
FROM python:3.11.14-slim-bookworm AS wheel
WORKDIR /source
COPY docker/build-wheel.sh docker/
COPY pyproject.toml README.md LICENSE ./
COPY build_engines/ build_engines/
COPY bark_serving/ bark_serving/
COPY bark_gateway/ bark_gateway/
COPY bark_tracing/ bark_tracing/
COPY client/ client/
COPY kernels/ kernels/
COPY model_repository/ model_repository/
RUN docker/build-wheel.sh /wheels client kernels .

FROM python:3.11.14-slim-bookworm
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1
WORKDIR /opt/install
COPY docker/install.sh docker/requirements-builder.txt ./
RUN TORCH_INDEX="$TORCH_INDEX" ./install.sh libraries requirements-builder.txt
COPY --from=wheel /wheels/ wheels/
RUN ./install.sh package wheels
COPY docker/build-engines.sh /usr/local/bin/build-engines

# The same user as in the images that serve: it reads what is made here.
RUN useradd --uid 1000 --create-home bark \
    && install --directory --owner=1000 --group=1000 /data/bundles /data/engines /data/checkpoints
WORKDIR /data
ENV BARK_ENGINES=/data/engines \
    HF_HOME=/data/checkpoints/huggingface \
    HOME=/tmp \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1
USER 1000:1000
CMD ["bark-build", "--help"]
