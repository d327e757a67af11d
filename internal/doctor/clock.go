package doctor

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// skew is how far a file may seem to be from the future: clocks of file servers differ.
const skew = time.Minute

// clock looks whether the times on record can be right.
func (e *exam) clock(context.Context) {
	newest, at := "", time.Time{}
	for _, name := range []string{e.Paths.Database(), e.Paths.Database() + "-wal", e.Config.RegistryPath, e.Paths.DaemonLog()} {
		if info, err := os.Stat(e.path(name)); err == nil && info.ModTime().After(at) {
			newest, at = name, info.ModTime()
		}
	}
	if ahead := at.Sub(e.Now); ahead > skew {
		e.warn(newest, "sudo timedatectl set-ntp true", "the last record is %s ahead of the clock, which says %s: the clock was set back, or was wrong before",
			ahead.Round(time.Second), e.Now.UTC().Format(time.RFC3339)).or("how the clock is set", "timedatectl")
	}
	synced, err := e.Synchronized()
	switch {
	case synced:
		e.ok("", "the clock is synchronized")
	case e.isThere("/run/systemd/container") || e.isThere("/.dockerenv") || e.isThere("/run/.containerenv"):
		e.ok("", "the clock is that of the container's host, which looks after it")
	case err != nil:
		e.skip("", err, "the kernel does not say whether the clock is synchronized: %v", err)
	default:
		e.warn("", "sudo timedatectl set-ntp true", "the clock is not synchronized: times on record, time limits and retention may be off")
	}
}

// farOff is the error in microseconds from which on the kernel's clock counts as not synchronized, as systemd has it.
const farOff = 16_000_000

// ClockSynchronized asks the kernel whether its clock is synchronized.
func ClockSynchronized() (bool, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, err
	}
	return t.Maxerror < farOff, nil
}
