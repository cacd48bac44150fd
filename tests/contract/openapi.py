"""DigitalOcean's OpenAPI document as something answers can be held against."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

DOCUMENT = Path(__file__).parents[3] / "shared" / "digitalocean-openapi.json"
URI = "urn:digitalocean"


class OpenApi:
    """The document, its schemas made JSON Schema draft 7."""

    def __init__(self, path: Path = DOCUMENT) -> None:
        self.document = _as_json_schema(json.loads(path.read_text()))
        self._registry = Registry().with_resource(URI, Resource(self.document, DRAFT7))
        self._operations = {
            operation["operationId"]: (f"#/paths/{_escaped(path)}/{method}", operation)
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
            if isinstance(operation, dict) and "operationId" in operation
        }

    def rows(self) -> list[list[str]]:
        """Method, path and id of every operation, in the document's order."""
        return [
            [method.upper(), path, operation["operationId"]]
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
            if isinstance(operation, dict) and "operationId" in operation
        ]

    def complaints(self, operation_id: str, status: int, body: Any) -> Iterator[str]:
        """What is wrong with an answer: an unlisted status, or a body that is not the status's."""
        pointer, operation = self._operations[operation_id]
        response = operation["responses"].get(str(status))
        if response is None:
            yield f"status {status} is not among {sorted(operation['responses'])}"
            return
        response = self._resolve(response)
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            if body is not None:
                yield f"status {status} has no body, yet there is one: {body}"
            return
        located = _absolute(schema)
        validator = Draft7Validator(located, registry=self._registry, format_checker=FormatChecker())
        for error in validator.iter_errors(body):
            yield f"{pointer} {status}: {error.json_path}: {error.message}"

    def _resolve(self, node: Any) -> Any:
        while "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            node = found
        return node


def _escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1")


def _absolute(node: Any) -> Any:
    """The same schema with references that hold outside of the document."""
    if isinstance(node, dict):
        return {
            key: f"{URI}{value}" if key == "$ref" and str(value).startswith("#") else _absolute(value)
            for key, value in node.items()
        }
    return [_absolute(item) for item in node] if isinstance(node, list) else node


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` as draft 7 says it; a status ``off`` that YAML read as False."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    new = {key: _as_json_schema(value) for key, value in node.items() if key not in ("example", "examples")}
    if isinstance(new.get("enum"), list) and new.get("type") == "string":
        new["enum"] = ["off" if item is False else item for item in new["enum"]]
    if new.pop("nullable", None) is True:
        return {"anyOf": [new, {"type": "null"}]}
    return new
