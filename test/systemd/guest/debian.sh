# Makes the Debian that guests boot: debian.sh SUITE DIR [MIRROR], which becomes DIR/root.
# /mnt is a memory file system. Every change of this file makes a new Debian at the next run.

# apt's proxy, where one is set for apt alone
eval "$(apt-config shell proxy Acquire::http::Proxy 2>/dev/null || true)"
if [ -n "${proxy:-}" ] && [ "$proxy" != DIRECT ]; then export http_proxy="$proxy"; fi

root=/mnt/root
debootstrap --variant=minbase \
	--include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,sudo,procps,logrotate,curl,man-db,bash-completion,python3-minimal,rpm \
	"$1" "$root" ${3:+"$3"}
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
: >"$root/etc/machine-id" # each guest gets its own
echo guest >"$root/etc/hostname"
printf '127.0.0.1 localhost guest\n' >"$root/etc/hosts"
mkdir -p "$root/var/log/journal" "$root/ground"

unit=$root/etc/systemd/system
# The command channel. In a container the folder is there already.
cat >"$unit/ground.mount" <<'END'
[Unit]
Description=Folder shared with the host
ConditionVirtualization=uml
[Mount]
What=none
Where=/ground
Type=hostfs
END
cat >"$unit/ground.service" <<'END'
[Unit]
Description=Command channel to the host
Wants=ground.mount
After=ground.mount dbus.socket
[Service]
ExecStart=/ground/agent
TasksMax=infinity
[Install]
WantedBy=multi-user.target
END
mkdir -p "$unit/multi-user.target.wants"
ln -s ../ground.service "$unit/multi-user.target.wants/"
# Nobody logs in on a console, and nothing shall run by the clock but what a test starts.
for u in getty@tty1.service console-getty.service serial-getty@ttyS0.service getty.target apt-daily.timer apt-daily-upgrade.timer \
	dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer logrotate.timer \
	systemd-networkd-wait-online.service systemd-hwdb-update.service; do
	ln -sf /dev/null "$unit/$u"
done
cp -a "$root" "$2/root"
