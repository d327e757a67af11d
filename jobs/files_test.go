package jobs_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/jobs"
	"github.com/queuemgr/queuemgr/queuemgrtest"
)

// grow makes a tree of n files, with folders, links, odd names, rights and times.
func grow(t testing.TB, root string, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 512)
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	for i := range n {
		dir := filepath.Join(root, fmt.Sprintf("d%02d", i%50), fmt.Sprintf("e%d", i%7))
		must(os.MkdirAll(dir, 0o755))
		for k := range b {
			b[k] = byte(random.Uint32())
		}
		path := filepath.Join(dir, fmt.Sprintf("file %d", i))
		must(os.WriteFile(path, b[:random.IntN(len(b))], 0o640))
		must(os.Chtimes(path, old, old))
	}
	must(os.WriteFile(filepath.Join(root, "new\nline\\"), []byte("odd"), 0o400))
	must(os.Symlink("d00/e0", filepath.Join(root, "link")))
	must(os.Symlink("/etc/passwd", filepath.Join(root, "outside")))
	must(os.Symlink("nowhere", filepath.Join(root, "dangling")))
	must(os.Mkdir(filepath.Join(root, "empty"), 0o700))
	must(os.Mkdir(filepath.Join(root, "fixed"), 0o755))
	must(os.WriteFile(filepath.Join(root, "fixed", "f"), []byte("x"), 0o444))
	must(os.Chmod(filepath.Join(root, "fixed"), 0o555))
	must(os.Chtimes(filepath.Join(root, "fixed"), old, old))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(root, "fixed"), 0o755) }) // it may have moved
}

// room returns a folder in memory where there is one: what is tested is 10,000 files, and not the disk.
func room(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "queuemgr")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if e != nil && e.IsDir() {
				_ = os.Chmod(path, 0o700) // what is left is told by the removal
			}
			return nil
		})
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// apart reports whether two folders lie on different file systems.
func apart(t *testing.T, a, b string) bool {
	t.Helper()
	var one, other syscall.Stat_t
	if err := errors.Join(syscall.Stat(a, &one), syscall.Stat(b, &other)); err != nil {
		t.Fatal(err)
	}
	return one.Dev != other.Dev
}

