"""What breaks a service on its node, and what restores it: shell, as the deployment's own is.

Each script that breaks fails where it did not work, so that what was not applied is not counted; each that
restores can be run at any time, and returns once the service answers again.
"""

from __future__ import annotations

import shlex

from harness.deploy.bundle import compose_command
from harness.deploy.remote import REQUIRE_COMPOSE, ROOT
from harness.topology.model import Service

GOOD, STALE, MARK = "wavetank-mutation:good", "wavetank.mutation", "wavetank-mutation"
FAKE_FILE, KEPT = ".mutation.yml", ".mutation.kept"
ODDS = 20
BOX = "/usr/local/bin/box"

# A sandbox that now and then adds one to every digit of what a program has printed.
WRONG_BOX = f"""\
#!/usr/bin/bash
{BOX}.honest "$@"; code=$?
if [ "$1" = run ] && [ $((RANDOM % {ODDS})) = 0 ]; then
  for each in "$@"; do
    case $each in --stdout=*) file=${{each#--stdout=}};; *) continue;; esac
    if [ -s "$file" ]; then text=$(tr 0-9 1-90 <"$file"); echo "$text" >"$file"; fi
  done
fi
exit $code
"""

RELAY = """\
address=$(getent ahostsv4 {host} | {{ read -r first _; echo "$first"; }})
[ -n "$address" ] || exit 1
mark="-m comment --comment {mark}"
from="-p tcp --dport {port} --sport {sources}"
iptables -t nat -I PREROUTING $from $mark -j DNAT --to-destination $address:{to} || exit 1
iptables -t nat -I POSTROUTING -p tcp -d $address --dport {to} $mark -j MASQUERADE || exit 1
iptables -I FORWARD -d $address $mark -j ACCEPT && iptables -I FORWARD -s $address $mark -j ACCEPT
"""
NO_RELAY = f"""\
for table in nat filter; do
  iptables -t $table -S | grep -e {MARK} | sed 's/^-A/-D/' | while read -r rule; do
    iptables -t $table $rule
  done
done
"""
WRONG_ANSWERS = f"""\
replaced='test -x {BOX} && mv {BOX} {BOX}.honest && cat >{BOX} && chmod 755 {BOX}'
for each in $(docker ps -q); do
  docker exec -i $each sh -c "$replaced" <<'END' && found=1
{WRONG_BOX}END
done
[ -n "$found" ]
"""
RIGHT_ANSWERS = f"""\
for each in $(docker ps -q); do
  docker exec $each sh -c 'if test -e {BOX}.honest; then mv -f {BOX}.honest {BOX}; fi' || true
done
"""


def prefix(service: Service) -> str:
    """``compose`` is for one service, ``again`` starts it as it was deployed, ``answers`` waits."""
    url = shlex.quote(service.health)
    asked = (
        f"curl -fsS -m 5 -o /dev/null {url} || wget -q -T 5 -O /dev/null {url}" if service.health else "true"
    )
    if service.health_headers:  # which may be secret: here any answer is one, a refusal too
        asked = f"curl -sS -m 5 -o /dev/null {url}"
    return f"""\
{REQUIRE_COMPOSE}cd {ROOT}/{shlex.quote(service.name)} || exit 1
{compose_command(service)}\
again() {{ compose up -d --no-build --force-recreate --remove-orphans; }}
answers() {{ for each in $(seq 60); do {{ {asked}; }} 2>/dev/null && return 0; sleep 1; done; return 1; }}
"""


def fake_health_check(service: Service) -> str:
    """Docker calls a container healthy in which nothing of the service runs."""
    health = '\\"healthcheck\\": {\\"test\\": [\\"CMD\\", \\"true\\"], \\"interval\\": \\"1s\\"}'
    broken = f'{{{health}, \\"entrypoint\\": [\\"sleep\\", \\"infinity\\"], \\"command\\": []}}'
    return f"""\
{prefix(service)}
{{ echo '{{"services": {{'; for each in $(compose config --services); do
  echo "$comma\\"$each\\": {broken}"; comma=,
done; echo '}}}}'; }} >{FAKE_FILE}
(files="$files:{FAKE_FILE}"; compose up -d --no-build --force-recreate) || exit 1
for each in $(seq 30); do
  state=$(docker inspect -f '{{{{.State.Health.Status}}}}' $(compose ps -q) | sort -u)
  [ "$state" = healthy ] && exit 0
  sleep 1
done
exit 1
"""


def restore_health_check(service: Service) -> str:
    """The service as it was deployed."""
    return f"{prefix(service)}\nif [ -e {FAKE_FILE} ]; then again || exit 1; rm -f {FAKE_FILE}; fi\nanswers\n"


def make_stale(service: Service) -> str:
    """The tag names another image than the one that was shipped, and this is what runs."""
    return f"""\
{prefix(service)}
one=$(compose ps -q | head -n 1); name=$(docker inspect -f '{{{{.Config.Image}}}}' $one)
docker tag $(docker inspect -f '{{{{.Image}}}}' $one) {GOOD} || exit 1
docker commit -c 'LABEL {STALE}=1' $one $name >/dev/null && again && answers
"""


def make_fresh(service: Service) -> str:
    """The tag names what was shipped, and this is what runs."""
    return f"""\
{prefix(service)}
if docker image inspect {GOOD} >/dev/null 2>&1; then
  one=$(compose ps -aq | head -n 1); name=$(docker inspect -f '{{{{.Config.Image}}}}' $one)
  docker tag {GOOD} $name && again || exit 1
  docker rmi {GOOD} >/dev/null
  docker images -q --filter label={STALE}=1 | xargs -r docker rmi -f >/dev/null
fi
answers
"""


def swap(service: Service, file: str, old: str, new: str) -> str:
    """The balancer asks the address ``new`` where it should ask ``old``."""
    address = old.replace(".", "\\.")
    return f"""\
{prefix(service)}
cp -p {file} {KEPT} && sed -i 's/\\b{address}:/{new}:/g' {file} && ! cmp -s {file} {KEPT} || exit 1
docker restart $(compose ps -q) >/dev/null && answers
"""


def swap_back(service: Service, file: str) -> str:
    """The balancer as it was deployed."""
    restored = f"mv -f {KEPT} {file} && docker restart $(compose ps -q) >/dev/null || exit 1"
    return f"{prefix(service)}\nif [ -e {KEPT} ]; then {restored}; fi\nanswers\n"


def relay(port: int, host: str, to: int, sources: str) -> str:
    """Packets to ``port`` from some source ports go on to another host."""
    return RELAY.format(mark=MARK, port=port, host=shlex.quote(host), to=to, sources=sources)
