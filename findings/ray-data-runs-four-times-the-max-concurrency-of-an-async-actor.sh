#!/usr/bin/env bash
# Package: ray 2.60.0 (ray[data])
# Behaviour: map_batches(AsyncClass, concurrency=1, max_concurrency=2) runs up to 8 calls of the one actor at once. Each
#   of its 2 tasks runs 4 batches together (RAY_DATA_DEFAULT_ASYNC_BATCH_UDF_MAX_CONCURRENCY).
# A good guess: max_concurrency is the most calls of an async actor that run at once.
# Seen 2026-11-28: most at once: 8, with max_concurrency 2
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check 'ray[data]==2.60.0'

RAY_TMPDIR=$work "$work/env/bin/python" - << 'PYTHON'
import asyncio
import os

import ray

ray.init(
    num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error", _temp_dir=os.environ["RAY_TMPDIR"]
)


class Calls:
    def __init__(self) -> None:
        self.running = 0

    async def __call__(self, batch):
        self.running += 1
        seen = self.running
        await asyncio.sleep(0.3)
        self.running -= 1
        yield {"at once": [seen]}


data = ray.data.range(64, override_num_blocks=16)
rows = data.map_batches(Calls, batch_size=1, concurrency=1, max_concurrency=2).take_all()
most = max(row["at once"] for row in rows)
print(f"most at once: {most}, with max_concurrency 2")
ray.shutdown()
assert most == 8
PYTHON
