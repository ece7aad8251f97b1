"""How the clips in ``teacher/`` were made: the miniature's teacher speaks the first sentences of ``unseen.txt``.

python tests/data/miniature/record.py     (needs `pip install -e '.[train]'`)
"""

from __future__ import annotations

from pathlib import Path

import soundfile

from build_engines.miniature.recipe import Recipe
from build_engines.miniature.recordings import trim_and_normalise
from build_engines.miniature.teacher import Piper

FOLDER = Path(__file__).parent
COUNT = 20
RATE = 24_000


def main() -> None:
    recipe = Recipe()
    speak = Piper(recipe, rate=RATE)
    for number, text in enumerate((FOLDER / "unseen.txt").read_text().splitlines()[:COUNT]):
        for speaker in recipe.speakers:
            path = FOLDER / "teacher" / speaker.name / f"{number:02}.ogg"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(
                path, trim_and_normalise(speak(text, speaker), rate=RATE), RATE, format="OGG", subtype="VORBIS"
            )


if __name__ == "__main__":
    main()
