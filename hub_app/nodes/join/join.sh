#!/bin/sh
# Makes this machine the HARVESTER node @NODE@. The hub's line runs it:
#   curl ... | sudo sh                                    what the machine finds by itself
#   curl ... | sudo sh -s -- --dht22 4 --leds 10          and what it cannot find
#   curl ... | sudo sh -s -- --light                      the light service, without plugins
#   curl ... | sh -s -- --dry-run                         the steps; changes nothing
# Everything is in functions, so that a download which is cut off does nothing.
set -eu
umask 022

hub='@HUB@'
pin='@PIN@'
code='@CODE@'
node='@NODE@'
# Each yes or no: a machine with this name is replaced, a machine has used the code, and the person
# here is asked for what is attached.
replace='@REPLACE@'
used='@USED@'
asks='@ASKS@'
state=/var/lib/harvester-join
environment=$state/environment
credentials=/etc/harvester/credentials.toml
command=/usr/local/bin/harvester

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
}

# A join that was interrupted leaves its token in $state, and is continued.
check_is_new() {
    [ ! -e "$state/join.json" ] || return 0
    if [ -e "$credentials" ] && [ "$replace" = no ]; then
        name=$(sed -n 's/^username = "\(.*\)"$/\1/p' "$credentials")
        purge='sudo harvester uninstall --purge'
        # An uninstall without --purge keeps the login, and removes the command.
        [ -e "$command" ] || purge='sudo rm -r /etc/harvester /var/lib/harvester-*'
        fail "this machine is a node already, $name. To join again under that name, run the line" \
            "of \"sudo harvester join-code $name --replace\". To make another node of it, run" \
            "\"$purge\" here first"
    fi
    [ "$used" = no ] ||
        fail "a machine has used this code for $node; make another on the hub: sudo harvester join-code NAME"
}

has_python() {
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

apt_install() {
    say "installing $*"
    apt-get update -qq || say 'the package lists could not be renewed; trying with those here'
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

get_python() {
    ! has_python || return 0
    command -v apt-get >/dev/null || fail 'found no Python 3.11 with venv; install both'
    apt_install python3 python3-venv ||
        fail 'python3-venv could not be installed; see above, then run the line again'
    has_python || fail 'found a Python older than 3.11; install Debian 12 or newer'
}

# Sets extras: libraries by machine. "light" is the service for 512 MB, without plugins.
choose_extras() {
    extras=agent
    case " $* " in *' --light '*) extras=light ;; esac
    memory_kb=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)
    model=$(tr -d '\0' 2>/dev/null </proc/device-tree/model || true)
    case $model in
    *Raspberry* | *RevPi* | *'Compute Module'*)
        [ "$memory_kb" -ge 614400 ] || extras=light
        [ "$extras" = light ] || extras=agent,pi
        ;;
    esac
    say "${model:-no Raspberry Pi}, $((memory_kb / 1024)) MB: ${extras}"
}

# Asks for numbers, of at most $2; sets numbers.
ask() {
    while :; do
        printf '  %s: ' "$1" >/dev/tty
        read -r numbers </dev/tty || numbers=''
        case $numbers in
        *[!0-9\ ]*) printf '  Numbers with spaces between them, or nothing.\n' >/dev/tty ;;
        *)
            # The words of it.
            # shellcheck disable=SC2086
            [ "$(set -- $numbers && echo $#)" -gt "$2" ] || return 0
            printf '  At most %s.\n' "$2" >/dev/tty
            ;;
        esac
    done
}

# Sets attached: options for what gives no sign of itself. Asks at a terminal only.
ask_what_is_attached() {
    attached=''
    [ "$asks" = yes ] && [ "$extras" != light ] && [ "$#" = 0 ] && [ -t 1 ] || return 0
    (: </dev/tty) 2>/dev/null || return 0
    printf 'What is attached? BCM pins, as in GPIO 4; Enter where there is none.\n' >/dev/tty
    ask 'pins of DHT22 sensors' 8
    for number in $numbers; do attached="$attached --dht22 $number"; done
    ask 'LEDs of a WS2812B strip on pin 10' 1
    [ -z "$numbers" ] || attached="$attached --leds $numbers"
    ask "pin of the buzzer's relay" 1
    [ -z "$numbers" ] || attached="$attached --buzzer $numbers"
    ask "pin of the fan's relay" 1
    [ -z "$numbers" ] || attached="$attached --fan $numbers"
}

list_wheels() {
    fetch "$hub/join/$code/wheels?machine=$(uname -m)&extras=$extras"
}

fetch_wheels() {
    rm -rf "$state/wheels"
    mkdir -p "$state/wheels"
    list_wheels >"$state/names" || fail 'the hub gave no list of wheels; its log tells why'
    while read -r name; do
        fetch -o "$state/wheels/$name" "$hub/join/$code/wheels/$name" ||
            fail "$name could not be fetched from the hub"
    done <"$state/names"
    say "fetched $(wc -l <"$state/names") wheels from the hub"
}

pip_install() {
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
        --retries 2 --find-links "$state/wheels" "$@" "$wanted" >"$state/pip.log" 2>&1
}

# Some libraries of a Raspberry Pi are distributed as source only.
get_compiler() {
    case $extras in
    *pi*) ;;
    *) return 0 ;;
    esac
    include=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
    if [ -e "$include/Python.h" ] && command -v gcc >/dev/null; then return 0; fi
    apt_install gcc libc6-dev python3-dev || say 'found no compiler; trying without'
}

# `harvester join` copies the program from here to its place, as `harvester install node` does.
install_program() {
    # Another run of the line uses what is complete.
    [ ! -e "$environment/complete" ] || return 0
    fetch_wheels
    wanted=$state/wheels/$(head -n 1 "$state/names")
    [ "$extras" = light ] || wanted="${wanted}[$extras]"
    rm -rf "$environment"
    python3 -m venv "$environment"
    say 'installing'
    # The hub's wheels alone where they suffice: without an index, pip would wait for it.
    if ! pip_install --no-index; then
        say 'the hub lacks some wheels for this machine; asking the package index'
        get_compiler
        pip_install || {
            tail -n 15 "$state/pip.log" >&2
            fail 'the libraries could not be installed (see above). Give this machine a way to the' \
                'internet, or put their wheels into the folder "wheels" of the hub, and run the' \
                'line again'
        }
    fi
    # After a power cut, what is marked as complete must be on the disk.
    sync -f "$environment"
    : >"$environment/complete"
}

dry_run() {
    choose_extras "$@"
    has_python || say 'would install python3 and python3-venv'
    say "would fetch $(list_wheels | wc -l) wheels from the hub, and install them"
    say "would get the login of $node, and do the steps of \"harvester install node\""
    say 'would wait until the node is online'
}

join() {
    case " $* " in
    *' --dry-run '*)
        dry_run "$@"
        exit 0
        ;;
    esac
    check_machine
    check_is_new
    mkdir -p "$state"
    chmod 700 "$state"
    choose_extras "$@"
    ask_what_is_attached "$@"
    get_python
    install_program
    [ "$extras" != light ] || attached=--light
    cat >"$state/ca.pem" <<'PEM'
@CA@
PEM
    # $attached is a list of words.
    # shellcheck disable=SC2086
    HARVESTER_JOIN_CODE=$code "$environment/bin/harvester" join "$hub" --node "$node" \
        --ca "$state/ca.pem" --state "$state" $attached "$@" </dev/null ||
        fail "not finished; see above. The same line may be run again within its 15 minutes"
    rm -rf "$state"
}

join "$@"
