#!/bin/bash
# Trains on all hosts of a TPU VM slice; the same command goes on after an interruption.
#
#   launch/tpu_pod.sh NAME ZONE --config=coco_panoptic:high_res \
#       --workdir=/shared/work/coco --config.data.source.root=/shared/coco
#
# The repository with its .venv is in ~/pix2seq_d on every host, and /shared is a file
# system that all of them mount. To stop it, saved: STOP=1 launch/tpu_pod.sh NAME ZONE
set -u
if [ $# -lt 2 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
fi
name=$1 zone=$2
shift 2

if [ -n "${STOP:-}" ]; then
    command='kill -TERM "$(cat ~/pix2seq_d/train.pid)"'
else
    # `exec` keeps the process id, which is noted for STOP.
    train='cd ~/pix2seq_d && echo $$ > train.pid && exec .venv/bin/python -m launch.train'
    command="bash -c $(printf '%q' "$train \"\$@\"") train $(printf '%q ' "$@")"
fi
gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="$command"
