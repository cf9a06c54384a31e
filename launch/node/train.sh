#!/bin/bash
# Trains on this machine, in one process that takes all its GPUs; goes on by itself
# where it was stopped (status 75), but for a stop of this command.
#
#   launch/node/train.sh [--gpus=0,1] [--print] -- --config=custom:small \
#       --workdir=work/mine --config.data.source.root=DIR
#
#   --gpus=LIST   numbers of the GPUs to take; all by default
#   --print       show what would be run, and run nothing
#
# Stop, saved: Ctrl-C, SIGTERM, or the terminal is gone (nohup, tmux: it goes on). Go on:
# the same command. Logs: WORKDIR/logs.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=launch/launcher.sh
. "$root/launch/launcher.sh"

option_gpus=''
parse "gpus" "" "$@"
check_train
[[ $option_gpus =~ ^([0-9]+(,[0-9]+)*)?$ ]] || fail "--gpus=$option_gpus: give numbers, e.g. 0,1"

program=$(command -v pix2seq-d) || program=$root/.venv/bin/pix2seq-d
[ -x "$program" ] || fail "pix2seq-d is not installed; pip install '.[cuda]' in $root"
command=("$program" train "${train[@]}")
if [ -n "$option_gpus" ]; then
    command=(env "CUDA_VISIBLE_DEVICES=$option_gpus" "${command[@]}")
fi
run_last "$root/launch/run_logged.sh" --again "$workdir/logs" "${command[@]}"
