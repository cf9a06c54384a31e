#!/bin/bash
# Trains on TPU slices of a cluster that XPK (pip install xpk) made; XPK writes the
# JobSet. It restarts on status 75, too, but all restarts count.
#
#   launch/gke/xpk.sh --cluster=CLUSTER --type=v5litepod-16 --image=IMAGE \
#       --mount=/shared --storage=STORAGE [--slices=2] [--print] -- \
#       --config=coco_panoptic:low_res --workdir=/shared/work/coco \
#       --config.data.source.root=/shared/coco
#   launch/gke/xpk.sh --cluster=CLUSTER --name=NAME --stop      saved, if in time
#
#   --type=TYPE      accelerator type of a slice
#   --slices=N       by default 1; several only of several hosts each
#   --image=IMAGE    of launch/docker/Dockerfile with PLATFORM=tpu and USER_ID=0, in a
#                    registry: XPK says nothing about the user, the chips are root's
#   --storage=NAME   attached to the cluster by `xpk storage`, and there seen as
#   --mount=DIR      workdir and data lie in it
#   --name=NAME      of the workload, by default pix2seq-d
#   --restarts=N     by default 100
#   --grace_s=N      from SIGTERM to SIGKILL, by default 120
#   --print          show what would be run, and run nothing
#
# Project and zone are gcloud's. Go on: --stop, then the same command. Logs: WORKDIR/logs.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=launch/launcher.sh
. "$root/launch/launcher.sh"

option_cluster='' option_type='' option_slices=1 option_image='' option_storage=''
option_mount='' option_name=pix2seq-d option_restarts=100 option_grace_s=120 option_stop=''
parse "cluster type slices image storage mount name restarts grace_s" "stop" "$@"
need cluster
if [ -n "$option_stop" ]; then
    run_last xpk workload delete --cluster="$option_cluster" --workload="$option_name"
fi
need type image storage mount
for number in slices restarts grace_s; do whole "$number"; done
check_train
below_mount "$option_mount"

# XPK sends SIGTERM to a shell, which has to be the process itself. Kubernetes makes $
# of $$.
command="exec $(quoted run_logged "$workdir/logs" pix2seq-d train "${train[@]}")"
run_last xpk workload create --cluster="$option_cluster" --workload="$option_name" \
    --tpu-type="$option_type" --num-slices="$option_slices" \
    --docker-image="$option_image" --storage="$option_storage" \
    --max-restarts="$option_restarts" --restart-on-exit-codes=75 \
    --termination-grace-period-seconds="$option_grace_s" --command="${command//\$/\$\$}"
