"""Conversion of compose files to one ``docker-stack.yml``: text in, text out, without network or engine.

``convert`` is the flow. docs/stack.md says what becomes of each key of a compose file.
"""

from harness.stack.convert import convert
from harness.stack.model import Note, Source, Stack
from harness.stack.secrecy import secret_names

__all__ = ["Note", "Source", "Stack", "convert", "secret_names"]
