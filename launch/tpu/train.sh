#!/bin/bash
# Trains on one TPU slice or several, by queued resources of Google Cloud: asks for the
# slices, waits, starts a container on each host, shows what they say, and begins again
# with new slices after a preemption.
#
#   launch/tpu/train.sh --name=NAME --zone=ZONE --type=v5litepod-16 --image=IMAGE \
#       --mount=/shared [--slices=2] [--spot] [--print] -- --config=coco_panoptic:low_res \
#       --workdir=/shared/work/coco --config.data.source.root=/shared/coco
#   launch/tpu/train.sh --name=NAME --zone=ZONE --stop      saved; the slices stay
#   launch/tpu/train.sh --name=NAME --zone=ZONE --delete    the slices, which cost money
#
#   --type=TYPE     accelerator type of a slice (v4, v5e, v5p, v6e; later ones: launch/gke)
#   --image=IMAGE   of launch/docker/Dockerfile with PLATFORM=tpu, in a registry
#   --mount=DIR     shared by all hosts; workdir and data lie in it
#   --setup=FILE    a script for each host, run before the training, which mounts DIR
#   --slices=N      by default 1
#   --spot, --reserved  what kind of capacity; by default on demand
#   --runtime=NAME  software version of the TPU VM, by default that of the type
#   --poll_s=N      seconds between looks at the state, by default 60
#   --print         show what would be run, and run nothing
#
# The containers go on when this command ends, even by Ctrl-C: the same command attaches
# to them again. Logs: WORKDIR/logs. The project is gcloud's (gcloud config set project).
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=launch/launcher.sh
. "$root/launch/launcher.sh"

option_name='' option_zone='' option_type='' option_image='' option_mount=''
option_setup='' option_slices=1 option_runtime='' option_poll_s=60
option_spot='' option_reserved='' option_stop='' option_delete=''
parse "name zone type image mount setup slices runtime poll_s" \
    "spot reserved stop delete" "$@"
need name zone
name=$option_name
resource() {  # VERB [ARGUMENT...]
    local verb=$1
    shift
    run gcloud compute tpus queued-resources "$verb" "$name" --zone="$option_zone" "$@"
}
# By default gcloud takes 64 hosts, and the others when those have ended.
on_all_hosts() {
    resource ssh --node=all --worker=all --batch-size=all \
        --ssh-flag=-oServerAliveInterval=30 --command="$1"
}
mark='pix2seq_d: this host is done' marked="echo 'pix2seq_d: this host is done'"
# A command that ends with $marked: gcloud's status; 255, as of a lost connection, where
# gcloud takes it for success that it reached no host.
reached() {
    local line found='' statuses
    on_all_hosts "$1" | {
        # Not by awk, of which some wait for a full block.
        while IFS= read -r line || [ -n "$line" ]; do
            printf '%s\n' "$line"
            [[ $line != *"$mark"* ]] || found=yes
        done
        [ -n "$found" ]
    }
    statuses=("${PIPESTATUS[@]}")
    [ "${statuses[0]}" -eq 0 ] || return "${statuses[0]}"
    [ "${statuses[1]}" -eq 0 ] || return 255
}
if [ -n "$option_stop" ]; then
    # The signal goes to the training, which may take this long to save.
    stop="sudo docker stop -t 300 pix2seq_d && $marked"
    if [ -n "$option_print" ]; then
        on_all_hosts "$stop"
        exit
    fi
    reached "$stop"
    status=$?
    [ "$status" -ne 255 ] || echo "error: --stop: not every host was reached; give it again" >&2
    exit "$status"
fi
if [ -n "$option_delete" ]; then
    resource delete --force --quiet
    exit
fi

need type image mount
whole slices
whole poll_s
check_train
below_mount "$option_mount"
if [ -z "$option_runtime" ]; then
    case $option_type in
    v6e-*) option_runtime=v2-alpha-tpuv6e ;;
    v5p-*) option_runtime=v2-alpha-tpuv5 ;;
    v5litepod-*) option_runtime=v2-alpha-tpuv5-lite ;;
    v2-* | v3-* | v4-*) option_runtime=tpu-ubuntu2204-base ;;
    *) fail "--type=$option_type: no known software version; add --runtime=NAME" ;;
    esac
