package runner

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// openStdin returns a descriptor that reads content from its beginning and cannot change it. It has no name in
// any file system; its memory goes with the last descriptor.
func openStdin(content []byte) (int, error) {
	if len(content) > wire.MaxStdin {
		return -1, fmt.Errorf("it has %d bytes; %d are allowed: %w", len(content), wire.MaxStdin, unix.EFBIG)
	}
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("stdin", flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("stdin", flags)
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	if err := writeAll(fd, content); err != nil {
		return -1, err
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return -1, err
	}
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}
