package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/job"
)

func TestCompare(t *testing.T) {
	home := t.TempDir()
	load := func(text string) *Config {
		t.Helper()
		if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Sources{Home: home, Use: ForDaemon})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := load("node = \"a\"\nmax_concurrent_jobs = 3\n[type_limits]\ngone = 1\nstays = 2\n")
	after := load("node = \"b\"\nmax_concurrent_jobs = 4\n[type_limits]\nstays = 2\nnew = 5\n[access]\noperators = [\"ann\", \"bob\"]\n")
	want := job.Reloaded{
		Changed: []job.SettingChange{
			{Key: "max_concurrent_jobs", Old: "3", New: "4"},
			{Key: "access.operators", Old: "[]", New: `["ann", "bob"]`},
			{Key: "type_limits.gone", Old: "1"},
			{Key: "type_limits.new", New: "5"},
		},
		Restart: []job.SettingChange{{Key: "node", Old: `"a"`, New: `"b"`}},
	}
	if d := cmp.Diff(want, before.Compare(after)); d != "" {
		t.Errorf("compared (-want +got):\n%s", d)
	}
	if d := cmp.Diff(job.Reloaded{Changed: []job.SettingChange{}, Restart: []job.SettingChange{}}, after.Compare(after)); d != "" {
		t.Errorf("with itself (-want +got):\n%s", d)
	}
}

func TestListSetting(t *testing.T) {
	home := t.TempDir()
	for _, c := range []struct {
		file, variable string
		want           []string
		bad            bool
	}{
		{file: `["ann", "bob"]`, want: []string{"ann", "bob"}},
		{file: `[]`},
		{variable: "ann, bob", want: []string{"ann", "bob"}},
		{file: `["x"]`, variable: "ann", want: []string{"ann"}},
		{file: `[7]`, bad: true},
		{file: `[""]`, bad: true},
		{file: `["a b"]`, bad: true},
		{file: `7`, bad: true},
		{variable: "ann,,bob", bad: true},
	} {
		text, environ := "", []string(nil)
		if c.file != "" {
			text = "[access]\noperators = " + c.file + "\n"
		}
		if c.variable != "" {
			environ = []string{"QUEUEMGR_ACCESS_OPERATORS=" + c.variable}
		}
		if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Load(Sources{Home: home, Environ: environ, Use: ForDaemon})
		switch {
		case c.bad && job.CodeOf(err) != job.Invalid:
			t.Errorf("%+v: %v", c, err)
		case !c.bad && err != nil:
			t.Errorf("%+v: %v", c, err)
		case !c.bad:
			if d := cmp.Diff(c.want, got.Operators); len(c.want)+len(got.Operators) > 0 && d != "" {
				t.Errorf("%+v (-want +got):\n%s", c, d)
			}
		}
	}
}
