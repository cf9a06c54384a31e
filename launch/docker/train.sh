#!/bin/bash
# Trains in a container on this machine; goes on by itself where it was stopped (status
# 75), but for a stop of this command or of the container.
#
#   launch/docker/train.sh --platform=cuda --mount=/data [--build] [--print] -- \
#       --config=custom:small --workdir=/data/mine --config.data.source.root=/data/coco
#
#   --platform=NAME  cpu, cuda (all GPUs; needs the NVIDIA container toolkit) or tpu
#   --mount=DIR      seen in the container under the same path; workdir and data lie in it
#   --image=NAME     by default pix2seq_d:PLATFORM
#   --build          build the image first
#   --name=NAME      of the container, by default pix2seq_d
#   --shm=SIZE       shared memory, by default 16g
#   --print          show what would be run, and run nothing
#
# Stop, saved: Ctrl-C, SIGTERM or `docker stop NAME`. Go on: the same command.
# Logs: WORKDIR/logs.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=launch/launcher.sh
. "$root/launch/launcher.sh"

option_platform='' option_mount='' option_image='' option_build=''
option_name=pix2seq_d option_shm=16g
parse "platform mount image name shm" "build" "$@"
need platform mount
check_train
below_mount "$option_mount"

# The caller's user, so that the workdir's files are the caller's.
user=$(id -u):$(id -g)
case $option_platform in
cpu) devices=() ;;
cuda) devices=(--gpus=all) ;;
tpu)
    devices=(--privileged --net=host)
    user=0:0
    ;;
*) fail "--platform=$option_platform: give cpu, cuda or tpu" ;;
esac
image=${option_image:-pix2seq_d:$option_platform}

if [ -n "$option_build" ]; then
    run docker build --file="$root/launch/docker/Dockerfile" \
        --build-arg="PLATFORM=$option_platform" --tag="$image" "$root" || exit
fi
# --init passes signals on to run_logged, which does so to the training.
run_last docker run --rm --init --name="$option_name" --hostname="$(uname -n)" \
    ${devices[@]+"${devices[@]}"} --user="$user" --shm-size="$option_shm" \
    --stop-timeout=300 --mount="type=bind,source=$option_mount,target=$option_mount" \
    --env=HOME=/tmp --env="JAX_COMPILATION_CACHE_DIR=$workdir/compiled" \
    --entrypoint=run_logged "$image" --again "$workdir/logs" pix2seq-d train "${train[@]}"
