"""The page, sign-up, and the way of a program to the runner."""

import json
import os
import re
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pymongo
import pymongo.errors

RUNNER = os.environ.get("CODE_RUNNER_SERVICE_URL", "http://runner-lb:4000")
MONGO = os.environ.get("MONGODB_URI", "mongodb://mongo:27017/editor")
SITE = Path(__file__).parent / "site"
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
LARGEST = 1024 * 1024

# Connects when it is first asked.
users = pymongo.MongoClient(MONGO, serverSelectionTimeoutMS=3000).get_default_database("editor").users


def sign_up(body):
    """{email, name} -> the user that was made; an address signs up once."""
    email, name = str(body.get("email", "")), str(body.get("name", ""))
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        return 400, {"success": False, "error": "email is not an address"}
    try:
        users.insert_one({"_id": email, "name": name})
    except pymongo.errors.DuplicateKeyError:
        return 409, {"success": False, "error": "this address has an account"}
    except pymongo.errors.PyMongoError:
        return 500, {"success": False, "error": "something went wrong"}
    return 201, {"success": True, "user": {"email": email, "name": name}}


def run(body):
    """{code, languageId, stdin} -> what the runner answers."""
    request = urllib.request.Request(
        f"{RUNNER}/api/submit", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {"success": False, "error": f"the runner answered {error.code}"}
    except OSError:
        return 502, {"success": False, "error": "the runner does not answer"}


POSTS = {"/api/auth/signup": sign_up, "/api/execute": run}


class Handler(BaseHTTPRequestHandler):
    """Files, and the API."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/api/health":
            self.answer(200, {"status": "ok"})
            return
        file = SITE / (self.path.partition("?")[0].strip("/") or "index.html")
        if file.suffix in KINDS and file.parent == SITE and file.is_file():
            self.send(200, KINDS[file.suffix], file.read_bytes())
        else:
            self.answer(404, {"success": False, "error": "no such page"})

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        if self.path not in POSTS or size > LARGEST:
            self.close_connection = True
            self.answer(404 if size <= LARGEST else 413, {"success": False, "error": "no such path"})
            return
        try:
            body = json.loads(self.rfile.read(size))
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self.answer(400, {"success": False, "error": "the body is not a JSON object"})
            return
        self.answer(*POSTS[self.path](body))

    def answer(self, status, body):
        self.send(status, "application/json", json.dumps(body).encode())

    def send(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        if "--development" in sys.argv:
            super().log_message(*arguments)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 3000), Handler).serve_forever()
