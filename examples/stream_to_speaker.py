"""Play a text while the server still speaks it. Needs sounddevice: pip install './client[play]'

python examples/stream_to_speaker.py [HOST:PORT]     plays, then writes stream.wav
"""

import sys

import sounddevice

from bark_client import BarkClient

url = sys.argv[1] if len(sys.argv) > 1 else "localhost:8001"
text = "Good morning! How are you today? I made a cup of tea for my sister."

with (
    BarkClient(url) as bark,
    # `stream` sends the request when the block is entered. Leaving the block early cancels it on the server.
    bark.stream(text, seed=7) as stream,
):
    speaker = None
    for chunk in stream:  # in order and without gaps; the first one comes long before the last
        if speaker is None:
            speaker = sounddevice.OutputStream(samplerate=chunk.sample_rate, channels=1, dtype="float32")
            speaker.start()
        print(f"{chunk.seconds:.1f} s of sentence {chunk.sentence + 1} of {chunk.sentences}")
        speaker.write(chunk.samples.reshape(-1, 1))  # [samples, channels]; waits while its buffer is full
    if speaker is not None:
        speaker.stop()  # plays what is still in its buffer
        speaker.close()

stream.speech.save("stream.wav")  # after the last chunk, the stream has the whole speech
