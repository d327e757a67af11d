package regular_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/internal/regular"
)

func TestReadFile(t *testing.T) {
	t.Chdir(t.TempDir()) // a socket's path is limited
	if err := os.WriteFile("file", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", "link"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]error{"file": nil, "link": nil, "pipe": regular.ErrKind, "socket": regular.ErrKind,
		".": regular.ErrKind, os.DevNull: regular.ErrKind, "none": fs.ErrNotExist} {
		data, err := regular.ReadFile(name)
		if !errors.Is(err, want) || want == nil && string(data) != "text" {
			t.Errorf("%s: %q, %v, want %v", name, data, err, want)
		}
		var p *fs.PathError
		if err != nil && (!errors.As(err, &p) || filepath.Clean(p.Path) != name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}
