"""The report of an answer as clients read it."""

from __future__ import annotations

import json

from bark_serving.speech.report import PieceReport, SpeechReport, SpeechSummary, StageTime


def test_a_report_before_the_last_says_where_it_is() -> None:
    said = json.loads(SpeechReport(sentence=1, sentences=3, sample_rate=24_000, piece="How are you?").to_json())
    assert said == {
        "sentence": 1,
        "sentences": 3,
        "last": False,
        "sample_rate": 24_000,
        "piece": "How are you?",
    }


def test_the_last_report_has_the_summary_beside_the_rest() -> None:
    summary = SpeechSummary(
        seed=2**64 - 1,
        text="Grüße.",
        stages={"semantic": StageTime(0.123456, 1, 30, "tokens"), "fine": StageTime(1.0, 6, 45, "frames")},
        seconds=2.34567,
        first_audio_seconds=1.23456,
        audio_seconds=0.6,
        warnings=["one."],
        pieces=[PieceReport("Grüße.", start=0.12345, seconds=0.6, voice="jo", verdict="good", attempts=2)],
        checkpoint="bark 0123abcd",
    )
    said = SpeechReport(0, 1, 24_000, summary, "Grüße.").to_json()
    assert "Grüße.".encode() in said
    assert json.loads(said) == {
        "sentence": 0,
        "sentences": 1,
        "last": True,
        "sample_rate": 24_000,
        "piece": "Grüße.",
        "seed": 2**64 - 1,
        "text": "Grüße.",
        "stages": {
            "semantic": {"seconds": 0.1235, "calls": 1, "tokens": 30},
            "fine": {"seconds": 1.0, "calls": 6, "frames": 45},
        },
        "seconds": 2.3457,
        "first_audio_seconds": 1.2346,
        "audio_seconds": 0.6,
        "warnings": ["one."],
        "pieces": [
            {"text": "Grüße.", "start": 0.1235, "seconds": 0.6, "voice": "jo", "verdict": "good", "attempts": 2}
        ],
        "checkpoint": "bark 0123abcd",
    }
