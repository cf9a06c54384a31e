#!/bin/bash
# Trains on SLURM, one process for each GPU; goes on by itself after a time limit.
#
#   launch/slurm/train.sh [SBATCH OPTIONS] [--print] -- --config=coco_panoptic:low_res \
#       --workdir=/shared/work/coco --config.data.source.root=/shared/coco
#
#   SBATCH OPTIONS  such as --nodes=4 --time=8:00:00 --partition=NAME; without them one
#                   node of 8 GPUs for a day (launch/slurm/train.sbatch)
#   --print         show what would be run, and run nothing
#
# Run it in the repository, on a file system that all nodes see, as the workdir has to
# be. Stop, saved: scontrol update JobId=JOB Requeue=0; scancel --signal=TERM JOB. Go on:
# the same command. Logs: WORKDIR/logs, and pix2seq_d-JOB.log.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=launch/launcher.sh
. "$root/launch/launcher.sh"

options=() train=()
while [ $# -gt 0 ]; do
    case $1 in
    --) shift && train=("$@") && break ;;
    --help | -h) usage && exit ;;
    --print) option_print=yes ;;
    --config* | --workdir*) fail "$1: arguments of the training stand behind --" ;;
    *) options+=("$1") ;;
    esac
    shift
done
check_train
[ . -ef "$root" ] || fail "run it in the repository: cd $root"

run sbatch ${options[@]+"${options[@]}"} launch/slurm/train.sbatch "${train[@]}" || exit
if [ -n "$option_print" ]; then
    echo "# in the job:"
    bash launch/slurm/train.sbatch --print "${train[@]}"
fi
