package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Free space in bytes below which is told: of folders in /run, which hold little, and more than the setting
// min_free_space asks for elsewhere.
const (
	littleInRun = 1 << 20
	soonFactor  = 4
)

// fewInodes is how many free ones are too few to go on for long.
const fewInodes = 1000

// answerWithin is how long a file system may take to say how it is.
const answerWithin = 5 * time.Second

// disk is how a folder's file system is.
type disk struct {
	fs  unix.Statfs_t
	err error
}

// foldersAnswer looks whether the service's folders answer, and those that its settings name, which are read in
// between. A file server that is gone holds whoever looks at anything there, until it is back: nothing else is
// looked at then.
func (e *exam) foldersAnswer(ctx context.Context) bool {
	e.now, e.disks = "disk", map[string]disk{}
	return e.disksAnswer(ctx, e.Paths.Home, e.Paths.Lib, e.Paths.Log, e.Paths.Run) && e.load(ctx) &&
		e.disksAnswer(ctx, filepath.Dir(e.Config.RegistryPath), e.Config.ProcDir)
}

// load reads the settings. Whether a file that they name is another one of the service's is found out by looking at it.
func (e *exam) load(ctx context.Context) bool {
	if e.Load == nil {
		return true
	}
	loaded := make(chan Loaded, 1) // room for what comes when nobody waits any more
	go func() { loaded <- e.Load() }()
	bounded, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	select {
	case e.Loaded = <-loaded:
		return true
	case <-bounded.Done():
		e.problem(e.Paths.Config, "cat /proc/mounts", "a file system does not answer that the settings or what they name are on: nothing else was looked at, and whoever looks there waits, the service too").
			note("names the file servers: have the one of those files answer again, or unmount it")
		return false
	}
}

// disksAnswer asks the file systems of folders how they are, and reports whether all have told.
func (e *exam) disksAnswer(ctx context.Context, names ...string) bool {
	type answer struct {
		name string
		disk disk
	}
	names = slices.DeleteFunc(names, func(name string) bool { _, told := e.disks[name]; return told })
	slices.Sort(names)
	names = slices.Compact(names)
	answers := make(chan answer, len(names)) // room for those that come when nobody waits any more
	for _, name := range names {
		go func() {
			var d disk
			d.err = e.Statfs(e.path(name), &d.fs)
			answers <- answer{name, d}
		}()
	}
	bounded, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for range names {
		select {
		case a := <-answers:
			e.disks[a.name] = a.disk
			continue
		case <-bounded.Done():
		}
		break
	}
	for _, name := range names {
		if _, told := e.disks[name]; !told {
			e.problem(name, "cat /proc/mounts", "its file system does not answer: nothing else was looked at, and whoever looks there waits, the service too").
				note("names the file server of that folder: have it answer again, or unmount it")
		}
	}
	return len(e.findings) == 0
}

// disk looks at the room and the kind of the file systems that the service writes to.
func (e *exam) disk(context.Context) {
	for _, name := range []string{e.Paths.Lib, e.Paths.Log, e.Paths.Run} {
		d := e.disks[name]
		if d.err != nil {
			if e.isThere(name) {
				e.skip(name, d.err, "its file system can't be looked at: %v", d.err)
			}
			continue // folders says so
		}
		e.fileSystem(name, d.fs.Flags, uint64(d.fs.Type))
		e.room(name, int64(d.fs.Bavail)*d.fs.Bsize, d.fs.Files, d.fs.Ffree)
	}
}

// room tells how much is free in a folder, in bytes and in inodes.
func (e *exam) room(name string, free int64, inodes, freeInodes uint64) {
	floor := max(e.Config.MinFreeSpace, littleInRun)
	if e.system() && name == e.Paths.Run {
		floor = littleInRun
	}
	find, what := e.sudo("du -xhd1 "+Quote(name)), "finds what takes it"
	switch {
	case free < floor:
		e.problem(name, find, "%s free, and %s must be: jobs are not added any more", size(free), size(floor)).note(what)
	case free < soonFactor*floor:
		e.warn(name, find, "%s free; below %s jobs are not added any more", size(free), size(floor)).note(what)
	case inodes > 0 && freeInodes < fewInodes:
		e.problem(name, e.sudo("du --inodes -xd1 "+Quote(name)), "its file system has %d inodes free: soon no file can be made", freeInodes).note("finds the folder with many files")
	default:
		e.ok(name, "%s free", size(free))
	}
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// Kinds of file systems by their magic numbers, statfs(2).
var (
	remote   = map[uint64]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB", 0x01021997: "9p", 0x564c: "NCP", 0x5346414f: "AFS", 0x00c36400: "Ceph", 0x65735546: "FUSE"}
	volatile = map[uint64]string{0x01021994: "tmpfs", 0x858458f6: "ramfs"}
	layered  = uint64(0x794c7630) // overlayfs
)

// fileSystem tells of file systems that do not keep what is written, or do not lock as the registry needs it.
func (e *exam) fileSystem(name string, flags int64, kind uint64) {
	if flags&unix.ST_RDONLY != 0 {
		e.problem(name, "sudo mount -o remount,rw \"$(findmnt -no TARGET -T "+Quote(name)+")\"", "its file system is mounted read-only").or("first find out why: a fault of the disk?", "sudo dmesg")
	}
	if name != e.Paths.Lib {
		return
	}
	switch {
	case remote[kind] != "":
		e.warn(name, "", "the registry is on %s, whose locks and syncs can't be relied on: two daemons may write it, and a power cut may damage it", remote[kind]).note("move it to a disk of this machine")
	case volatile[kind] != "":
		e.warn(name, "", "the registry is in memory (%s): all jobs on record go with the next reboot", volatile[kind]).note("move it to a disk")
	case kind == layered && (e.isThere("/.dockerenv") || e.isThere("/run/.containerenv")):
		e.warn(name, "", "the registry is in the container's own layer, and goes with the container").note("mount a volume there")
	}
}
