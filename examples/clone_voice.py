"""Clone a voice from a recording, keep it on the server, and speak with it.

python examples/clone_voice.py RECORDING [HOST:PORT]     writes cloned.wav and my-voice.npz

Clone only voices whose owners agreed to it.
"""

import sys

from bark_client import BarkClient, BarkError

if len(sys.argv) < 2:
    sys.exit("usage: python examples/clone_voice.py RECORDING [HOST:PORT]")
recording = sys.argv[1]  # 1 to 30 s of one person; 5 to 12 s of clear speech are best
url = sys.argv[2] if len(sys.argv) > 2 else "localhost:8001"

try:
    with BarkClient(url) as bark:
        # `start` and `duration` pick a part of a longer recording. `overwrite` replaces an earlier voice of that name.
        voice = bark.clone_voice(recording, name="my-voice", overwrite=True, duration=6.0)
        for warning in voice.warnings:  # for example, that the recording is noisy
            print("warning:", warning)

        # From now on, every client of this server can use the name.
        print(bark.speak("Thank you very much.", voice="my-voice", seed=1).save("cloned.wav"))

        # The file holds the voice in Suno's own format. Any client can speak with it: voice="my-voice.npz".
        print(voice.save("my-voice.npz"))

        bark.delete_voice("my-voice")
except BarkError as error:  # every error of the client; its message says what to do
    sys.exit(f"error: {error}")
