"""OpenAI's streamed chat over mistral.rs, whose Python package has the engine and no server. Started by mistral-rs.ts."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mistralrs import ChatCompletionRequest, Runner, Which

MODEL = Path(sys.argv[1]).resolve()
RUNNER = Runner(
    which=Which.GGUF(
        tok_model_id=None,
        quantized_model_id=str(MODEL.parent),
        quantized_filename=MODEL.name,
    )
)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        request = ChatCompletionRequest(
            model="default",
            messages=body["messages"],
            max_tokens=body["max_tokens"],
            temperature=0.0,
            stream=True,
        )
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        tokens = 0
        for chunk in RUNNER.send_chat_completion_request(request):
            text = chunk.choices[0].delta.content or ""
            tokens += 1
            self.send({"choices": [{"index": 0, "delta": {"content": text}}]})
        details = {"cached_tokens": 0}
        usage = {"completion_tokens": tokens, "prompt_tokens_details": details}
        self.send({"choices": [], "usage": usage})

    def send(self, event):
        text = json.dumps(event, separators=(",", ":"))
        self.wfile.write(f"data: {text}\n\n".encode())
        self.wfile.flush()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
