package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/jobtype"
)

// Files is the type files: copies, moves, archives or checks whole trees. What it makes appears under
// its name when it is complete and checked, and not before: however the job ends, no half of it is
// there.
type Files struct {
	Op          string   `json:"op" enum:"copy,move,archive,checksum" doc:"copy, move, archive (a .tar.gz) or checksum (SHA-256)"`
	Sources     []string `json:"sources" minItems:"1" doc:"files and folders; links are kept as links"`
	Destination string   `json:"destination,omitempty" doc:"copy, move: the new name, or the folder that takes the sources. archive: the .tar.gz. checksum: a file for the sums as sha256sum writes it, none = the result alone"`
	Overwrite   bool     `json:"overwrite,omitempty" default:"false" doc:"replace a file that has the name already; folders are never replaced"`

	run *jobtype.Run
	jot *meter
}

// FilesResult is the result of a Files.
type FilesResult struct {
	Op    string `json:"op"`
	Files int    `json:"files"` // regular ones
	Links int    `json:"links"`
	Bytes int64  `json:"bytes"` // of the files
	// SHA256 is that of the archive, or of the one file; for a folder it is the one of the list of its
	// files as sha256sum prints it: (cd FOLDER && find . -type f | LC_ALL=C sort | xargs -d '\n' sha256sum) | sha256sum.
	// A move within one file system reads nothing and has none.
	SHA256      string   `json:"sha256,omitempty"`
	Made        []string `json:"made,omitempty"` // what is there now
	MadeBytes   int64    `json:"made_bytes,omitempty"`
	Seconds     float64  `json:"seconds"`
	RenamedOnly bool     `json:"renamed_only,omitempty"` // a move within one file system
}

// Describe implements jobtype.Describer.
func (*Files) Describe() jobtype.Description {
	return jobtype.Description{Name: "files", Summary: "copies, moves, archives or checks files and folders, whole and verified",
		Example: map[string]any{"op": "archive", "sources": []string{"/home"}, "destination": "/backup/home.tar.gz"}}
}