fi
capacity=()
[ -z "$option_spot" ] || capacity+=(--spot)
[ -z "$option_reserved" ] || capacity+=(--reserved)
[ ${#capacity[@]} -lt 2 ] || fail "--spot and --reserved exclude each other"
nodes=(--node-id="$name")
[ "$option_slices" -eq 1 ] || nodes=(--node-count="$option_slices" --node-prefix="$name")
setup=''
if [ -n "$option_setup" ]; then
    [ -r "$option_setup" ] || fail "--setup=$option_setup cannot be read"
    setup="bash -c $(quoted "$(cat "$option_setup")") && $marked"
fi

# What a host does: the container is found running, or started, and followed.
container=(sudo docker run --detach --init --name=pix2seq_d --privileged --net=host
    --user=0:0 --shm-size=16g --stop-timeout=300
    --mount="type=bind,source=$option_mount,target=$option_mount"
    --env="JAX_COMPILATION_CACHE_DIR=$workdir/compiled" --entrypoint=run_logged
    "$option_image" "$workdir/logs" pix2seq-d train "${train[@]}")
login=''
case $option_image in
*-docker.pkg.dev/*) login="sudo gcloud auth configure-docker ${option_image%%/*} --quiet && " ;;
esac
# shellcheck disable=SC2016  # the host's shell expands it
host='if [ -z "$(sudo docker ps --quiet --filter name=^pix2seq_d$)" ]; then '
host+='sudo docker rm --force pix2seq_d >/dev/null 2>&1; '
host+="$login$(quoted "${container[@]}") >/dev/null || exit; fi; "
# shellcheck disable=SC2016
host+='sudo docker logs --follow --tail=20 pix2seq_d; '
# shellcheck disable=SC2016
host+='status=$(sudo docker wait pix2seq_d); [ "$status" != 0 ] || '"$marked"
# shellcheck disable=SC2016
host+='; exit "$status"'

create() {
    resource create --accelerator-type="$option_type" \
        --runtime-version="$option_runtime" "${nodes[@]}" ${capacity[@]+"${capacity[@]}"}
}
if [ -n "$option_print" ]; then
    echo "# unless it is there:"
    create
    echo "# when its state is ACTIVE:"
    [ -z "$setup" ] || on_all_hosts "$setup"
    on_all_hosts "$host"
    echo "# after a preemption, before it is created again:"
    printf '# %s\n' "$(resource delete --force --quiet)"
    exit
fi

state() {  # ABSENT, ACTIVE, ..., UNKNOWN
    local text
    if text=$(resource describe --format='value(state.state)' 2>&1); then
        printf %s "${text##*$'\n'}"
    elif [[ $text == *NOT_FOUND* ]]; then
        printf ABSENT
    else
        printf '%s\n' "$text" >&2
        printf UNKNOWN
    fi
}

say() {
    printf '%s %s: %s\n' "$(date +%H:%M:%S)" "$name" "$1" >&2
}

installed gcloud
created='' told='' lost=0
while :; do
    now=$(state)
    # Not even a first answer: gcloud said what is wrong.
    [ "$told$now" != UNKNOWN ] || exit 1
    [ "$now" = "$told" ] || say "$now"
    told=$now
    case $now in
    ACTIVE)
        status=0 began=$SECONDS
        [ -z "$setup" ] || reached "$setup" || status=$?
        if [ "$status" -eq 0 ]; then
            reached "$host"
            status=$?
        fi
        took=$((SECONDS - began))
        if [ "$status" -eq 0 ]; then
            say "trained; the slices cost money until $0 --name=$name --zone=$option_zone --delete"
            exit
        fi
        # Stopped, failed, or taken away? The state tells a little later.
        sleep "$option_poll_s"
        told=$(state)
        if [ "$told" = ACTIVE ] && [ "$status" -ne 255 ]; then
            say "ended with status $status"
            exit "$status"
        fi
        say "status $status, $told"
        # Hosts that are there, and only for a moment or not at all reached.
        [ "$told" = ACTIVE ] && [ "$took" -lt 300 ] || lost=0
        [ "$told" != ACTIVE ] || lost=$((lost + 1))
        [ "$lost" -lt 20 ] || fail "not every host was reached 20 times in a row, see above; the slices cost money until $0 --name=$name --zone=$option_zone --delete"
        ;;
    ABSENT)
        create || exit
        created=yes
        ;;
    SUSPENDED)
        resource delete --force --quiet || exit
        ;;
    FAILED)
        [ -z "$created" ] || fail "the request failed; gcloud compute tpus queued-resources describe $name --zone=$option_zone says why"
        resource delete --force --quiet || exit
        ;;
    *) sleep "$option_poll_s" ;;
    esac
done
