"""The metadata service's tree, from a document."""

from __future__ import annotations

import pytest
from wt_fabric.metadata import descend, render

DOCUMENT = {
    "droplet_id": 12,
    "hostname": "web",
    "user_data": "#!/bin/sh\n",
    "public_keys": ["one", "two"],
    "tags": [],
    "features": {"dhcp_enabled": False},
    "interfaces": {"public": [{"ipv4": {"ip_address": "203.0.113.10"}}]},
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("droplet_id", "12"),
        ("user-data", "#!/bin/sh\n"),
        ("public-keys", "one\ntwo"),
        ("tags", ""),
        ("features/dhcp_enabled", "false"),
        ("interfaces", "public/"),
        ("interfaces/public", "0/"),
        ("interfaces/public/0/ipv4/ip_address", "203.0.113.10"),
    ],
)
def test_leaf_and_directory(path: str, text: str) -> None:
    """Leaves are text, directories are listings; dashes and underscores are the same."""
    assert render(descend(DOCUMENT, path.split("/"))) == text


@pytest.mark.parametrize("path", ["nothing", "interfaces/public/1", "hostname/more", "interfaces/public/x"])
def test_unknown_path(path: str) -> None:
    """What is not there is a KeyError, which becomes a 404."""
    with pytest.raises(KeyError):
        descend(DOCUMENT, path.split("/"))
