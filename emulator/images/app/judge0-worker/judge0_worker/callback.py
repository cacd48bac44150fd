"""Tells a submission's callback_url that it is finished: PUT, JSON, texts in Base64."""

import asyncio
import base64
import json
import logging
import urllib.error
import urllib.request

from judge0_worker.verdict import DESCRIPTIONS, Result

log = logging.getLogger("judge0.callback")


def _encode(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    return "".join(base64.b64encode(raw[i : i + 45]).decode() + "\n" for i in range(0, len(raw), 45))


def _seconds(value: float | None) -> str | None:
    if value is None:
        return None
    text = f"{value:.3f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def body(token: str, result: Result) -> bytes:
    """What GET /submissions/TOKEN?base64_encoded=true would say."""
    return json.dumps(
        {
            "stdout": _encode(result.stdout),
            "time": _seconds(result.time),
            "memory": result.memory,
            "stderr": _encode(result.stderr),
            "token": token,
            "compile_output": _encode(result.compile_output),
            "message": _encode(result.message),
            "status": {"id": result.status_id, "description": DESCRIPTIONS[result.status_id]},
        }
    ).encode()


def _put(url: str, content: bytes, timeout: float) -> None:
    if not url.lower().startswith(("http://", "https://")):
        raise urllib.error.URLError(f"not an http address: {url}")
    request = urllib.request.Request(  # noqa: S310 - checked above
        url, data=content, method="PUT", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
        answer.read(1024)


async def call(url: str, token: str, result: Result, *, tries: int, timeout: float) -> None:
    """Tries again only where no answer came; any answer, an error too, is an answer."""
    content = body(token, result)
    for attempt in range(1, tries + 1):
        try:
            await asyncio.to_thread(_put, url, content, timeout)
        except urllib.error.HTTPError as error:
            log.info("callback for %s to %s answered %d", token, url, error.code)
            return
        except (OSError, ValueError) as error:
            log.warning("callback for %s to %s, try %d of %d: %s", token, url, attempt, tries, error)
        else:
            return
