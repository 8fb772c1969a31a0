#!/bin/sh
# Makes this machine the HARVESTER node @NODE@. The hub's line runs it:
#   curl ... | sudo sh                                    what the machine finds by itself
#   curl ... | sudo sh -s -- --dht22 4 --leds 10          and what it cannot find
# Everything is in functions, so that a download which is cut off does nothing.
set -eu
umask 022

hub='@HUB@'
pin='@PIN@'
code='@CODE@'
node='@NODE@'
replace='@REPLACE@'
state=/var/lib/harvester-join
environments=/opt/harvester/environments
credentials=/etc/harvester/credentials.toml

say() { printf 'harvester: %s\n' "$*"; }

fail() {
    printf 'harvester: %s\n' "$*" >&2
    exit 1
}

fetch() {
    curl -fsSk --retry 3 --connect-timeout 15 --pinnedpubkey "$pin" "$@"
}

check_machine() {
    [ "$(id -u)" = 0 ] || fail 'this sets up the machine: the line must end with "| sudo sh"'
    [ -d /run/systemd/system ] || fail 'found no systemd running, which starts the service'
    [ "$(getconf LONG_BIT)" = 64 ] ||
        fail 'found a 32-bit system; install the 64-bit Raspberry Pi OS (Lite) and run the line again'
    [ ! -e /etc/harvester/hub.toml ] || fail 'this machine is a hub; run the line on another one'
    if [ -e "$credentials" ] && [ ! -e "$state/join.json" ] && [ "$replace" = no ]; then
        fail "this machine is a node already ($credentials). To set it up anew under the same" \
            "name: harvester join-code --replace $node"
    fi
}

has_python() {
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

get_python() {
    has_python && return
    command -v apt-get >/dev/null || fail 'found no Python 3.11 with venv; install both'
    say 'installing python3 and python3-venv'
    apt-get update -qq || say 'the package lists could not be renewed; trying with those here'
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 python3-venv >/dev/null ||
        fail 'python3-venv could not be installed; see above, then run the line again'
    has_python || fail 'found a Python older than 3.11; install Debian 12 or newer'
}

# Sets extras: libraries by machine. "light" is the service for 512 MB, without plugins.
choose_extras() {
    extras=agent
    memory_kb=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)
    model=$(tr -d '\0' 2>/dev/null </proc/device-tree/model || true)
    case $model in
    *Raspberry* | *RevPi* | *'Compute Module'*)
        extras=agent,pi
        [ "$memory_kb" -ge 614400 ] || extras=light
        ;;
    esac
    say "${model:-no Raspberry Pi}, $((memory_kb / 1024)) MB: ${extras}"
}

fetch_wheels() {
    rm -rf "$state/wheels"
    mkdir -p "$state/wheels"
    fetch "$hub/join/$code/wheels?machine=$(uname -m)&extras=$extras" >"$state/names"
    while read -r name; do
        fetch -o "$state/wheels/$name" "$hub/join/$code/wheels/$name"
    done <"$state/names"
    say "fetched $(wc -l <"$state/names") wheels from the hub"
}

pip_install() {
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
        --find-links "$state/wheels" "$@" "$wanted" >"$state/pip.log" 2>&1
}

# Another run of the line uses an environment that is complete.
install_program() {
    environment=$environments/join-$(printf %.10s "$code")
    [ ! -e "$environment/complete" ] || return 0
    fetch_wheels
    wanted=$state/wheels/$(head -n 1 "$state/names")
    [ "$extras" = light ] || wanted="${wanted}[$extras]"
    rm -rf "$environment"
    mkdir -p "$environments"
    python3 -m venv "$environment"
    say 'installing'
    # The hub's wheels alone where they suffice: without an index, pip would wait for it.
    if ! pip_install --no-index; then
        say 'the hub lacks some wheels for this machine; asking the package index'
        pip_install || {
            tail -n 15 "$state/pip.log" >&2
            fail 'the libraries could not be installed (see above). Give this machine a way to the' \
                'internet, or put their wheels into the folder "wheels" of the hub, and run the' \
                'line again'
        }
    fi
    sync
    : >"$environment/complete"
}

join() {
    check_machine
    mkdir -p "$state"
    chmod 700 "$state"
    get_python
    choose_extras
    install_program
    light=''
    [ "$extras" != light ] || light=--light
    cat >"$state/ca.pem" <<'PEM'
@CA@
PEM
    # $light is one word or none.
    # shellcheck disable=SC2086
    HARVESTER_JOIN_CODE=$code "$environment/bin/harvester" join "$hub" --node "$node" \
        --ca "$state/ca.pem" --state "$state" --environment "$environment" $light "$@" </dev/null ||
        fail "not finished; see above. The same line may be run again within its 15 minutes"
    rm -rf "$state"
}

join "$@"
