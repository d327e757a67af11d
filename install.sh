#!/bin/sh
# Installs queuemgr as a systemd service: finds the programs or builds them, and has them install
# themselves, which is described by: queuemgr service install --help
set -eu

usage() {
	cat <<'EOF'
usage: sudo ./install.sh [OPTION]...
Installs queuemgr as a systemd service, from a checkout (with Go and make) or an unpacked release.
Run again it completes and upgrades; jobs go on running meanwhile. Settings are never overwritten.

  --upgrade       bring an installation up to date; an error where there is none
  --uninstall     stop the service and its jobs and remove it; settings, registry and logs stay
  --purge         with --uninstall: remove settings, registry, logs and accounts, too
  --prefix DIR    folder with the service's programs (default /opt/queuemgr)
  --no-start      neither enable nor start the service
  --dry-run       say what would be done, and change nothing
  --help          this text

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 wrong state for this, 6 not allowed.
EOF
}

# fail CODE MESSAGE HINT
fail() {
	printf 'install.sh: %s\nhint: %s\n' "$2" "$3" >&2
	exit "$1"
}

# Every option is looked at before anything is done.
uninstall=no
prefix=
take=
for arg in "$@"; do
	if [ -n "$take" ]; then
		prefix=$arg
		take=
		continue
	fi
	case $arg in
	--help | -h)
		usage
		exit 0
		;;
	--uninstall) uninstall=yes ;;
	--upgrade | --purge | --no-start | --dry-run) ;;
	--prefix) take=prefix ;;
	--prefix=*) prefix=${arg#--prefix=} ;;
	*) fail 2 "unknown option $arg; nothing was changed" 'see ./install.sh --help' ;;
	esac
done
[ -z "$take" ] || fail 2 '--prefix needs a folder; nothing was changed' './install.sh --prefix /opt/queuemgr'

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
if [ "$(id -u)" != 0 ]; then
	fail 6 'only root may install the service for this machine; nothing was changed' \
		"sudo $here/install.sh; or a service of your own, without root: bin/queuemgr service install --user"
fi

# su and some sudo configurations leave these out; Go's own installer uses the last one.
PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin
export PATH

if [ "$uninstall" = yes ]; then
	# Whatever is there will do: nothing is built to be removed.
	for program in "$here/bin/queuemgr" "${prefix:-/opt/queuemgr}/bin/queuemgr" /usr/local/bin/queuemgr; do
		if [ -x "$program" ]; then
			exec "$program" service install "$@"
		fi
	done
fi

if [ -f "$here/go.mod" ] && [ -f "$here/Makefile" ]; then
	# A checkout: what was built may be older than the source.
	if command -v go >/dev/null && command -v make >/dev/null; then
		# Building as root in somebody's checkout: git would refuse to tell the version.
		export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="$here"
		make -C "$here" --no-print-directory build >&2 ||
			fail 1 'the build failed; nothing was installed' "mend what make says above; it is run by: make -C $here build"
	elif [ -x "$here/bin/queuemgr" ]; then
		echo 'install.sh: Go or make is not installed here; the programs in bin/ are installed as they are' >&2
	else
		fail 3 "this is a checkout, and Go or make to build it is not installed; nothing was changed" \
			'install Go (https://go.dev/dl) and make, or take a release, which needs neither'
	fi
fi
for program in queuemgr queuemgr-runner; do
	[ -x "$here/bin/$program" ] ||
		fail 3 "$here/bin/$program is not there; nothing was changed" 'unpack the whole release, or build it: make build'
done
exec "$here/bin/queuemgr" service install "$@"
