"""Speak a dialogue: all lines at once, joined to one recording.

python examples/dialogue_async.py [HOST:PORT]     writes dialogue.flac
"""

import asyncio
import sys

from bark_client import AsyncBarkClient, BarkError, Speech

url = sys.argv[1] if len(sys.argv) > 1 else "localhost:8001"
lines = [
    ("joe", "Did you see my keys?"),
    ("jo", "They are on the kitchen table."),
    ("joe", "Thank you very much."),
]


async def main() -> None:
    async with AsyncBarkClient(url) as bark:
        # The server speaks the lines side by side, so this takes less time than one after the other.
        parts = await asyncio.gather(*(bark.speak(line, voice=voice, seed=2) for voice, line in lines))

    # gather keeps the order of the lines. `a + b` joins without a pause.
    dialogue = Speech.join(parts, pause=0.3)
    print(dialogue.save("dialogue.flac"), f"{dialogue.seconds:.1f} s")
    for (voice, line), start in zip(lines, dialogue.sentence_starts, strict=True):  # one sentence per line
        print(f"{start:5.1f} s  {voice}: {line}")


try:
    asyncio.run(main())
except BarkError as error:  # every error of the client; its message says what to do
    sys.exit(f"error: {error}")
