#!/usr/bin/env bash
# Package: openai 3.57.0
# Behaviour: a server of transcriptions that does not stream ignores stream=True, as OpenAI's own does for whisper-1, and
#   answers {"text": ...} as JSON. The client reads that as a stream without events: the loop over it ends at once, without
#   an error, and the text is lost. It does not look at the content type.
# A good guess: an answer that is no stream of events raises, or becomes one final event.
# Seen 2026-11-30: without stream=True 'The whole text.'; with it no events, no error; of application/json, 200
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check openai==3.57.0

"$work/env/bin/python" - << 'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai


class Transcriptions(BaseHTTPRequestHandler):
    """A server that knows no streams: it reads the request and answers as JSON."""

    def do_POST(self) -> None:
        asked.append(b'name="stream"' in self.rfile.read(int(self.headers["content-length"])))
        body = b'{"text": "The whole text."}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


asked: list[bool] = []
server = HTTPServer(("127.0.0.1", 0), Transcriptions)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v1")
file = ("speech.wav", b"RIFF")
whole = client.audio.transcriptions.create(model="m", file=file)
stream = client.audio.transcriptions.create(model="m", file=file, stream=True)
events = list(stream)
print(f"without stream=True: {whole.text!r}; with it: {events}")
print(f"the answer to the second: {stream.response.status_code}, {stream.response.headers['content-type']}")
assert asked == [False, True]
assert whole.text == "The whole text."
assert events == []
PYTHON
