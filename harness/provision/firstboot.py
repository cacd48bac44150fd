"""What a droplet does at its first boot: get a Docker engine, and say when it is done."""

from __future__ import annotations

MARKER = "/var/lib/wavetank/booted"

# Compose v2 is docker-compose-v2 on Ubuntu and docker-compose on Debian 13; on Debian 12 that is 1.29.
# Debian 13 has docker's command line in a package of its own. A package that there is not has no candidate.
_HEAD = """\
#!/bin/sh
# Wavetank: an engine with Compose v2, and a marker once everything here is done.
set -eu
if ! timeout 60 docker compose version >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update -q
  offered() { apt-cache policy "$1" | grep -q '^  Candidate: [^(]'; }
  packages=docker.io compose=docker-compose
  if offered docker-compose-v2; then compose=docker-compose-v2; fi
  if offered docker-cli; then packages="$packages docker-cli"; fi
  apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends $packages $compose
  systemctl enable --now docker
  timeout 60 docker compose version || {
    echo "package $compose of this image is not Compose v2, which Wavetank needs"
    echo "  remedy: take an image that has it, such as ubuntu-24-04-x64 or debian-13-x64"
    exit 1
  } >&2
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
