"""Play a text while the server still speaks it. Needs sounddevice: pip install './client[play]'

python examples/stream_to_speaker.py [HOST:PORT]     plays, then writes stream.wav
"""

import sys
import time

from bark_client import BarkClient, BarkError

try:
    import sounddevice
except (ImportError, OSError) as error:  # OSError: the package is there, and the system's PortAudio is not
    sys.exit(f"error: {error}. Run `pip install './client[play]'` in the checkout, and `apt install libportaudio2`.")

url = sys.argv[1] if len(sys.argv) > 1 else "localhost:8001"
text = "Good morning! How are you today? It is a beautiful day, and the sun is out."
speaker, arrived, asked = None, 0.0, time.monotonic()

try:
    # `stream` sends the request when the block is entered. Leaving the block early cancels it on the server.
    with BarkClient(url) as bark, bark.stream(text, seed=7) as stream:
        for chunk in stream:  # in order and without gaps
            if speaker is None:
                print(f"the first audio came after {time.monotonic() - asked:.2f} s")
                speaker = sounddevice.OutputStream(samplerate=chunk.sample_rate, channels=1, dtype="float32")
                speaker.start()
            arrived += chunk.seconds
            print(f"{arrived:.1f} s of audio so far, sentence {chunk.sentence + 1} of {chunk.sentences}")
            speaker.write(chunk.samples.reshape(-1, 1))  # [samples, channels]; waits while its buffer is full
except BarkError as error:  # every error of the client; its message says what to do
    sys.exit(f"error: {error}")

if speaker is not None:
    speaker.stop()  # plays what is still in its buffer
    speaker.close()
print(stream.speech.save("stream.wav"))  # after the last chunk, the stream has the whole speech
