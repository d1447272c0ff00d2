"""A partner in one screen: plain Python, nothing installed. Run: python receiver.py whsec_... [port]

Verifies the signature, remembers ids, keeps each subject's events in order, notices gaps. A real partner keeps `seen` and
`subjects` in its database, answers after the commit, and pulls what is missing from GET /api/v1/exchange/events."""

import base64
import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

KEY = base64.b64decode(sys.argv[1].removeprefix("whsec_")) if len(sys.argv) > 1 else b""
seen: dict[str, str] = {}  # webhook-id -> hash of the body
subjects: dict[str, dict[int, dict]] = {}  # kind/number -> seq -> event
lock = Lock()


def take(headers, body: bytes) -> tuple[int, dict]:
    identifier, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identifier or not stamp.isdigit() or abs(time.time() - int(stamp)) > 300:
        return 400, {"error": "webhook-id and a recent webhook-timestamp are needed"}
    text = f"{identifier}.{stamp}.".encode() + body
    right = "v1," + base64.b64encode(hmac.digest(KEY, text, "sha256")).decode()
    given = headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(right.encode(), one.encode()) for one in given):
        return 401, {"error": "wrong signature"}
    digest = hashlib.sha256(body).hexdigest()
    if identifier in seen:
        return (200, {"status": "duplicate"}) if seen[identifier] == digest else (409, {"error": "id used before"})
    event = json.loads(body)
    known = subjects.setdefault(f"{event['subjectkind']}/{event['subjectnumber']}", {})
    status = "applied"
    if known and event["seq"] < max(known):
        status = "late"  # filed under its number: the state stays that of the highest seq
    elif event.get("prev", 0) not in (0, *known):
        status = "gap"  # pull what is missing
    known[event["seq"]] = event
    seen[identifier] = digest
    return 200, {"status": status, "seq": max(known)}


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > 256 * 1024:
            self.close_connection = True
            return self.answer(413, {"error": "too large"})
        with lock:
            return self.answer(*take(self.headers, self.rfile.read(length)))

    def answer(self, status: int, value: dict) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 9000
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
