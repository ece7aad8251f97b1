# Makes bundles and engines for CPUs: docker build -f docker/Dockerfile.builder -t bark-triton-builder:0.1.0 .
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
# The kernels are compiled here. This image has no C++ compiler: zig comes from PyPI, and first compiles its C++ library.
ARG COMPILER_IMAGE=python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
FROM $COMPILER_IMAGE AS kernels
WORKDIR /source
COPY docker/build-wheel.sh docker/
COPY kernels/ kernels/
RUN docker/build-wheel.sh /wheels kernels
COPY docker/install.sh docker/
RUN docker/install.sh package /wheels /installed

FROM $PYTHON_IMAGE AS package
WORKDIR /source
COPY docker/build-wheel.sh docker/
COPY pyproject.toml README.md LICENSE ./
COPY build_engines/ build_engines/
COPY bark_serving/ bark_serving/
COPY bark_gateway/ bark_gateway/
COPY bark_batch/ bark_batch/
COPY bark_tracing/ bark_tracing/
COPY client/ client/
COPY model_repository/ model_repository/
RUN docker/build-wheel.sh /wheels client .
COPY docker/install.sh docker/
RUN docker/install.sh package /wheels /installed

FROM $PYTHON_IMAGE
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1
WORKDIR /opt/install
COPY docker/install.sh docker/requirements-builder.txt ./
RUN TORCH_INDEX="$TORCH_INDEX" ./install.sh libraries requirements-builder.txt
COPY --from=package /installed/ /usr/local/
COPY --from=kernels /installed/ /usr/local/
RUN ./install.sh check requirements-builder.txt
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
