"""The metadata service's tree, from a document."""

from __future__ import annotations

import pytest
from wt_fabric.metadata import descend, render, tree

DOCUMENT = {
    "droplet_id": 12,
    "hostname": "web",
    "user_data": "#!/bin/sh\n",
    "public_keys": ["one", "two"],
    "vendor_data": "",
    "tags": ["web", "env:prod"],
    "floating_ip": {"ipv4": {"active": False}},
    "features": {"dhcp_enabled": False},
    "interfaces": {"public": [{"ipv4": {"ip_address": "203.0.113.10"}}]},
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("id", "12"),
        ("hostname", "web"),
        ("vendor-data", ""),
        ("floating_ip/ipv4/active", "false"),
        ("user-data", "#!/bin/sh\n"),
        ("public-keys", "one\ntwo"),
        ("tags", "web\nenv:prod"),
        ("features/dhcp_enabled", "false"),
        ("interfaces", "public/"),
        ("interfaces/public", "0/"),
        ("interfaces/public/0/ipv4/address", "203.0.113.10"),
    ],
)
def test_leaf_and_directory(path: str, text: str) -> None:
    """Leaves are text, directories are listings, with DigitalOcean's names."""
    assert render(descend(tree(DOCUMENT), path.split("/"))) == text


def test_the_root_lists_digitaloceans_names() -> None:
    """What has something in it, and the tags, with a slash."""
    names = "id hostname user-data public-keys vendor-data tags/ floating_ip/ features/ interfaces/"
    assert render(tree(DOCUMENT)).split("\n") == names.split()


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "interfaces/public/1",
        "hostname/more",
        "interfaces/public/x",
        "droplet_id",
        "user_data",
        "interfaces/public/0/ipv4/ip_address",
    ],
)
def test_unknown_path(path: str) -> None:
    """A KeyError, which becomes a 404; so are names of the document that are not the tree's."""
    with pytest.raises(KeyError):
        descend(tree(DOCUMENT), path.split("/"))
