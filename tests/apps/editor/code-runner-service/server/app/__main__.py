"""The runner: {code, languageId, stdin} in, Judge0's result out, and what was run goes to MongoDB."""

import json
import os
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pymongo
import pymongo.errors

JUDGE0 = os.environ["JUDGE0_URL"]
TOKEN = os.environ.get("AUTHN_TOKEN", "")
# As the editor's menu has them.
LANGUAGES = {71: "Python", 54: "C++", 62: "Java"}
LARGEST = 1024 * 1024

database = pymongo.MongoClient(os.environ["MONGO_URL"], serverSelectionTimeoutMS=2000).get_default_database(
    "runner"
)


def submit(body):
    """The status and the body of the answer."""
    code, language = body.get("code"), body.get("languageId")
    if language not in LANGUAGES:
        return 400, {"success": False, "error": f"languageId must be one of {', '.join(map(str, LANGUAGES))}"}
    if not isinstance(code, str) or not code.strip():
        return 400, {"success": False, "error": "code is empty"}
    try:
        found = ask_judge0({"source_code": code, "language_id": language, "stdin": body.get("stdin") or ""})
    except (OSError, ValueError) as error:
        return 502, {"success": False, "error": f"judge0: {error}"}
    try:
        database.runs.insert_one({"languageId": language, "status": found["status"]["description"]})
    except pymongo.errors.PyMongoError as error:
        sys.stderr.write(f"runs: {error}\n")
    result = {
        "status": found["status"]["description"],
        "statusId": found["status"]["id"],
        "output": found["stdout"],
        "stderr": found["stderr"],
        "compileOutput": found["compile_output"],
        "time": found["time"],
        "memory": found["memory"],
    }
    return 200, {"success": True, "result": result}


def ask_judge0(submission):
    request = urllib.request.Request(
        f"{JUDGE0}/submissions?wait=true",
        json.dumps(submission).encode(),
        {"Content-Type": "application/json", "X-Auth-Token": TOKEN},
    )
    with urllib.request.urlopen(request, timeout=50) as answer:
        return json.load(answer)


def health():
    try:
        database.client.admin.command("ping")
    except pymongo.errors.PyMongoError:
        return 503, {"status": "unavailable", "mongo": "down"}
    return 200, {"status": "ok", "mongo": "up"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(
            *(health() if self.path == "/health" else (404, {"success": False, "error": "no such path"}))
        )

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        if self.path != "/api/submit" or size > LARGEST:
            self.close_connection = True
            self.answer(404 if size <= LARGEST else 413, {"success": False, "error": "no such path"})
            return
        try:
            body = json.loads(self.rfile.read(size))
        except ValueError:
            body = None
        if isinstance(body, dict):
            self.answer(*submit(body))
        else:
            self.answer(400, {"success": False, "error": "the body is not a JSON object"})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "5000"))), Handler).serve_forever()
