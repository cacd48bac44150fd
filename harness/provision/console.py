"""A machine's boot log, where the target has it: an emulator does, a cloud's API does not."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from harness.core.wait import scaled
from harness.target.target import Target


@dataclass(frozen=True)
class Console:
    """``error``: why the machine could not be made, or empty; ``text``: its log."""

    error: str = ""
    text: str = ""


def console(target: Target, kind: str, id_: Any) -> Console:
    """The console of a ``droplet`` or ``database``; empty where the target has none or does not answer."""
    import httpx

    if not target.info:
        return Console()
    url = f"{target.endpoint}/_wavetank/console/{kind}/{id_}"
    trust = ssl.create_default_context(cafile=target.ca_file)
    try:
        answer = httpx.get(
            url,
            headers={"authorization": f"Bearer {target.token}"},
            verify=trust,
            timeout=scaled(10),
            trust_env=False,
        )
        document = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return Console()  # it only explains a failure that is reported anyway
    return Console(str(document.get("error") or ""), str(document.get("console") or ""))
