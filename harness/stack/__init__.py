"""Conversion of compose files to one ``docker-stack.yml``: text in, text out, without network or engine.

``convert`` is the flow. What becomes of which key of a compose file is told by docs/stack.md.
"""

from harness.stack.convert import convert
from harness.stack.model import Note, Source, Stack
from harness.stack.secrecy import secret_names

__all__ = ["Note", "Source", "Stack", "convert", "secret_names"]
