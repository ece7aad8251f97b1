"""Reading Triton's log."""

from __future__ import annotations

from pathlib import Path

from bark_serving.server.log import drained, loaded_models, note, relevant_lines, rotate

LOG = r"""
2026-11-22T14:41:17Z E 13792 server.cc:241] "CudaDriverHelper has not been initialized."
2026-11-22T14:41:17Z I 13792 model_lifecycle.cc:472] "loading: x:1"
2026-11-22T14:41:17Z I 13792 model_lifecycle.cc:839] "successfully loaded 'echo'"
I1122 14:41:17.366641 13799 pb_stub.cc:366]  Failed to initialize Python stub: RuntimeError: wrong engine
a line that a model printed
2026-11-22T14:41:17Z E 13792 backend_model.cc:692] "ERROR: wrong engine\n\nAt:\n  /x/1/model.py: initialize\n"
2026-11-22T14:41:17Z E 13792 backend_model.cc:692] "ERROR: wrong engine\n\nAt:\n  /x/1/model.py: initialize\n"
2026-11-22T14:41:17Z I 13792 server.cc:674]
+-------+---------+
| Model | Version |
+-------+---------+
error: creating server: Internal - failed to load all models
"""


def write(folder: Path, text: str = LOG) -> Path:
    log = folder / "triton.log"
    log.write_text(text)
    return log


def test_a_failure_is_explained_by_errors_and_prints_once_each(tmp_path: Path) -> None:
    assert relevant_lines(write(tmp_path)) == [
        "a line that a model printed",
        "ERROR: wrong engine",
        "At:",
        "  /x/1/model.py: initialize",
        "error: creating server: Internal - failed to load all models",
    ]


def test_only_the_last_lines_are_given(tmp_path: Path) -> None:
    log = write(tmp_path, "\n".join(f"line {number}" for number in range(100)))
    assert relevant_lines(log, limit=3) == ["line 97", "line 98", "line 99"]


def test_loaded_models_are_those_that_triton_names(tmp_path: Path) -> None:
    assert loaded_models(write(tmp_path)) == {"echo"}


def test_a_server_has_drained_once_triton_unloads(tmp_path: Path) -> None:
    assert not drained(write(tmp_path))
    line = '2026-11-22T14:41:17Z I 13792 server.cc:336] "All models are stopped, unloading models"\n'
    assert drained(write(tmp_path, LOG + line))


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    log = write(tmp_path, "before")
    rotate(log)
    assert log.read_text() == ""
    assert (tmp_path / "triton.previous.log").read_text() == "before"


def test_a_log_behind_a_link_is_rotated_where_it_is(tmp_path: Path) -> None:
    log = write(tmp_path, "before")
    (tmp_path / "link.log").symlink_to(log)  # perhaps on another disk
    rotate(tmp_path / "link.log")
    assert (tmp_path / "link.log").is_symlink() and log.read_text() == ""
    assert log.with_suffix(".previous.log").read_text() == "before"


def test_a_full_disk_costs_a_line_and_not_the_server() -> None:
    note(Path("/dev/full"), "reloaded coarse")
