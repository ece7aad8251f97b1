#!/usr/bin/env bash
# Fills a folder with what the images start from, where no registry can be reached (as root, on Debian):
#
#   stand-in-base.sh FOLDER [PACKAGE...]   PACKAGE: what it holds besides; a folder that was filled before gets them, too
#
# Nothing is fetched: the files are those of this machine's own packages. Debian's Python 3.11 has an environment in
# /usr/local, so pip, its commands and site-packages lie where python:3.11-slim has them. What differs from that image:
# Debian's own Python 3.11 and pip, libpython in /usr/lib, and the exact packages. This machine's certificates come along.
set -euo pipefail

root=$1
shift
packages=("$@" base-passwd passwd apt mawk openssl ca-certificates netbase tzdata python3.11 libpython3.11 python3.11-venv)
list=$(mktemp)
trap 'rm "$list"' EXIT

mapfile -t essential < <(dpkg-query -W -f '${Package} ${Essential}\n' | awk '$2 == "yes" { print $1 }')
mapfile -t closure < <(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "${essential[@]}" "${packages[@]}" | grep '^[a-z0-9]' | sort -u)
for link in bin lib lib64 sbin; do
    mkdir -p "$root/usr/$link"
    ln -sfn "usr/$link" "$root/$link"
done
# Of these names a few are no packages here: alternatives of others. Packages list files that dpkg was told to leave out.
{ dpkg-query -L "${closure[@]}" 2> /dev/null || true; } \
    | grep -vE '^package diverts|^$|^/\.$|^/(bin|lib|lib64|sbin)$|^/usr/share/(doc|man|info|locale)/' \
    | sed -E 's#^/(bin|lib|lib64|sbin)/#/usr/\1/#; s#^/##' | sort -u > "$list"
{ tar -C / --no-recursion --ignore-failed-read -T "$list" -c 2> /dev/null || true; } \
    | tar -C "$root" -x --keep-directory-symlink
tar -C / -c etc/alternatives etc/ssl/certs usr/bin/awk | tar -C "$root" -x
mkdir -p "$root"/{proc,sys,dev,run,tmp,root,home,var/tmp}
chmod 1777 "$root/tmp" "$root/var/tmp"
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
touch "$root/etc/shadow" "$root/etc/gshadow"
chroot "$root" ldconfig
[ -x "$root/usr/local/bin/pip" ] || chroot "$root" /usr/bin/python3.11 -m venv /usr/local
