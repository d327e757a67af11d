package joblog_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/queuemgr/queuemgr/internal/joblog"
)

// appending opens a log as its writer does.
func appending(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFollowRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "daemon.log")
	say := func(f *os.File, text string) {
		t.Helper()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	r := open(t, path, joblog.Options{Follow: true, Rotates: true})
	first := appending(t, path)
	say(first, "one\n")
	expect(t, r, "one\n")

	// The file is moved away and a new one made; its writer learns of it later.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	second := appending(t, path)
	say(first, "two\n")
	expect(t, r, "two\n")
	say(first, "three\n")
	say(second, "four\n")
	expect(t, r, "three\nfour\n")
	say(second, "five\n")
	expect(t, r, "five\n")

	// And once more, with nobody who reads meanwhile and a while without a file of that name.
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	say(second, "six\n")
	third := appending(t, path)
	say(third, "seven\n")
	expect(t, r, "six\nseven\n")

	// A rotation by copy and truncation.
	if err := third.Truncate(0); err != nil {
		t.Fatal(err)
	}
	say(third, "8\n")
	expect(t, r, "8\n")

	// One that was replaced before it was opened: what is longer than it was is not waited for.
	late := open(t, path, joblog.Options{Offset: 1000, Follow: true, Rotates: true})
	expect(t, late, "8\n")
}
