"""The `README.md` beside a data set: what its columns mean. `datasets` reads its head."""

from __future__ import annotations

from bark_batch.folder import Job

_FEATURES = """\
dataset_info:
  features:
  - name: id
    dtype: string
  - name: text
    dtype: string
  - name: voice
    dtype: string
  - name: seed
    dtype: uint64
  - name: audio
    dtype:
      audio:
        sampling_rate: {sample_rate}
  - name: sample_rate
    dtype: int32
  - name: seconds
    dtype: float64
  - name: verdict
    dtype: string
  - name: pieces
    list:
    - name: text
      dtype: string
    - name: start
      dtype: float64
    - name: seconds
      dtype: float64
    - name: verdict
      dtype: string
    - name: attempts
      dtype: int32
  - name: warnings
    list: string
  - name: error
    dtype: string
"""
_TOKEN_FEATURES = """\
  - name: semantic_tokens
    list: int32
  - name: fine_tokens
    list:
      list: int32
"""
_CONFIGS = """\
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*.parquet
"""
_BODY = """\
# {rows} rows of speech

Made by `bark-batch` with the checkpoint {checkpoint}. The speech is synthetic.

| column | what it is |
|---|---|
| `id` | of the row in the input; its number, from 0 on, where the input has no ids |
| `text`, `voice`, `seed` | what was asked for; the same three, options and checkpoint give the same speech |
| `audio` | `bytes`: a file of audio ({format}); `path`: its name. Null where the row failed |
| `sample_rate`, `seconds` | of the audio |
| `verdict` | `good`, or what the server found wrong with the first piece that is not |
| `pieces` | what was spoken in one go: text, start, seconds, verdict, and how often it was spoken |
| `warnings` | of the server |
| `error` | why the row has no audio; null where it has |
{tokens}"""
_TOKENS = """\
| `semantic_tokens` | [n] |
| `fine_tokens` | [codebooks][frames]; the first two codebooks are the coarse tokens |
"""


def readme(job: Job) -> str:
    """The text of the file."""
    head = _FEATURES.format(sample_rate=job.sample_rate) + (_TOKEN_FEATURES if job.tokens else "") + _CONFIGS
    body = _BODY.format(
        rows=job.rows,
        checkpoint=job.checkpoint or "(not named)",
        format=job.format,
        tokens=_TOKENS if job.tokens else "",
    )
    return f"---\n{head}---\n\n{body}"
