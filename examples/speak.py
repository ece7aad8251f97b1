"""Speak a text and save it.

python examples/speak.py [HOST:PORT]     writes speak.flac
"""

import sys

from bark_client import BarkClient, BarkError

url = sys.argv[1] if len(sys.argv) > 1 else "localhost:8001"  # gRPC, as `bark-serve up` opens it

try:
    with BarkClient(url) as bark:
        # The names of the voices that this server has. Without a voice, each seed has a speaker of its own.
        print("voices:", ", ".join(voice.name for voice in bark.voices()))

        # The same text, voice, seed and options give the same speech.
        speech = bark.speak("Hello there. It is a lovely morning.", voice="joe", seed=2)
except BarkError as error:  # every error of the client; its message says what to do
    sys.exit(f"error: {error}")

path = speech.save("speak.flac")  # the suffix chooses the format: .wav, .flac, .ogg or .mp3
print(f"{path}: {speech.seconds:.1f} s, made at {speech.timings.real_time_factor:.2f} s per second of audio")
for warning in speech.warnings:  # for example, that a sentence was cut
    print("warning:", warning)
