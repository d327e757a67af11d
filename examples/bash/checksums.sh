#!/usr/bin/env bash
# Writes the SHA-256 checksums of all files below a folder into a file, and reports how far it is.
# As a job: queuemgr job add -- checksums.sh FOLDER OUTPUT
set -euo pipefail

if [ $# -ne 2 ]; then
	echo "usage: ${0##*/} FOLDER OUTPUT" >&2
	exit 2
fi
folder=$1
output=$2
if [ ! -d "$folder" ]; then
	echo "${0##*/}: there is no folder $folder" >&2
	exit 1
fi
part=$output.part

# Outside of a job there is nobody to report to.
report() {
	[ -z "${NOTIFY_SOCKET:-}" ] || queuemgr report "$@"
}

# job stop sends TERM: what is half done goes, and the script ends by the signal, for the record to say stopped.
trap 'rm -f -- "$part"' EXIT
trap 'trap - TERM; kill -TERM $$' TERM

report --status "looking for files"
# A file's name may hold anything but NUL.
mapfile -d '' files < <(find "$folder" -type f -print0)

: >"$part"
bytes=0
done=0
shown=-1
for file in ${files[@]+"${files[@]}"}; do
	sha256sum -- "$file" >>"$part"
	bytes=$((bytes + $(stat -c %s -- "$file")))
	done=$((done + 1))
	percent=$((100 * done / ${#files[@]}))
	if [ "$percent" -ne "$shown" ]; then # each report is a process: one for each percent is enough
		report --progress "$percent" --status "$done of ${#files[@]} files"
		shown=$percent
	fi
done
mv -- "$part" "$output"
report --progress 100 --result "{\"files\":$done,\"bytes\":$bytes}"
echo "$done files, $bytes bytes: $output"
