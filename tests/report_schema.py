"""The report's schema for tests: read, and checked itself, once in a process."""

from __future__ import annotations

import json
from functools import cache

from jsonschema import Draft202012Validator

from harness.run.report import SCHEMA_FILE


@cache
def validator(part: str = "") -> Draft202012Validator:
    """Of whole reports, or of a part by its name in ``$defs``."""
    schema = json.loads(SCHEMA_FILE.read_text())
    if part:
        schema = {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
