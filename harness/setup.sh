#!/usr/bin/env bash
# Make this machine able to run Wavetank: a Docker engine that runs, what images are made with, an ssh client,
# and, in a clone of the project, the virtual environment in .venv. Safe to repeat, quick when nothing is missing.
#
# With --tests it also looks for what only the project's own tests use, a browser; with --vm it sees that there is
# what a virtual machine is made and run with (make local-vm).
#
# As root on Debian or Ubuntu it installs and starts what is missing. Elsewhere it says what to install.
# Exit codes: 0 all there, 3 something must be done by hand (stderr says what).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ENGINE_LOG=/var/log/wavetank-dockerd.log
ENGINE_SECONDS=60
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/wavetank

# An installation has an environment already: this script is in it.
is_clone() { [ -f pyproject.toml ]; }

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 3; }
has() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }

# --- packages -------------------------------------------------------------------------------------------

updated=
apt() {
    local status=0
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        "$@" </dev/null >"$cache/apt.log" 2>&1 9>&- || status=$?
    [ "$status" -eq 0 ] || tail -n 15 "$cache/apt.log" >&2
    return "$status"
}

apt_install() {
    if [ -z "$updated" ]; then
        say "apt-get update"
        apt update || say "apt-get update failed for some sources; going on with what there is"
        updated=yes
    fi
    say "apt-get install $*"
    apt install -y --no-install-recommends "$@"
}

python_works() { has "$1" && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if python_works "$name"; then
            command -v "$name"
            return
        fi
    done
}
can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# What is missing, as Debian's package names. An engine that answers needs no package, whoever runs it.
missing_packages() {
    local python
    if ! engine_answers && ! has dockerd; then echo docker.io; fi
    has ssh || echo openssh-client
    has zstd || echo zstd
    has mmdebstrap || echo mmdebstrap debian-archive-keyring
    if is_clone && [ ! -x .venv/bin/python ]; then
        python=$(find_python)
        if [ -z "$python" ]; then
            echo python3 python3-venv
        elif ! can_make_venv "$python"; then
            # Debian names the package after the interpreter it belongs to.
            "$python" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")'
        fi
    fi
}

install_packages() {
    local missing needed
    missing=$(missing_packages | xargs)
    [ -n "$missing" ] || return 0
    if is_root && has apt-get; then
        # shellcheck disable=SC2086 # a list of names
        apt_install $missing || fail "apt-get could not install: $missing"
        # Newer Debians keep the client in a package of its own.
        has docker || apt_install docker-cli || fail "no docker command; install Docker's command line client"
        return 0
    fi
    # Without mmdebstrap the official Debian image is pulled, without zstd more bytes travel: not worth stopping for.
    needed=$(printf '%s\n' $missing | grep -vxE 'zstd|mmdebstrap|debian-archive-keyring' | xargs || true)
    [ -n "$needed" ] || return 0
    if has apt-get; then
        fail "missing: $needed. Install them: sudo apt-get install $missing"
    fi
    fail "missing (by Debian's names): $needed. Install a Docker engine, an ssh client and Python 3.11 or newer"
}

# The tests of the report's page look at it in a browser; without it they are skipped, which is no reason to stop.
ensure_browser() {
    local name
    for name in chromium chromium-browser google-chrome; do
        if has "$name"; then return; fi
    done
    if is_root && has apt-get && apt_install chromium; then return; fi
    say "no chromium: the tests of the report's page will be skipped"
}

ensure_vm() {
    local missing=
    has qemu-system-x86_64 || missing="qemu-system-x86"
    has mke2fs || missing="$missing e2fsprogs"
    has mmdebstrap || missing="$missing mmdebstrap debian-archive-keyring"
    has unshare || missing="$missing util-linux"
    [ -n "$missing" ] || return 0
    if is_root && has apt-get; then
        # shellcheck disable=SC2086 # a list of names
        if apt_install $missing; then return; fi
    fi
    fail "missing for the virtual machine (by Debian's names): $missing"
}

# --- the engine -----------------------------------------------------------------------------------------

engine_error() { docker version --format '{{.Server.Version}}' 2>&1 >/dev/null; }
engine_answers() { has docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

wait_for_engine() {
    local end=$((SECONDS + $1))
    until engine_answers; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

start_engine() {
    if [ -d /run/systemd/system ]; then
        say "starting docker (systemctl)"
        systemctl start docker </dev/null >&2 9>&- || true
        wait_for_engine "$ENGINE_SECONDS" || fail "docker.service does not answer: see journalctl -u docker"
        return
    fi
    say "starting dockerd; its log is $ENGINE_LOG"
    # Detached, so that it outlives this script and whatever started it.
    setsid --fork dockerd </dev/null >>"$ENGINE_LOG" 2>&1 9>&-
    wait_for_engine "$ENGINE_SECONDS" || {
        tail -n 15 "$ENGINE_LOG" >&2
        fail "dockerd does not answer: its last lines are above, the rest is in $ENGINE_LOG"
    }
}

ensure_engine() {
    if engine_answers; then return; fi
    # The package's own script may just have started it.
    if [ -e /run/docker.pid ] && kill -0 "$(cat /run/docker.pid)" 2>/dev/null; then
        if wait_for_engine 15; then return; fi
    fi
    if is_root && has dockerd && [ -z "${DOCKER_HOST:-}" ]; then
        start_engine
        return
    fi
    say "$(engine_error | tail -n 1)"
    case $(engine_error) in
        *"permission denied"*) fail "you may not use the Docker engine: sudo usermod -aG docker $(id -un), then log in again" ;;
        *) fail "the Docker engine does not run: start it (sudo systemctl start docker, or Docker Desktop)" ;;
    esac
}

# --- the virtual environment ----------------------------------------------------------------------------

ensure_venv() {
    local python wanted stamp=.venv/.wavetank
    wanted=$(cksum pyproject.toml)
    if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    if ! python_works "$PWD/.venv/bin/python"; then
        python=$(find_python)
        [ -n "$python" ] || fail "no Python 3.11 or newer: install one, or name it: make PYTHON=/path/to/python"
        say "making .venv with $python"
        "$python" -m venv --clear .venv
    fi
    say "installing Wavetank and its tools into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]' </dev/null >&2 ||
        fail "pip could not install the project; what it said is above"
    # All cores at once, and no tests of libraries: pip compiles everything with one. What cannot be compiled is no module.
    .venv/bin/python -m compileall -q -q -j 0 -x '/tests?/' .venv/lib </dev/null >&2 || true
    printf '%s\n' "$wanted" >"$stamp"
}

# One at a time: two could start two engines. Where there is no flock(1), there is no engine to start either.
mkdir -p "$cache"
exec 9>"$cache/setup.lock"
if has flock; then flock --timeout 900 9 || fail "another set-up holds $cache/setup.lock"; fi

install_packages
ensure_engine
if is_clone; then ensure_venv; fi
case ${1:-} in
    --tests) ensure_browser ;;
    --vm) ensure_vm ;;
esac
