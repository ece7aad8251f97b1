"""The real bindings of TensorRT, importable without its libraries.

TensorRT's libraries have gigabytes, its Python bindings are wheels of one megabyte. The bindings need nine functions to
link against. A C compiler makes empty ones here. Then nothing of TensorRT runs, but a process of its own can inspect
every class, method and signature.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: Releases that update KV caches in place: the first one, and that of the extra `tensorrt`.
WITH_CACHES = ("10.16.1.11", "11.4.0.106")
#: And those in the Triton containers that TensorRT-LLM 1.0.0 and 1.2.1 come in.
RELEASES = {
    "10.11.0.33": "tensorrt-cu12-bindings",
    "10.14.1.48.post1": "tensorrt-cu13-bindings",
    **dict.fromkeys(WITH_CACHES, "tensorrt-cu13-bindings"),
}
#: A program for `ask`: the docstring of each name of the question; None where the release has no such name.
DOCUMENTS = """
answer = {}
for name in question:
    value = trt
    for part in name.split("."):
        value = getattr(value, part, None)
    answer[name] = None if value is None else (value.__doc__ or "")
"""
_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
_FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)


def install(release: str) -> Path:
    """A folder for PYTHONPATH with the bindings. It is made once per virtual environment."""
    target = Path(sys.prefix) / "share" / "tensorrt-bindings" / release
    if target.is_dir():
        return target
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    unfinished = target.with_name(f".{release}-{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(unfinished)]
    done = subprocess.run([*command, f"{RELEASES[release]}=={release}"], capture_output=True, text=True, check=False)
    if done.returncode:
        if "CI" in os.environ:
            pytest.fail(done.stderr)
        pytest.skip(f"the bindings of TensorRT {release} cannot be installed: {done.stderr.strip()[-300:]}")
    source = "".join(f"void {name}(void) {{}}\n" for name in _FUNCTIONS)
    for library in _LIBRARIES:
        output = unfinished / "tensorrt_bindings" / f"lib{library}.so.{release.split('.')[0]}"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", output], input=source, text=True, check=True
        )
    if target.is_dir():  # another process was faster
        shutil.rmtree(unfinished)
    else:
        unfinished.rename(target)
    return target


def ask(release: str, program: str, question: Any = None) -> Any:
    """Run `program` with ``trt`` (the bindings) and ``question``. Returns its ``answer``, which passes through JSON."""
    whole = f"import json, sys\nimport tensorrt_bindings as trt\nquestion = json.load(sys.stdin)\n{program}\n"
    whole += "print(json.dumps(answer))\n"
    done = subprocess.run(
        [sys.executable, "-c", whole],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(install(release)), str(Path.cwd())])},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
