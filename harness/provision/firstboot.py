"""What a droplet does at its first boot: get a Docker engine, and say when it is done."""

from __future__ import annotations

MARKER = "/var/lib/wavetank/booted"

_HEAD = """\
#!/bin/sh
# Wavetank: an engine with compose, and a marker once everything here is done.
set -eu
if ! command -v docker-compose >/dev/null && ! timeout 60 docker compose version >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update -q
  apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends docker.io docker-compose-v2
  systemctl enable --now docker
fi
"""
_OWN = """\
mkdir -p /var/lib/wavetank
cat >/var/lib/wavetank/user-data <<'END-OF-USER-DATA'
{script}
END-OF-USER-DATA
chmod 700 /var/lib/wavetank/user-data
/var/lib/wavetank/user-data
"""
_TAIL = f"""\
mkdir -p /var/lib/wavetank
touch {MARKER}
"""


def user_data(script: str = "") -> str:
    """The ``user_data`` of a droplet, with the topology's own script in the middle."""
    own = _OWN.format(script=script.rstrip("\n")) if script else ""
    return _HEAD + own + _TAIL
