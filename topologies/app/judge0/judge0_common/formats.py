"""How a submission's values are shown, by an answer of the server and by a worker's callback."""

import base64
from decimal import Decimal

STATUSES = {
    1: "In Queue",
    2: "Processing",
    3: "Accepted",
    4: "Wrong Answer",
    5: "Time Limit Exceeded",
    6: "Compilation Error",
    7: "Runtime Error (SIGSEGV)",
    8: "Runtime Error (SIGXFSZ)",
    9: "Runtime Error (SIGFPE)",
    10: "Runtime Error (SIGABRT)",
    11: "Runtime Error (NZEC)",
    12: "Runtime Error (Other)",
    13: "Internal Error",
    14: "Exec Format Error",
}


def encode64(raw: bytes) -> str:
    """Base64 as Ruby's encode64 writes it: a newline after every 60 characters and at the end."""
    lines = (base64.b64encode(raw[i : i + 45]).decode() for i in range(0, len(raw), 45))
    return "".join(line + "\n" for line in lines)


def decimal(value: float) -> str:
    """Three decimals at most, one at least: "0.01", "5.0"."""
    text = f"{Decimal(repr(value)):.3f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
