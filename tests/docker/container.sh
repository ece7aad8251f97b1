#!/usr/bin/env bash
# Runs a command under the restrictions of compose.yaml, on a machine without a docker engine (as root, on Linux):
#
#   unshare --mount --pid --net --fork container.sh ENVIRONMENT DATA ro|rw COMMAND
#
# The command has its own mounts, processes and network, a read-only root, user 1000 without capabilities, a /dev/shm of
# docker's default size, and a /run/bark from which nothing can be executed. ENVIRONMENT is a virtual environment that
# stands for the image. DATA holds the volumes; with `ro`, only voices can be written.
set -euo pipefail

environment=$1 data=$2 volumes=$3 command=$4
docker=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../docker" && pwd)
root=$(mktemp -d)
trap 'rmdir "$root"' ERR

read_only() { # read_only SOURCE TARGET
    mkdir -p "$2"
    mount --bind "$1" "$2"
    mount -o remount,ro,bind "$2"
}

mount -t tmpfs none "$root"
read_only /usr "$root/usr"
read_only /etc "$root/etc"
for link in bin lib lib64 sbin; do ln -s "usr/$link" "$root/$link"; done
mkdir -p "$root"/{proc,tmp,dev/shm,run/bark}
mount -t proc none "$root/proc"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o size=64m,nosuid,nodev,noexec,mode=1777 none "$root/dev/shm"
mount -t tmpfs -o size=1g,nosuid,nodev,mode=1777 none "$root/tmp"
mount -t tmpfs -o size=256m,nosuid,nodev,noexec,mode=1777 none "$root/run/bark"
base=$("$environment/bin/python" -c 'import sys; print(sys.base_prefix)')
case $base in /usr | /usr/*) ;; *) read_only "$base" "$root$base" ;; esac
read_only "$environment" "$root$environment"
read_only "$docker" "$root/image"
for volume in bundles engines voices checkpoints; do
    mkdir -p "$data/$volume" "$root/data/$volume"
    chown 1000:1000 "$data/$volume"
    mount --bind "$data/$volume" "$root/data/$volume"
    if [ "$volumes" = ro ] && [ "$volume" != voices ]; then mount -o remount,ro,bind "$root/data/$volume"; fi
done
mount -o remount,ro "$root"
ip link set lo up

exec chroot "$root" setpriv --reuid=1000 --regid=1000 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \
    env --ignore-environment PATH="$environment/bin:/usr/bin:/bin" HOME=/tmp PYTHONUNBUFFERED=1 OMP_NUM_THREADS=2 \
    ORT_DISABLE_TELEMETRY=1 BARK_ENGINES=/data/engines BARK_STATE=/run/bark/server BARK_VOICES=/data/voices \
    bash -c "cd /run/bark && $command"
