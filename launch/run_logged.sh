#!/bin/bash
# Runs one process of a training; its console goes to FOLDER/HOST[-PROCESS].log, too.
#
#   launch/run_logged.sh [--again] FOLDER COMMAND [ARGUMENT ...]
#
# SIGTERM and SIGINT are passed on to the command, whose status is the script's, and the
# SIGHUP of a terminal that is gone as SIGTERM. --again runs a command that ended with 75
# (stopped and saved) again, unless the script itself was told to stop.
set -u
again=
if [ "${1:-}" = --again ]; then
    again=yes
    shift
fi
if [ $# -lt 2 ]; then
    sed -n '4s/^# *//p' "$0" >&2
    exit 2
fi
folder=$1
shift

# The command gets a process group of its own: a terminal's Ctrl-C, which all of a group
# receive, reaches it once. Nor does it ignore SIGINT, as other background commands do.
set -m
mkdir -p "$folder" || exit 1
process=${SLURM_PROCID:-${JOB_COMPLETION_INDEX:-}}
log=$folder/$(uname -n)${process:+-$process}.log
# tee stays until the command has said its last word.
exec > >(trap '' TERM INT HUP && exec tee -a "$log") 2>&1
tee=$!
export PYTHONUNBUFFERED=1

stopped='' child=''
# shellcheck disable=SC2329  # the traps call it
pass_on() {
    stopped=yes
    [ -z "$child" ] || kill "-$1" "$child" 2>/dev/null
}
trap 'pass_on TERM' TERM HUP
trap 'pass_on INT' INT

while :; do
    printf '%s %s:' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(uname -n)"
    printf ' %q' "$@"
    echo
    "$@" </dev/null &
    child=$!
    # A signal that came before there was a child.
    [ -z "$stopped" ] || kill -TERM "$child" 2>/dev/null
    # A signal to this script ends `wait`, not the command.
    while wait "$child"; kill -0 "$child" 2>/dev/null; do :; done
    wait "$child"
    status=$?
    child=
    if [ "$status" -ne 75 ] || [ -z "$again" ] || [ -n "$stopped" ]; then
        break
    fi
    echo "stopped and saved; it goes on"
done
exec >&- 2>&-
wait "$tee" 2>/dev/null
exit "$status"
