#!/usr/bin/env bash
# The documented commands on a machine that has python3, its venv module, git and make, and nothing else.
#
#   sudo tests/bare_machine.sh FOLDER                    make demo, then make test, in a fresh clone
#   sudo tests/bare_machine.sh FOLDER .ci/run            what CI does
#
# FOLDER gets a Debian (debootstrap, 1 GB and more) the first time and is used again later; the clone in it is always
# new and holds what is committed here. How this machine reaches Debian's and Python's packages is passed on.
set -euo pipefail

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0"
  exit 2
}
(($# >= 1)) && [[ $1 != -* ]] || usage
[[ $(id -u) == 0 ]] || {
  echo "needs root, for chroot" >&2
  exit 2
}
command -v debootstrap >/dev/null || {
  echo "debootstrap not found: apt-get install debootstrap" >&2
  exit 2
}
source=$(dirname "$(dirname "$(readlink -f "$0")")")
bare=$(readlink -m "$1")
shift
(($#)) || set -- bash -c 'make demo && make test'

if [[ ! -e $bare/.complete ]]; then
  debootstrap --variant=minbase --include=python3,python3-venv,git,make,ca-certificates bookworm "$bare"
  touch "$bare/.complete"
fi

# Copies a file of this machine to the same place over there.
pass_on() {
  [[ -e $1 ]] || return 0
  mkdir -p "$bare$(dirname "$1")"
  cp --dereference --recursive "$1" "$bare$(dirname "$1")/"
}
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /root/.config/pip/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  pass_on "$file"
done
if [[ -d /etc/apt/sources.list.d ]]; then
  pass_on /etc/apt/sources.list.d/debian.sources
  [[ ! -e $bare/etc/apt/sources.list.d/debian.sources ]] || : >"$bare/etc/apt/sources.list"
fi
for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*proxy*; do pass_on "$file"; done

# Folders that pip is told to look in.
mapfile -t indexes < <({
  python3 -m pip config list
  env
} 2>/dev/null | grep -i '^global\.\|^:env:\|^PIP_' |
  grep -oE '(file://)?/[A-Za-z0-9_./-]+' | sed 's,^file://,,; s,/simple/\?$,,' | sort -u)
variables=()
while IFS= read -r variable; do variables+=("$variable"); done \
  < <(env | grep -E '^(PIP_[A-Z_]*|[a-zA-Z_]*_(proxy|PROXY)|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|HPO_REQUIRE)=' || true)

# A namespace of its own: its mounts and its processes are gone when it ends.
export bare source
rm -rf "$bare/root/hpo_workflow"
exec unshare --mount --pid --fork --kill-child bash -euc '
  folders=() command=() seen=0
  for word in "$@"; do
    if [[ $word == -- && $seen == 0 ]]; then seen=1; elif ((seen)); then command+=("$word"); else folders+=("$word"); fi
  done
  mount --make-rprivate /
  mkdir -p "$bare"/{proc,dev,source}
  mount -t proc proc "$bare/proc"
  mount --rbind /dev "$bare/dev"
  mount --bind -o ro "$source" "$bare/source"
  for folder in "${folders[@]}"; do
    [[ -d $folder ]] || continue
    mkdir -p "$bare$folder"
    mount --bind -o ro "$folder" "$bare$folder"
  done
  exec chroot "$bare" /usr/bin/env -i "${command[@]}"
' - "${indexes[@]}" -- HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  "${variables[@]}" bash -euc '
  git config --global --replace-all safe.directory "*"
  git clone -q /source /root/hpo_workflow
  cd /root/hpo_workflow
  exec "$@"
' - "$@"
