package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/queuemgr/queuemgr/job"
)

func TestHooks(t *testing.T) {
	home, file := inHome(t, `node = "n"
[[hooks]]
name = "ops"
on = ["failure", "stop"]
queue = "backup"
command = ["/bin/tell", "it's"]

[retention]
completed = "1d"

[[hooks]]
name = "ci"
on = ["success"]
type = "shell"
url = "https://ci.example.org/x?key=hunter2"
secret_file = "s/ci"
timeout = 2.5
give_up_after = "2d"
`)
	c, err := Load(Sources{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	want := []Hook{
		{Name: "ops", On: []job.HookEvent{"failure", "stop"}, Queue: "backup", Command: []string{"/bin/tell", "it's"}, Timeout: job.Duration(30 * time.Second), GiveUp: job.Duration(24 * time.Hour)},
		{Name: "ci", On: []job.HookEvent{"success"}, Type: "shell", URL: "https://ci.example.org/x?key=hunter2", SecretFile: home + "/s/ci", Timeout: job.Duration(2500 * time.Millisecond), GiveUp: job.Duration(48 * time.Hour)},
	}
	if d := cmp.Diff(want, c.Hooks, cmpopts.IgnoreUnexported(Hook{})); d != "" {
		t.Errorf("hooks (-want +got):\n%s", d)
	}
	shown := map[string]Value{}
	for _, v := range c.Values() {
		shown[v.Key] = v
	}
	ci := shown["hooks.ci"]
	if text := `{ on = ["success"], type = "shell", url = "https://ci.example.org/…", secret_file = "` + home + `/s/ci", timeout = "2.5s", give_up_after = "2d" }`; ci.Text != text {
		t.Errorf("shown as %s\nwant     %s", ci.Text, text)
	}
	if ci.Origin != file+":11" || shown["hooks.ops"].Origin != file+":2" || strings.Contains(ci.Value.(Hook).URL, "hunter2") {
		t.Errorf("shown: %+v, %+v", ci, shown["hooks.ops"])
	}
	none, err := Load(Sources{Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if what := none.Compare(c); len(what.Changed) < 2 || what.Changed[len(what.Changed)-1].Key != "hooks.ops" || what.Changed[len(what.Changed)-1].Old != "" {
		t.Errorf("compared: %+v", what)
	}
}

func TestHookMistakes(t *testing.T) {
	const good = "[[hooks]]\nname = \"a\"\non = [\"start\"]\ncommand = [\"/bin/true\"]\n"
	for _, c := range []struct{ settings, message, hint string }{
		{good + "[[hooks]]\nnmae = \"b\"\n", `FILE:6:1: unknown setting "nmae" of a hook`, `did you mean "name"?`},
		{good + "[[hooks]]\nname = \"a\"\non = [\"start\"]\nurl = \"http://x/\"\n", `FILE:6:1: there is a hook called "a" already, in line 1`, "a name of its own"},
		{"[[hooks]]\non = [\"start\"]\nurl = \"http://x/\"\n", "FILE:1:3: the hook has no name", `name = "tell-ops"`},
		{"[[hooks]]\nname = \"a b\"\n", `FILE:2:1: hooks.name: bad value "a b"`, "A-Z"},
		{"[[hooks]]\nname = \"a\"\non = [\"sucess\"]\nurl = \"http://x/\"\n", `FILE:3:1: unknown event "sucess"`, `did you mean "success"?`},
		{"[[hooks]]\nname = \"a\"\non = \"start\"\n", `FILE:3:1: hooks.on: bad value "start"`, "a list of texts"},
		{"[[hooks]]\nname = \"a\"\non = []\n", "FILE:3:1: hooks.on: bad value a list", "a list of texts"},
		{"[[hooks]]\nname = \"a\"\nurl = \"http://x/\"\n", "the hook names no event", "at least one of"},
		{good + "url = \"http://x/\"\n", "FILE:1:3: the hook has both command and url", "one of them"},
		{"[[hooks]]\nname = \"a\"\non = [\"start\"]\n", "FILE:1:3: the hook has neither command nor url", "one of them"},
		{"[[hooks]]\nname = \"a\"\non = [\"start\"]\nurl = \"ftp://x/\"\n", `FILE:4:1: a hook can't be called by "ftp"`, "https://"},
		{"[[hooks]]\nname = \"a\"\non = [\"start\"]\nurl = \"http://me:pw@x/\"\n", "FILE:4:1: the URL holds a user or password", "secret_file"},
		{"[[hooks]]\nname = \"a\"\non = [\"start\"]\ncommand = [\"true\"]\n", `FILE:4:1: hooks.command: bad value "true"`, "absolute path"},
		{good + "secret_file = \"x\"\n", "FILE:5:1: secret_file signs what goes to a url", "leave secret_file out"},
		{good + "timeout = 0\n", "FILE:5:1: hooks.timeout: bad value 0", "at least"},
		{good + "timeout = \"2h\"\n", "FILE:5:1: hooks.timeout: bad value", "seconds"},
		{good + "give_up_after = -1\n", "FILE:5:1: hooks.give_up_after: bad value", "seconds"},
		{good + "queue = \"a b\"\n", `FILE:5:1: bad queue name "a b"`, "A-Z"},
		{good + "queue = 7\n", "FILE:5:1: hooks.queue: bad value 7", "a text"},
		{"[hooks]\nname = \"a\"\n", "FILE:1:2: hooks is a list of tables", "[[hooks]]"},
		{"hooks = 5\n", "FILE:1:1: hooks is a list of tables", "[[hooks]]"},
		{"hooks = [5]\n", "FILE:1:1: a hook is a table", "[[hooks]]"},
		{"hooks = [{name = \"a\", on = [\"start\"]}]\n", "FILE:1:1: the hook has neither", "one of them"},
		{"[hook]\nname = \"a\"\n", `unknown setting "hook"`, `"hooks"`},
	} {
		home, file := inHome(t, c.settings)
		_, err := Load(Sources{Home: home})
		var e *job.Error
		if err != nil {
			e, _ = err.(*job.Error) //nolint:errorlint // it is what Load promises
		}
		if e == nil || e.Code != job.Invalid || !strings.Contains(e.Message, strings.ReplaceAll(c.message, "FILE", file)) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s\nsaid %v\nwant %s; %s", c.settings, err, c.message, c.hint)
		}
	}
}

func TestHookSecret(t *testing.T) {
	home, file := inHome(t, "[[hooks]]\nname = \"a\"\non = [\"start\"]\nurl = \"http://x/\"\nsecret_file = \"s\"\n")
	c, err := Load(Sources{Home: home}) // whoever reads the settings need not be able to read the secret
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(home, "s")
	for _, test := range []struct {
		text string
		mode os.FileMode
		want string // of the error; "" = none
	}{
		{"0123456789abcdef\n", 0o600, ""}, {"0123456789abcdef\r\n", 0o640, ""},
		{"0123456789abcdef\n", 0o604, "open to every user (mode 0604)"}, {"0123456789abcdef\n", 0o602, "open to every user"},
		{"short\n", 0o600, "holds 6 bytes"}, {"", 0o600, "holds 0 bytes"}, {strings.Repeat("x", 5000), 0o600, "bytes"},
	} {
		if err := os.WriteFile(secret, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(secret, test.mode); err != nil {
			t.Fatal(err)
		}
		got, err := c.Hooks[0].Secret(c.File)
		switch {
		case test.want == "" && (err != nil || string(got) != strings.TrimSpace(test.text)):
			t.Errorf("%q, %o: %q, %v", test.text, test.mode, got, err)
		case test.want != "" && (job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), file+":1:3")):
			t.Errorf("%q, %o: %v, want %q", test.text, test.mode, err, test.want)
		case err != nil && test.text != "" && strings.Contains(err.Error(), "0123456789"):
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Hooks[0].Secret(c.File); job.CodeOf(err) != job.Invalid {
		t.Errorf("a secret that is not there: %v", err)
	}
}

// TestReloadTellsOfAnotherURL where lists show the same of both.
func TestReloadTellsOfAnotherURL(t *testing.T) {
	of := func(url string) *Config { return &Config{Hooks: []Hook{{Name: "ci", URL: url}}} }
	what := of("https://hooks.example.org/one").Compare(of("https://hooks.example.org/two"))
	if len(what.Changed) != 1 || strings.Contains(what.Changed[0].Old+what.Changed[0].New, "one") || !strings.Contains(what.Changed[0].New, "another url") {
		t.Errorf("changed: %+v", what.Changed)
	}
	if what := of("https://hooks.example.org/one").Compare(of("https://hooks.example.org/one")); len(what.Changed) != 0 {
		t.Errorf("changed: %+v", what.Changed)
	}
}