// look describes a tree: each name with its kind, rights, times, and content.
func look(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			all[name] = "link " + to
			return err
		case info.IsDir():
			all[name] = info.Mode().String()
		default:
			data, err := os.ReadFile(path)
			all[name] = fmt.Sprintf("%s %s %x", info.Mode(), info.ModTime().UTC(), sha256.Sum256(data))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func filesResult(t *testing.T, r *queuemgrtest.Result) jobs.FilesResult {
	t.Helper()
	var v jobs.FilesResult
	if r.ExitCode != 0 {
		t.Fatalf("exit code %d: %s\n%s", r.ExitCode, r.Error, r.Log)
	}
	if err := json.Unmarshal(r.Result, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// outside computes the sum of a tree as the documentation says that anybody can.
func outside(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("bash", "-c", `cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`, "-", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	sum, _, _ := strings.Cut(string(out), " ")
	return sum
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

const many = 10_000

// built says that program has run.
var built bool

// program builds the shipped program, which runs a job as the daemon has it run, without the race detector.
var program = sync.OnceValues(func() (string, error) {
	built = true
	dir, err := os.MkdirTemp("", "queuemgr")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "queuemgr")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/queuemgr").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func shipped(t *testing.T) queuemgrtest.Option {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return queuemgrtest.OfProgram(path)
}

func TestFilesCopy(t *testing.T) {
	dir := room(t)
	source, target := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	grow(t, source, many)
	want := look(t, source)
	r := queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": "copy", "sources": []string{source}, "destination": target}, shipped(t))
	v := filesResult(t, r)
	if d := cmp.Diff(want, look(t, target)); d != "" {
		t.Errorf("the copy is another (-want +got):\n%.2000s", d)
	}
	if v.Files != many+2 || v.Links != 3 || v.SHA256 != outside(t, source) || v.SHA256 != outside(t, target) || len(v.Made) != 1 || v.Made[0] != target {
		t.Errorf("%+v; outside %s", v, outside(t, target))
	}
	if r.Progress != 100 || len(r.Reports) < 3 {
		t.Errorf("progress %d in %d reports", r.Progress, len(r.Reports))
	}
	if d := cmp.Diff([]string{"a", "b"}, names(t, dir)); d != "" {
		t.Error(d)
	}
}

func TestFilesArchive(t *testing.T) {
	dir := room(t)
	source, target := filepath.Join(dir, "a"), filepath.Join(dir, "a.tar.gz")
	grow(t, source, many)
	r := queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": "archive", "sources": []string{source}, "destination": target}, shipped(t))
	v := filesResult(t, r)
	data, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(data)); v.SHA256 != sum || v.MadeBytes != int64(len(data)) || v.Files != many+2 {
		t.Errorf("%+v; outside %s, %d bytes", v, sum, len(data))
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("tar", "xpzf", target, "-C", out).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, text)
	}
	if d := cmp.Diff(look(t, source), look(t, filepath.Join(out, "a"))); d != "" {
		t.Errorf("what tar makes of it is another (-want +got):\n%.2000s", d)
	}
}

// A stop in the middle leaves what was there, and nothing half done.
func TestFilesStop(t *testing.T) {
	dir := room(t)
	source := filepath.Join(dir, "a")
	grow(t, source, many)
	big := filepath.Join(source, "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, 512<<20); err != nil { // a hole: it takes long to read and no room
		t.Fatal(err)
	}
	before := look(t, filepath.Join(source, "d00"))
	elsewhere := t.TempDir()
	if !apart(t, dir, elsewhere) {
		t.Skip("no second file system here: a move would be a rename")
	}
	for _, c := range []struct{ op, dir, name string }{{"archive", dir, "b.tar.gz"}, {"checksum", dir, "sums"}, {"copy", dir, "b"}, {"move", elsewhere, "b"}} {
		for _, child := range []bool{true, false} {
			var how []queuemgrtest.Option
			if child {
				how = append(how, shipped(t))
			}
			j := queuemgrtest.Start(t, &jobs.Files{}, map[string]any{"op": c.op, "sources": []string{source}, "destination": filepath.Join(c.dir, c.name)}, how...)
			j.Until(func(r queuemgrtest.Report) bool { return r.Progress > 0 })
			j.Stop()
			if r := j.Wait(); r.ExitCode != 1 || r.Error != "the job was stopped" || r.Result != nil {
				t.Errorf("%s: %+v", c.op, r)
			}
			if d := cmp.Diff([]string{"a"}, names(t, dir)); d != "" {
				t.Errorf("%s: left behind: %s", c.op, d)
			}
			if left := names(t, elsewhere); len(left) > 0 {
				t.Errorf("%s: left behind: %q", c.op, left)
			}
		}
	}
	if d := cmp.Diff(before, look(t, filepath.Join(source, "d00"))); d != "" {
		t.Error(d)
	}
	// After a KILL something hidden stays, and the name is not there; another attempt clears it away.
	target := filepath.Join(dir, "b.tar.gz")
	params := map[string]any{"op": "archive", "sources": []string{source}, "destination": target}
	j := queuemgrtest.Start(t, &jobs.Files{}, params, shipped(t))
	j.Until(func(r queuemgrtest.Report) bool { return r.Progress > 0 })
	j.Signal(syscall.SIGKILL)
	if r := j.Wait(); r.ExitCode != -1 {
		t.Errorf("%+v", r)
	}
	if d := cmp.Diff([]string{".b.tar.gz.queuemgr-1.partial", "a"}, names(t, dir)); d != "" {
		t.Error(d)
	}
	if err := os.Remove(big); err != nil {
		t.Fatal(err)
	}
	filesResult(t, queuemgrtest.Run(t, &jobs.Files{}, params, shipped(t)))
	if d := cmp.Diff([]string{"a", "b.tar.gz"}, names(t, dir)); d != "" {
		t.Error(d)
	}
}

func TestFilesMove(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "a")
	grow(t, source, 100)
	want, sum := look(t, source), outside(t, source)
	v := filesResult(t, queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": "move", "sources": []string{source}, "destination": filepath.Join(dir, "b")}))
	if d := cmp.Diff(want, look(t, filepath.Join(dir, "b"))); d != "" || !v.RenamedOnly || v.SHA256 != "" || v.Files != 102 {
		t.Errorf("%+v\n%s", v, d)
	}
	elsewhere := room(t)
	if !apart(t, dir, elsewhere) {
		t.Skip("no second file system here: a move would be a rename")
	}
	v = filesResult(t, queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": "move", "sources": []string{filepath.Join(dir, "b")}, "destination": elsewhere}))
	if d := cmp.Diff(want, look(t, filepath.Join(elsewhere, "b"))); d != "" || v.RenamedOnly || v.SHA256 != sum {
		t.Errorf("%+v\n%s", v, d)
	}
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestFilesChecksum(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "a")
	grow(t, source, 50)
	one := filepath.Join(dir, "one")
	if err := os.WriteFile(one, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	hello := sha256.Sum256([]byte("hello"))
	if v := filesResult(t, queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": "checksum", "sources": []string{one}})); v.SHA256 != hex.EncodeToString(hello[:]) || v.Bytes != 5 {
		t.Errorf("%+v", v)
	}
	sums := filepath.Join(dir, "sums")
	if v := filesResult(t, queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": "checksum", "sources": []string{source}, "destination": sums})); v.SHA256 != outside(t, source) {
		t.Errorf("%+v, outside %s", v, outside(t, source))
	}
	check := exec.Command("sha256sum", "--check", "--quiet", sums)
	check.Dir = source
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v: %s", err, out)
	}
}

func TestFilesRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string]string{"f": "one", "g": "two", "sub/f": "three"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(at(name)), 0o755), os.WriteFile(at(name), []byte(data), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := look2(t, dir)
	for _, c := range []struct {
		op          string
		sources     []string
		destination string
		says        string
	}{
		{"copy", []string{at("f")}, "", "copy needs a destination"},
		{"copy", []string{at("nope")}, at("x"), "a source is not there"},
		{"copy", []string{at("f")}, at("g"), "is there already: set overwrite"},
		{"copy", []string{at("f")}, at("sub"), "sub/f is there already: set overwrite"},
		{"copy", []string{at("f")}, at("f"), "can't be put in its own place"},
		{"copy", []string{at("sub")}, at("sub/below"), "can't be put into itself"},
		{"copy", []string{at("f"), at("g")}, at("x"), "is no folder, and there are 2 sources"},
		{"copy", []string{at("f"), at("sub/f")}, at("sub"), "sub/f is there already"},
		{"move", []string{at("f")}, at("no/such/x"), "the folder for"},
		{"copy", []string{at("pipe")}, at("x"), "is no file, link or folder"},
		{"archive", []string{at("sub")}, at("sub/x.tar.gz"), "can't lie in"},
		{"archive", []string{at("f"), at("sub/f")}, at("x.tar.gz"), "two sources are called f"},
		{"archive", []string{at("f")}, at("g"), "is there already"},
		{"checksum", []string{at("f")}, at("g"), "is there already"},
		{"checksum", []string{at("f")}, at("sub"), "the folder"},
	} {
		r := queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": c.op, "sources": c.sources, "destination": c.destination})
		if r.ExitCode != 1 || !strings.Contains(r.Error, c.says) || r.Retry != "never" {
			t.Errorf("%s %q %s: %d %q %q, want %q", c.op, c.sources, c.destination, r.ExitCode, r.Error, r.Retry, c.says)
		}
	}
	if d := cmp.Diff(before, look2(t, dir)); d != "" {
		t.Errorf("what was refused has changed something:\n%s", d)
	}
	v := filesResult(t, queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": "copy", "sources": []string{at("f"), at("g")}, "destination": at("sub"), "overwrite": true}))
	if data, err := os.ReadFile(at("sub/f")); err != nil || string(data) != "one" || len(v.Made) != 2 {
		t.Errorf("%q %v %+v", data, err, v)
	}
}

// look2 lists the names below dir.
func look2(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		list = append(list, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// An archive of several sources has each under its own name.
func TestFilesArchiveNames(t *testing.T) {
	dir := t.TempDir()
	grow(t, filepath.Join(dir, "a"), 1)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "x.tar.gz")
	filesResult(t, queuemgrtest.Run(t, &jobs.Files{}, map[string]any{"op": "archive", "sources": []string{filepath.Join(dir, "a"), filepath.Join(dir, "f")}, "destination": target}))
	f, err := os.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for pack := tar.NewReader(zip); ; {
		h, err := pack.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, h.Name)
	}
	want := []string{"a/", "a/d00/", "a/d00/e0/", "a/d00/e0/file 0", "a/dangling", "a/empty/", "a/fixed/", "a/fixed/f", "a/link", "a/new\nline\\", "a/outside", "f"}
	if d := cmp.Diff(want, list); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
