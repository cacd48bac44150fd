"""What counts as a failed submission or request while a swarm is changed."""

from __future__ import annotations

from harness.faults.history import Entry
from harness.faults.steady import Request
from harness.verify.swarm_load import failed_requests, failed_submissions


def test_only_accepted_submissions_are_well() -> None:
    """A refusal, silence, and a program that a worker could not run are failures."""
    ended = [
        Entry("ok", 1, 0, token="t", status="Accepted"),
        Entry("ok", 1, 1, token="u", status="Internal Error"),
        Entry("fail", 1, 2, code=502, said='{"error": "no runner"}'),
        Entry("info", 1, 3, said="ReadTimeout()"),
    ]
    assert failed_submissions(ended) == [
        "submission 1: Internal Error",
        'submission 2: 502 {"error": "no runner"}',
        "submission 3: no answer ReadTimeout()",
    ]


def test_a_request_is_answered_unless_the_server_fails() -> None:
    """To be refused is an answer. Errors are told in their own words."""
    made = [
        Request(0, 1, "GET /version", 200),
        Request(0, 1, "GET /api/run", 405, "Method Not Allowed"),
        Request(0, 1, "GET /version", 502, "no server"),
        Request(0, 1, "GET /version", 0, "ReadTimeout()"),
    ]
    assert failed_requests(made) == ["GET /version: 502 no server", "GET /version: no answer ReadTimeout()"]
