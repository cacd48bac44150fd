"""What is kept out of everything that is printed or kept."""

from __future__ import annotations

import pytest

from harness.core.masking import mask

WORKER = "SWMTKN-1-49nj1cmql0jkz5s954yi3oex3nedyz0fb0xx14ie39trti4wxv-8vxv8rssmk743ojnwacrr2e7c"
KEY = "SWMKEY-1-7c37Cc8654o6p38HnroywCi19pllOnGtbdZEgtKxZu8"


@pytest.mark.parametrize("secret", [WORKER, KEY, "SWMKEY-1-a+b/c"])
def test_what_admits_to_a_swarm_is_masked_without_being_known(secret: str) -> None:
    """Tokens are made on the droplets, and tell themselves by how they begin."""
    text = mask(f"docker swarm join --token {secret} 10.1.0.10:2377\n'{secret}'", ())
    assert secret.partition("-1-")[2] not in text
    assert text.endswith("10.1.0.10:2377\n'" + secret[:6] + "-********'")


def test_known_secrets_are_masked_wherever_they_are() -> None:
    """Also inside of a word."""
    assert mask("postgres://u:hunter22@db", ["hunter22"]) == "postgres://u:********@db"
