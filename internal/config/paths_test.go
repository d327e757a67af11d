package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

func TestFindPaths(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gone := filepath.Join(dir, "gone")
	set, none := system{file("config.toml", ""), []string{gone}}, system{gone, []string{gone}}
	unit := system{gone, []string{gone, file("queuemgr.service", "# Installed by queuemgr; changes belong into a drop-in\n[Unit]\n")}}
	older := system{gone, []string{file("older.service", "[Unit]\nDescription=QueueMgr\n")}}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, home string
		environ    []string
		use        Use
		system     system
		uid        int
		want       string // home
	}{
		{"flag", "/h", []string{"QUEUEMGR_HOME=/v", "HOME=/u"}, ForDaemon, set, 0, "/h"},
		{"relative flag", "h", nil, ForClient, none, 1000, wd + "/h"},
		{"variable", "", []string{"QUEUEMGR_HOME=/v", "HOME=/u"}, ForClient, set, 0, "/v"},
		{"empty variable", "", []string{"QUEUEMGR_HOME=", "HOME=/u"}, ForDaemon, none, 0, "/u/.local/share/queuemgr"},
		{"system for root", "", []string{"HOME=/u"}, ForDaemon, set, 0, systemLib},
		{"system for a client", "", []string{"HOME=/u"}, ForClient, set, 1000, systemLib},
		{"own daemon", "", []string{"HOME=/u"}, ForDaemon, set, 1000, "/u/.local/share/queuemgr"},
		{"only the unit, for root", "", []string{"HOME=/u"}, ForDaemon, unit, 0, systemLib},
		{"only the unit, for a client", "", []string{"HOME=/u"}, ForClient, unit, 1000, systemLib},
		{"the Python service's unit", "", []string{"HOME=/u"}, ForClient, older, 0, "/u/.local/share/queuemgr"},
		{"data home", "", []string{"HOME=/u", "XDG_DATA_HOME=/d"}, ForClient, none, 1000, "/d/queuemgr"},
		{"relative data home", "", []string{"HOME=/u", "XDG_DATA_HOME=d"}, ForClient, none, 1000, "/u/.local/share/queuemgr"},
		{"last of a variable", "", []string{"HOME=/a", "HOME=/b"}, ForClient, none, 1000, "/b/.local/share/queuemgr"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := findPaths(test.home, test.environ, test.use, test.system, test.uid)
			if err != nil || p.Home != test.want {
				t.Errorf("home is %q (%v), want %q", p.Home, err, test.want)
			}
		})
	}
	if _, err := findPaths("", nil, ForClient, none, 1000); job.CodeOf(err) != job.Invalid {
		t.Errorf("without HOME the error is %v", err)
	}
}

func TestSystemPaths(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := findPaths("", nil, ForDaemon, system{file, nil}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p.Socket() != "/run/queuemgr/queuemgr.sock" || p.PIDFile() != "/run/queuemgr/daemon.pid" ||
		p.Database() != "/var/lib/queuemgr/registry.db" || p.DaemonLog() != "/var/log/queuemgr/daemon.log" || p.Config != file {
		t.Errorf("paths are %+v", p)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"default", "backup", "media"}
	for word, want := range map[string]string{"defualt": "default", "bakcup": "backup", "Media": "media", "back": "backup",
		"x": "", "": "", "training": ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "64MiB": 64 << 20, "1GB": 1e9, "1.5 kib": 1536, "512K": 512 << 10, "7b": 7} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1e30", "12 parsecs", "NaN", "1 0"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 64 << 20: "64MiB", 1000: "1000", 1 << 40: "1TiB", 1536: "1536"} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}
