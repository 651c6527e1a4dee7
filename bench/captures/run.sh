#!/bin/bash
# run.sh [PART…] records real programs that talk to one another, one part per
# protocol, and keeps each conversation as a small capture beside the parser
# that reads it. It needs root, for network namespaces and tcpdump; it installs
# nothing: a part whose programs are missing names the Debian package, and the
# others go on.
#
# A part is a file bench/captures/PART.sh, sourced with lib.sh's functions; its
# processes, files and namespaces end with it. New captures want new golden
# files: go test ./internal/network/packet/... -update, and read the difference.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
PATH=$PATH:/usr/sbin:/sbin

if [ "$(id -u)" != 0 ]; then
	echo "captures: network namespaces need root: sudo make captures" >&2
	exit 1
fi
for tool in ip:iproute2 tcpdump:tcpdump; do
	command -v "${tool%%:*}" >/dev/null || { echo "captures: ${tool%%:*} is missing: apt-get install ${tool##*:}" >&2; exit 1; }
done

parts=("$@")
if [ ${#parts[@]} = 0 ]; then
	for f in "$here"/*.sh; do
		name=$(basename "$f" .sh)
		case $name in run | lib) ;; *) parts+=("$name") ;; esac
	done
fi

recorded=() missing=() failed=()
for part in "${parts[@]}"; do
	if [ ! -f "$here/$part.sh" ]; then
		echo "captures: there is no part $part; the parts are the files of bench/captures" >&2
		failed+=("$part")
		continue
	fi
	echo "== $part"
	status=0
	PART=$part ROOT=$root bash -c 'set -euo pipefail; source "$1/lib.sh"; source "$1/$PART.sh"' captures "$here" || status=$?
	case $status in
	0) recorded+=("$part") ;;
	3) missing+=("$part") ;;
	*) failed+=("$part") ;;
	esac
done
echo "recorded: ${recorded[*]:-none}; programs missing: ${missing[*]:-none}; failed: ${failed[*]:-none}"
[ ${#failed[@]} = 0 ]
