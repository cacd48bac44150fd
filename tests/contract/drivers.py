"""Ways to make a call by its operation id: the API as a function, and an unmodified pydo client."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from emulator.api.app import Api
from emulator.api.http import Response, make_request
from emulator.api.operations import operations
from harness.core.wait import NotYet, wait_for

ENDPOINT = "https://api.digitalocean.com"
WAITED = 20.0


@dataclass(frozen=True)
class Answer:
    """One call and what came back."""

    operation: str
    status: int
    body: Any
    headers: dict[str, str]
    request: str


class ApiDriver:
    """Calls the API's function and remembers every answer."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._operations = {item.id: item for item in operations()}
        self.answers: list[Answer] = []

    def __call__(self, operation: str, body: Any = None, **parameters: Any) -> Any:
        """Make a call, return the answer's body."""
        item = self._operations[operation]
        path = item.path
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", quote(str(parameters.pop(name)), safe=""))
        url = f"{ENDPOINT}{path}?{urlencode(parameters)}"
        response = self.send(item.method, url, b"" if body is None else json.dumps(body).encode())
        shown = json.loads(response.content()) if response.content() else None
        asked = f"{item.method} {path} {json.dumps(body)}"
        self.answers.append(Answer(operation, response.status, shown, dict(response.headers), asked))
        return shown

    def send(self, method: str, url: str, body: bytes) -> Response:
        """Send one request with a token."""
        headers = {"Authorization": "Bearer any", "Content-Type": "application/json"}
        return self._api.handle(make_request(method, url, headers, body))


class PydoDriver:
    """Calls through pydo; an answer that pydo or DigitalOcean would count as an error fails the test."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.called: set[str] = set()

    def __call__(self, operation: str, body: Any = None, **parameters: Any) -> Any:
        """Make a call, return the answer's body; wait for a droplet action's end."""
        group, _, name = operation.partition("_")
        method = getattr(getattr(self._client, _snake(group)), _snake(name))
        if body is not None:
            parameters["body"] = body
        status, answer = method(**parameters, cls=_with_status)
        assert 200 <= status < 300, f"{operation}: {status} {answer}"
        self.called.add(operation)
        for action in _actions(answer):
            self._wait(action)
        return answer

    def _wait(self, action_id: int) -> None:
        def probe() -> None:
            action = self._client.actions.get(action_id)["action"]
            if action["status"] == "in-progress":
                raise NotYet(str(action))

        wait_for(f"action {action_id}", probe, deadline=WAITED)


def _actions(answer: Any) -> list[int]:
    if not isinstance(answer, dict):
        return []
    links = [link["id"] for link in (answer.get("links") or {}).get("actions", [])]
    several = [action["id"] for action in answer.get("actions", [])]
    return links + several + ([answer["action"]["id"]] if "action" in answer else [])


def _with_status(response: Any, body: Any, _headers: Any) -> tuple[int, Any]:
    return response.http_response.status_code, body


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f"_{match[1].lower()}", name).lower()
