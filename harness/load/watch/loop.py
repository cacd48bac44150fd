"""The loop that a node runs while it is monitored: POSIX sh, and of programs only ``sleep``.

It prints lines whose fields are parted by ``|``:

- ``H|SOURCE|HZ|CORES|QUOTA|PERIOD|PARTS``, once: where CPU time comes from, ticks a second, processors, the
  control group's limit (microseconds; -1 or ``max``: none), and which hierarchy knows containers.
- ``N|ID|PROJECT|STACK|SERVICE|NAME``, for each container, whenever there are others than before.
- ``S|UPTIME|CPU|BYTES|ID=USED ID=USED ...``, once a second. ``CPU`` is raw: ns (``cgroup1``), us
  (``cgroup2``), or the first line of ``/proc/stat``; ``USED`` is ns or us.

A droplet of the emulator is a container, whose ``/proc/stat`` is its host's; systemd says in
``/run/systemd/container`` that it runs in one. There the droplet's own control group is read: as it is
mounted, it is the root of what the droplet sees. Memory is without the page cache that can be dropped at
once, as ``docker stats`` counts it; elsewhere it is MemTotal - MemAvailable.

The loop ends with its connection: what it prints next has nowhere to go, and SIGPIPE ends it.
"""

from __future__ import annotations

import shlex

LOOP = r"""
root=@ROOT@; cg=$root/sys/fs/cgroup
v1=$cg/cpuacct/cpuacct.usage; v2=$cg/cpu.stat
parts=none; own=proc; quota=-1; period=100000
if [ -e $v1 ]; then parts=cgroup1; elif [ -e $v2 ]; then parts=cgroup2; fi
if [ -s $root/run/systemd/container ]; then
    own=$parts
    if [ $own = none ]; then own=host; fi
fi
case $own in
cgroup1)
    read -r quota < $cg/cpu/cpu.cfs_quota_us || quota=-1
    read -r period < $cg/cpu/cpu.cfs_period_us || period=100000;;
cgroup2) read -r quota period < $cg/cpu.max || quota=-1;;
esac
printf 'H|%s|%s|%s|%s|%s|%s\n' $own "$(getconf CLK_TCK || echo 100)" "$(nproc)" $quota $period $parts
case $parts in
cgroup1) groups="$cg/cpuacct/docker/*/cpuacct.usage $cg/cpuacct/system.slice/docker-*.scope/cpuacct.usage";;
cgroup2) groups="$cg/docker/*/cpu.stat $cg/system.slice/docker-*.scope/cpu.stat";;
*) groups=;;
esac
names='N|{{.ID}}|{{.Label "com.docker.compose.project"}}|{{.Label "com.docker.stack.namespace"}}'
names="$names|{{.Label \"com.docker.swarm.service.name\"}}|{{.Names}}"
known=
while :; do
    ids=; used=
    for file in $groups; do
        [ -e $file ] || continue
        id=${file%/*}; id=${id##*/}; id=${id#docker-}; id=${id%.scope}
        read -r first second < $file || continue
        ids="$ids $id"; used="$used $id=${second:-$first}"
    done
    case $own in
    cgroup1)
        read -r cpu < $v1
        read -r memory < $cg/memory/memory.usage_in_bytes
        while read -r name value; do
            [ "$name" != total_inactive_file ] || memory=$((memory - value))
        done < $cg/memory/memory.stat;;
    cgroup2)
        read -r name cpu < $v2
        read -r memory < $cg/memory.current
        while read -r name value; do
            [ "$name" != inactive_file ] || memory=$((memory - value))
        done < $cg/memory.stat;;
    *)
        read -r cpu < $root/proc/stat
        while read -r name value unit; do
            case $name in MemTotal:) total=$value;; MemAvailable:) memory=$(((total - value) * 1024));; esac
        done < $root/proc/meminfo;;
    esac
    read -r up rest < $root/proc/uptime
    printf 'S|%s|%s|%s|%s\n' "$up" "$cpu" "$memory" "$used" || exit 0
    if [ "$ids" != "$known" ]; then
        timeout 5 docker ps --no-trunc --format "$names" && known=$ids
    fi
    sleep @EVERY@
done
"""


def script(every: float, *, root: str = "") -> str:
    """The loop, with ``every`` seconds between two readings; ``root`` is a prefix of all paths, for tests."""
    return LOOP.replace("@ROOT@", shlex.quote(root) if root else "").replace("@EVERY@", f"{every:g}")
