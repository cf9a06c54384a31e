#!/bin/bash
# Trains on TPU slices of Google Kubernetes Engine, as a JobSet: begins again on status
# 75 and after a preemption, however often, and after errors --restarts times.
#
#   launch/gke/train.sh --accelerator=tpu-v5-lite-podslice --topology=4x4 --image=IMAGE \
#       --mount=/shared --claim=CLAIM [--slices=2] [--print] -- \
#       --config=coco_panoptic:low_res --workdir=/shared/work/coco \
#       --config.data.source.root=/shared/coco
#   launch/gke/train.sh --name=NAME --stop      saved, if in time (--grace_s)
#
#   --accelerator=NAME   label of the node pool, as is the
#   --topology=AxB[xC]   chips of a slice
#   --chips_per_host=N   by default 4
#   --slices=N           by default 1; several only of several hosts each
#   --image=IMAGE        of launch/docker/Dockerfile with PLATFORM=tpu, in a registry
#   --mount=DIR          where the pods see the volume; workdir and data lie in it
#   --claim=NAME         a PersistentVolumeClaim that all pods can write, or
#   --bucket=NAME        a bucket with hierarchical namespace, by the Cloud Storage FUSE
#                        driver, 1.17.2 or later: the pods are on the hosts' network
#   --account=NAME       Kubernetes service account, which may use the bucket
#   --name=NAME          of the JobSet, by default pix2seq-d
#   --restarts=N         after errors, by default 3
#   --grace_s=N          from SIGTERM to SIGKILL, by default 120
#   --print              show what would be run, and run nothing
#
# The cluster is kubectl's, and has the JobSet controller, 0.6 or later. Go on: --stop,
# then the same command. Logs: WORKDIR/logs.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=launch/launcher.sh
. "$root/launch/launcher.sh"

option_accelerator='' option_topology='' option_chips_per_host=4 option_slices=1
option_image='' option_mount='' option_claim='' option_bucket='' option_account=''
option_name=pix2seq-d option_restarts=3 option_grace_s=120 option_stop=''
parse "accelerator topology chips_per_host slices image mount claim bucket account name \
    restarts grace_s" "stop" "$@"
name=$option_name
[[ $name =~ ^[a-z]([a-z0-9-]*[a-z0-9])?$ ]] || fail "--name=$name: small letters, digits and -"
if [ -n "$option_stop" ]; then
    run_last kubectl delete jobset "$name"
fi

need accelerator topology image mount
for number in chips_per_host slices restarts grace_s; do whole "$number"; done
check_train
below_mount "$option_mount"
[[ $option_topology =~ ^[1-9][0-9]*(x[1-9][0-9]*){1,2}$ ]] || fail "--topology=$option_topology: give e.g. 4x4 or 2x2x4"
chips=$((${option_topology//x/*}))
[ $((chips % option_chips_per_host)) -eq 0 ] || fail "--topology=$option_topology has $chips chips, which hosts of $option_chips_per_host do not make up"
hosts=$((chips / option_chips_per_host))
[ "$hosts" -gt 1 ] || [ "$option_slices" -eq 1 ] || fail "--slices=$option_slices: GKE joins no slices of one host each; take one larger slice"

text() {  # WORD: as a string of YAML; Kubernetes makes $ of $$
    local word=${1//\\/\\\\}
    word=${word//\"/\\\"}
    printf '"%s"' "${word//\$/\$\$}"
}
items() {  # WORD...: as lines of a list
    local word
    for word; do printf '\n                    - %s' "$(text "$word")"; done
}

annotations='' volume=''
case ${option_claim:+claim}${option_bucket:+bucket} in
claim) volume="persistentVolumeClaim: {claimName: $(text "$option_claim")}" ;;
bucket)
    annotations='
            metadata:
              annotations: {gke-gcsfuse/volumes: "true"}'
    volume="csi:
                    driver: gcsfuse.csi.storage.gke.io
                    volumeAttributes: {bucketName: $(text "$option_bucket"), mountOptions: implicit-dirs,
                      hostNetworkPodKSA: 'true'}"
    ;;
*) fail "give --claim or --bucket, one of them" ;;
esac
# The hosts of a slice are one node pool. A slice of one host is a node, of which a pool
# may have others.
exclusive=''
[ "$hosts" -eq 1 ] || exclusive='
  annotations: {alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool}'
account=${option_account:+"
              serviceAccountName: $(text "$option_account")"}

manifest=$(
    cat <<MANIFEST
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $name$exclusive
spec:
  failurePolicy:
    maxRestarts: $option_restarts  # after errors
    rules:
      # Stopped and saved, or taken away: all start again, however often.
      - name: stopped
        action: RestartJobSetAndIgnoreMaxRestarts
        onJobFailureReasons: [PodFailurePolicy]
  replicatedJobs:
    - name: slice
      replicas: $option_slices
      template:
        spec:
          completionMode: Indexed
          completions: $hosts  # hosts of a slice
          parallelism: $hosts
          backoffLimit: 0
          podFailurePolicy:
            rules:
              - action: FailJob
                onExitCodes: {containerName: train, operator: In, values: [75]}
              - action: FailJob
                onPodConditions: [{type: DisruptionTarget, status: "True"}]
          template:$annotations
            spec:
              restartPolicy: Never
              # From SIGTERM to SIGKILL: the step under way, and saving.
              terminationGracePeriodSeconds: $option_grace_s$account
              # Slices talk over the network of their hosts.
              hostNetwork: true
              dnsPolicy: ClusterFirstWithHostNet
              nodeSelector:
                cloud.google.com/gke-tpu-accelerator: $(text "$option_accelerator")
                cloud.google.com/gke-tpu-topology: $(text "$option_topology")
              containers:
                - name: train
                  image: $(text "$option_image")
                  # Process 1 of the container passes SIGTERM on to the training.
                  command:$(items run_logged "$workdir/logs" pix2seq-d train "${train[@]}")
                  env:
                    - name: JAX_COMPILATION_CACHE_DIR
                      value: $(text "$workdir/compiled")
                  # The chips' device files belong to root.
                  securityContext: {privileged: true, runAsUser: 0}
                  resources:
                    limits: {google.com/tpu: $option_chips_per_host}
                  volumeMounts:
                    - {name: shared, mountPath: $(text "$option_mount")}
              volumes:
                - name: shared
                  $volume
MANIFEST
)
if [ -n "$option_print" ]; then
    printf "kubectl create --filename=- <<'MANIFEST'\n%s\nMANIFEST\n" "$manifest"
else
    installed kubectl
    # `apply` would leave a JobSet that has ended as it is.
    kubectl create --filename=- <<<"$manifest"
fi
