#!/bin/bash
# What the launchers share: options, quoting, --print. Sourced by launch/*/*.sh.
#
# Options stand before `--` and are the launcher's; what is behind it goes to
# `pix2seq-d train` unchanged.

# The comment at the top of the launcher, as its help.
usage() {
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
}

# fail MESSAGE: one line, status 2.
fail() {
    printf '%s: error: %s\n' "$0" "$1" >&2
    exit 2
}

# parse NAMES FLAGS ARGUMENT...: sets option_NAME of each --NAME=VALUE, option_FLAG=yes
# of each --FLAG, and the array train of what is behind `--`.
parse() {
    local names=" $1 " flags=" $2 print " name
    shift 2
    train=()
    while [ $# -gt 0 ]; do
        name=${1%%=*}
        name=${name#--}
        case $1 in
        --)
            shift
            train=("$@")
            return
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        --config* | --workdir*)
            fail "$1: arguments of the training stand behind --" ;;
        --*=*)
            [[ $flags != *" $name "* ]] || fail "--$name takes no value"
            [[ $names == *" $name "* ]] || fail "unknown option --$name; --help lists them"
            [ -n "${1#*=}" ] || fail "--$name is empty"
            printf -v "option_$name" %s "${1#*=}"
            ;;
        --*)
            [[ $names != *" $name "* ]] || fail "--$name needs a value: --$name=..."
            [[ $flags == *" $name "* ]] || fail "unknown option --$name; --help lists them"
            printf -v "option_$name" yes
            ;;
        *) fail "unexpected argument $1; arguments of the training stand behind --" ;;
        esac
        shift
    done
}

# need NAME...: these options were given.
need() {
    local name variable
    for name; do
        variable=option_$name
        [ -n "${!variable:-}" ] || fail "--$name is missing; --help explains it"
    done
}

# whole NAME: this option is a whole number from 1 on.
whole() {
    local variable=option_$1
    [[ ${!variable} =~ ^[1-9][0-9]*$ ]] || fail "--$1=${!variable}: give a whole number, from 1 on"
}

# check_train: the arguments behind `--` can be a training; sets workdir.
check_train() {
    local argument before='' config=''
    workdir=
    for argument in ${train[@]+"${train[@]}"}; do
        [[ $argument != *[[:cntrl:]]* ]] || fail "an argument of the training has a line break or other control character"
        case $argument in
        --config=*) config=yes ;;
        --workdir=*) workdir=${argument#--workdir=} ;;
        esac
        case $before in
        --config) config=yes ;;
        --workdir) workdir=$argument ;;
        esac
        before=$argument
    done
    [ -n "$config" ] || fail "--config is missing behind --"
    [ -n "$workdir" ] || fail "--workdir is missing behind --"
    case $workdir in
    *://*) fail "--workdir=$workdir is no folder; mount the bucket (gcsfuse) and give its path" ;;
    esac
}

# below_mount DIR: an absolute workdir below DIR, for containers.
below_mount() {
    local folder=${1%/}
    [[ $folder == /* ]] || fail "--mount=$1: give an absolute path"
    [[ $workdir == "$folder"/* ]] || fail "--workdir=$workdir is not below --mount=$1, and would be lost with the container"
}

# quoted WORD...: the words as a shell reads them, with spaces between.
quoted() {
    local word space='' quote="'\\''"
    for word; do
        case $word in
        '' | *[!A-Za-z0-9_./:=,@%+-]*)
            word=${word//\'/"$quote"}
            word="'$word'"
            ;;
        esac
        printf '%s%s' "$space" "$word"
        space=' '
    done
}

# run COMMAND...: runs it; with --print it is only shown.
run() {
    if [ -n "$option_print" ]; then
        quoted "$@"
        echo
    else
        installed "$1"
        "$@"
    fi
}

installed() {
    command -v "$1" >/dev/null || fail "$1 is not installed here, or not on the PATH"
}

# run_last COMMAND...: the same in place of this shell, so that signals reach it.
run_last() {
    if [ -z "$option_print" ]; then
        installed "$1"
        exec "$@"
    fi
    run "$@"
    exit
}

option_print=
