package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// maxText bounds the text of an error in bytes: a path may be as long as a message, but a journal
// record that long would count as damage.
const maxText = 8 << 10

// defaultPath is searched when a job's environment has no PATH.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

func spawnError(errno syscall.Errno, format string, args ...any) *SpawnError {
	busy := errno == unix.EMFILE || errno == unix.ENFILE
	short := busy
	switch errno {
	case unix.EAGAIN, unix.ENOMEM, unix.ENOSPC, unix.EDQUOT:
		short = true
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText {
		// The beginning names the program, the end the error.
		text = strings.ToValidUTF8(text[:maxText/2], "") + " … " + strings.ToValidUTF8(text[len(text)-maxText/2:], "")
	}
	return &SpawnError{Errno: errno, Text: text, Busy: busy, Short: short}
}

func logError(path string, err error) *SpawnError {
	var errno syscall.Errno
	errors.As(err, &errno)
	var detail *os.PathError
	if errors.As(err, &detail) {
		err = errno // the path is said already
	}
	return spawnError(errno, "log file %s: %v", path, err)
}

// placeError says that what a run needs could not be prepared.
func placeError(what string, err error) *SpawnError {
	var errno syscall.Errno
	errors.As(err, &errno)
	return spawnError(errno, "%s: %v", what, err)
}

// eaccess says whether this thread may use path so: with the user and groups that it has for files,
// not with those of access(2), which a runner that looks with an account's rights has of root's.
func eaccess(path string, mode uint32) error {
	return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
}

// findProgram returns what to exec for a start. Only a name without a slash is looked for; every
// other path is left to the kernel, which resolves it in the working directory.
func findProgram(s *wire.Start) (string, *SpawnError) {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return "", spawnError(unix.EINVAL, "the command is empty")
	}
	name := s.Argv[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := defaultPath
	for _, kv := range s.Env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	var denied string
	for _, dir := range filepath.SplitList(path) {
		// An empty entry and a relative one mean the working directory of the job.
		full := filepath.Join(dir, name)
		if !filepath.IsAbs(full) {
			full = filepath.Join(s.Cwd, full)
		}
		if eaccess(full, unix.F_OK) != nil {
			continue
		}
		info, err := os.Stat(full)
		switch {
		case err != nil || info.IsDir():
		case eaccess(full, unix.X_OK) == nil:
			return full, nil
		case denied == "":
			denied = full
		}
	}
	if err := checkCwd(s.Cwd); err != nil {
		return "", err
	}
	if denied != "" {
		return "", spawnError(unix.EACCES, "%s: found as %s, which is not executable", name, denied)
	}
	return "", spawnError(unix.ENOENT, "%s: not found in PATH", name)
}

func checkCwd(cwd string) *SpawnError {
	if cwd == "" {
		return nil
	}
	var st unix.Stat_t
	err := unix.Stat(cwd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = unix.ENOTDIR
	}
	if err == nil {
		err = eaccess(cwd, unix.X_OK)
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return nil
	}
	return spawnError(errno, "working directory %s: %v", cwd, errno)
}

// explain says which step of a fork and exec failed; the kernel only gives a number.
func explain(s *wire.Start, path string, err error) *SpawnError {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return spawnError(0, "%s: %v", path, err)
	}
	switch errno {
	case unix.EINVAL:
		if what, ok := findNUL(s); ok {
			return spawnError(errno, "%s contains a NUL byte", what)
		}
	case unix.EMFILE, unix.ENFILE:
		return spawnError(errno, "too many jobs for the limit of open files: %v", errno)
	case unix.EAGAIN:
		return spawnError(errno, "cannot fork: a limit on the number of processes is reached: %v", errno)
	case unix.ENOMEM:
		return spawnError(errno, "cannot fork: the machine is out of memory: %v", errno)
	case unix.E2BIG:
		return spawnError(errno, "%s: arguments and environment are too long: %v", path, errno)
	}
	if cwd := checkCwd(s.Cwd); cwd != nil {
		return cwd
	}
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(s.Cwd, full)
	}
	info, staterr := os.Stat(full)
	switch {
	case errno == unix.ENOENT && staterr == nil:
		if interp := interpreter(full); interp != "" {
			return spawnError(errno, "%s: bad interpreter %s: %v", path, interp, errno)
		}
		return spawnError(errno, "%s: its interpreter or loader is missing: %v", path, errno)
	case errno == unix.EACCES && staterr == nil && info.IsDir():
		return spawnError(errno, "%s: is a directory", path)
	case errno == unix.EACCES && staterr == nil && info.Mode()&0o111 == 0:
		return spawnError(errno, "%s: not executable: %v", path, errno)
	}
	return spawnError(errno, "%s: %v", path, errno)
}

// findNUL names the string of a start that the kernel cannot take.
func findNUL(s *wire.Start) (string, bool) {
	for i, a := range s.Argv {
		if strings.ContainsRune(a, 0) {
			return fmt.Sprintf("argument %d", i), true
		}
	}
	for _, kv := range s.Env {
		if strings.ContainsRune(kv, 0) {
			name, _, _ := strings.Cut(kv, "=")
			return fmt.Sprintf("environment variable %q", name), true
		}
	}
	return "the working directory", strings.ContainsRune(s.Cwd, 0)
}

// interpreter returns what the #! line of a script names.
func interpreter(path string) string {
	// What is no file any more, a pipe for instance, must not hold us.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }() // only read
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return ""
	}
	head := make([]byte, 256)
	n, err := unix.Read(fd, head)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	rest, ok := strings.CutPrefix(line, "#!")
	if fields := strings.Fields(rest); ok && len(fields) > 0 {
		return fields[0]
	}
	return ""
}

// forAccount adds for whom it was tried: what root can do says nothing about others.
func (e *SpawnError) forAccount(who *identity) *SpawnError {
	if e == nil {
		return nil
	}
	e.Text += " (as user " + who.name + ")"
	return e
}

// processLimit explains EAGAIN of a fork or exec as another account: the kernel counts processes by
// account, and it is the exec after the change of account that fails.
func processLimit(who *identity) *SpawnError {
	var limit unix.Rlimit
	text := fmt.Sprintf("cannot start it as user %s: a limit on the number of processes is reached", who.name)
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err == nil && limit.Cur != unix.RLIM_INFINITY {
		text += fmt.Sprintf(", that of the machine or that of the user, %d (LimitNPROC= of queuemgr-runner.service)", limit.Cur)
	}
	return spawnError(unix.EAGAIN, "%s: %v", text, unix.EAGAIN)
}
