"""The codec's decoder with its state as input and output: a second graph in the decoder's engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from onnx import ModelProto
from torch import Tensor, nn

from bark_serving.arrays import Array, Floats
from bark_serving.engines.manifest import TensorInfo
from bark_serving.layouts import decoder
from bark_serving.networks import Encodec
from bark_serving.runtimes.onnx_session import CHUNK_FILE
from bark_serving.spec import EncodecSpec
from build_engines.errors import ExportError
from build_engines.export import decoder_layers, graph
from build_engines.export.operators import onnxruntime_operators
from build_engines.export.validate import BATCHES, open_session, run_graph

MAX_ERROR = 1e-5  #: of a sample, relative to the loudest one
_CHUNKS = ((9, 1, 2, 30), (40, 3))  #: frames of the chunks of each validation


class DecodeChunk(nn.Module):
    """`Encodec.decode_chunk` as a module of its own."""

    def __init__(self, codec: Encodec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, codes: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.codec.decode_chunk(codes, state)


def export(codec: Encodec, layers: ModelProto, *, folder: Path) -> None:
    """Write the graph to `folder`. Raises `ExportError` if its chunks do not join to what `Encodec.decode` gives.

    layers: of `decoder_layers.export`.
    """
    spec = codec.spec
    path = folder / CHUNK_FILE
    codes = TensorInfo(dtype="int32", axes=("batch", spec.codebooks, "frames"))
    state = TensorInfo(dtype="float32", axes=("batch", *decoder.state_shape(spec)))
    module = DecodeChunk(codec)
    sample = {
        "codes": torch.zeros((2, spec.codebooks, 21), dtype=torch.int32),
        "state": torch.zeros((2, *decoder.state_shape(spec))),
    }
    with onnxruntime_operators(module), torch.inference_mode():
        model = graph.to_onnx(
            module,
            sample=sample,
            inputs={"codes": codes, "state": state},
            outputs={"audio": TensorInfo(dtype="float32", axes=("batch", "samples")), "next_state": state},
        )
    graph.save(decoder_layers.insert(layers, into=model), path)
    validate(codec, path=path)


def validate(codec: Encodec, *, path: Path) -> None:
    """Compare chunks that the graph at `path` decodes one after the other with the whole that `codec` decodes."""
    session, spec = open_session(path), codec.spec
    rng = np.random.default_rng(0)
    for batch in BATCHES:
        for chunks in _CHUNKS:
            shape = (batch, spec.codebooks, sum(chunks))
            codes = rng.integers(0, spec.codebook_size, shape, np.int32)
            with torch.inference_mode():
                whole = codec.decode(torch.from_numpy(codes)).numpy()
            joined = _in_chunks(session, codes, chunks, spec=spec)
            error = float(np.abs(joined - whole).max() / max(1.0, float(np.abs(whole).max())))
            if not error <= MAX_ERROR:
                raise ExportError(
                    f"{path.name} at batch {batch} and chunks of {chunks} frames is off by {error:.1e} of its loudest "
                    f"sample, {MAX_ERROR} may be."
                )


def _in_chunks(session: ort.InferenceSession, codes: Array, chunks: tuple[int, ...], *, spec: EncodecSpec) -> Floats:
    """[batch, samples] of codes [batch, codebooks, frames], decoded one chunk after the other."""
    state = np.stack([decoder.first_state(spec)] * len(codes))
    done, audio = 0, []
    for frames in chunks:
        given = [decoder.chunk_codes(row[:, : done + frames], done, spec=spec) for row in codes]
        answer = run_graph(session, {"codes": np.stack([row for row, _ in given]), "state": state})
        audio.append(answer["audio"][:, given[0][1] * spec.samples_per_frame :])
        state, done = answer["next_state"], done + frames
    return np.concatenate(audio, axis=1)