// Execute implements jobtype.Type.
func (f *Files) Execute(ctx context.Context, run *jobtype.Run) error {
	begin := time.Now()
	f.run = run
	if f.Destination == "" && f.Op != "checksum" {
		return jobtype.NoRetry(fmt.Errorf("%s needs a destination", f.Op))
	}
	result := &FilesResult{Op: f.Op}
	var err error
	switch f.Op {
	case "copy", "move":
		err = f.transfer(ctx, result)
	case "archive":
		err = f.archive(ctx, result)
	case "checksum":
		err = f.checksum(ctx, result)
	default:
		err = jobtype.NoRetry(fmt.Errorf("unknown op %q", f.Op))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	result.Seconds = time.Since(begin).Seconds()
	run.Progress(100, fmt.Sprintf("%d files, %d bytes", result.Files, result.Bytes))
	return run.Result(result)
}

// scan reads what there is, so that progress has an end to reach. passes is how often each byte is read.
func (f *Files) scan(ctx context.Context, passes int64) ([]*tree, error) {
	f.run.Progress(0, "looking what there is")
	var trees []*tree
	done := func(err error) ([]*tree, error) {
		closeAll(trees)
		return nil, err
	}
	f.jot = &meter{run: f.run}
	for _, source := range f.Sources {
		t, err := openTree(ctx, source)
		if err != nil {
			return done(err)
		}
		trees = append(trees, t)
		f.jot.bytes += passes * t.bytes
		f.jot.files += t.files
	}
	return trees, nil
}

func closeAll(trees []*tree) {
	for _, t := range trees {
		_ = t.root.Close() // only read
	}
}

func (r *FilesResult) count(trees []*tree) {
	for _, t := range trees {
		r.Files += t.files
		r.Links += t.links
		r.Bytes += t.bytes
	}
}

// transfer copies or moves each source.
func (f *Files) transfer(ctx context.Context, result *FilesResult) error {
	targets, err := f.targets()
	if err != nil {
		return jobtype.NoRetry(err)
	}
	trees, err := f.scan(ctx, 2) // to copy, and to compare
	if err != nil {
		return err
	}
	defer closeAll(trees)
	result.RenamedOnly = f.Op == "move"
	for i, t := range trees {
		if err := ctx.Err(); err != nil {
			return err
		}
		moved := false
		if f.Op == "move" {
			err := f.rename(t.source, targets[i])
			if err != nil && !errors.Is(err, unix.EXDEV) {
				return err
			}
			moved = err == nil
		}
		if !moved {
			result.RenamedOnly = false
			if err := f.copyTree(ctx, t, targets[i]); err != nil {
				return err
			}
			if f.Op == "move" { // it is there as a whole now: what is left is not given up half way
				if err := f.remove(t.source); err != nil {
					return fmt.Errorf("%s was copied to %s, and can't be removed: %w", t.source, targets[i], err)
				}
			}
		}
		result.Made = append(result.Made, targets[i])
	}
	result.count(trees)
	if !result.RenamedOnly && !slices.ContainsFunc(trees, func(t *tree) bool { return !t.summed }) {
		result.SHA256 = sumOf(trees)
	}
	return nil
}

// targets returns the name of what each source becomes.
func (f *Files) targets() ([]string, error) {
	info, err := os.Stat(f.Destination)
	into := err == nil && info.IsDir()
	if !into && len(f.Sources) > 1 {
		return nil, fmt.Errorf("%s is no folder, and there are %d sources: make the folder first", f.Destination, len(f.Sources))
	}
	var targets []string
	for _, source := range f.Sources {
		absolute, err := filepath.Abs(source)
		if err != nil {
			return nil, err
		}
		target, err := filepath.Abs(f.Destination)
		if err != nil {
			return nil, err
		}
		if into {
			target = filepath.Join(target, filepath.Base(absolute))
		}
		if target == absolute {
			return nil, fmt.Errorf("%s can't be put in its own place", source)
		}
		if strings.HasPrefix(target, strings.TrimSuffix(absolute, "/")+"/") {
			return nil, fmt.Errorf("%s can't be put into itself, as %s", source, target)
		}
		if slices.Contains(targets, target) {
			return nil, fmt.Errorf("two sources would become %s", target)
		}
		if err := f.free(target); err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// free refuses a name that is taken.
func (f *Files) free(target string) error {
	info, err := os.Lstat(target)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(target)); err != nil {
			return fmt.Errorf("the folder for %s is not there: %w", target, err)
		}
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("the folder %s is there already: move it away, or name another destination", target)
	case !f.Overwrite:
		return fmt.Errorf("%s is there already: set overwrite, or name another destination", target)
	}
	return nil
}

// rename puts what is complete in its place, over nothing that is there unless that was asked for.
func (f *Files) rename(from, to string) error {
	var flags uint = unix.RENAME_NOREPLACE
	if f.Overwrite {
		flags = 0
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
	if flags != 0 && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS)) { // a file system that does not know the flag
		if err := f.free(to); err != nil {
			return err
		}
		err = unix.Rename(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// partial returns the name under which target is made. It is the job's, so that another attempt of it
// clears away what a KILL has left.
func (f *Files) partial(target string) (string, error) {
	name := fmt.Sprintf(".%.200s.queuemgr-%d.partial", filepath.Base(target), f.run.JobID)
	path := filepath.Join(filepath.Dir(target), name)
	return path, removeTree(path)
}

// remove takes source away in one step, and then what it held.
func (f *Files) remove(source string) error {
	away, err := f.partial(source)
	if err != nil {
		return err
	}
	if err := os.Rename(source, away); err != nil {
		return err
	}
	return removeTree(away)
}

// removeTree removes a tree, folders that are not writable too.
func removeTree(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(path, func(at string, e os.DirEntry, err error) error { // what it can't change, RemoveAll tells
		if e != nil && e.IsDir() {
			_ = os.Chmod(at, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// checksum computes the sums and, where a destination is given, writes them there.
func (f *Files) checksum(ctx context.Context, result *FilesResult) error {
	if f.Destination != "" {
		if err := f.free(f.Destination); err != nil {
			return jobtype.NoRetry(err)
		}
	}
	trees, err := f.scan(ctx, 1)
	if err != nil {
		return err
	}
	defer closeAll(trees)
	for _, t := range trees {
		for i := range t.entries {
			if e := &t.entries[i]; e.info.Mode().IsRegular() {
				if err := f.read(ctx, t, e, nil); err != nil {
					return err
				}
			}
		}
		t.summed = true
	}
	result.count(trees)
	result.SHA256 = sumOf(trees)
	if f.Destination == "" {
		return nil
	}
	list := manifest(trees)
	err = f.whole(f.Destination, func(out *os.File) error {
		_, err := out.WriteString(list)
		return err
	})
	result.Made, result.MadeBytes = []string{f.Destination}, int64(len(list))
	return err
}

// whole makes a file with write and puts it in its place when it is complete and on disk.
func (f *Files) whole(target string, write func(*os.File) error) (err error) {
	path, err := f.partial(target)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeTree(path))
		}
	}()
	out, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	err = write(out)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := f.rename(path, target); err != nil {
		return err
	}
	return syncFolder(target)
}

// syncFolder has the name of target survive a power loss.
func syncFolder(target string) error {
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // only read
	return dir.Sync()
}

// sumOf returns the one sum of trees: the file's where there is one file and nothing else.
func sumOf(trees []*tree) string {
	if len(trees) == 1 && !trees[0].isDir() {
		if trees[0].files == 0 {
			return "" // a link
		}
		return hex.EncodeToString(trees[0].entries[0].sum[:])
	}
	sum := sha256.Sum256([]byte(manifest(trees)))
	return hex.EncodeToString(sum[:])
}

// manifest returns the list of files as sha256sum prints it, sorted by name.
func manifest(trees []*tree) string {
	type line struct{ name, text string }
	var lines []line
	for _, t := range trees {
		for _, e := range t.entries {
			if !e.info.Mode().IsRegular() {
				continue
			}
			name := e.path
			if len(trees) > 1 && t.isDir() {
				name = t.base + "/" + name
			}
			name = "./" + name
			text := name
			mark := ""
			if strings.ContainsAny(name, "\\\n\r") { // as sha256sum does: the line says that it is escaped
				mark = `\`
				text = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
			}
			lines = append(lines, line{name, mark + hex.EncodeToString(e.sum[:]) + "  " + text + "\n"})
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
	}
	return b.String()
}

// meter tells how far it is.
type meter struct {
	run         *jobtype.Run
	bytes, done int64
	files, seen int
}

func (m *meter) add(n int64) {
	m.done += n
	percent := 0
	if m.bytes > 0 {
		percent = int(min(m.done*100/m.bytes, 99)) // 100 is when it is in its place
	}
	m.run.Progress(percent, fmt.Sprintf("file %d of %d", m.seen, m.files))
}
