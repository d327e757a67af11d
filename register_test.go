package queuemgr

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/jobtype"
)

type named struct {
	Name string `json:"-"`
}

func (*named) Execute(context.Context, *jobtype.Run) error { return nil }
func (n *named) Describe() jobtype.Description             { return jobtype.Description{Name: n.Name} }

type wrongHook struct{ named }

func (*wrongHook) OnStart(context.Context) error { return nil }

func TestRegister(t *testing.T) {
	hello := func(http.ResponseWriter, *http.Request) {}
	for _, c := range []struct {
		name string
		add  func(*App)
		says []string // nothing = it is right
	}{
		{"right", func(a *App) {
			a.Register(&named{Name: "a"})
			a.Register(&named{Name: "b"})
			a.HandleFunc("GET /api/custom", hello)
			a.HandleFunc("POST /api/custom", hello, RequireRole("admin"))
		}, nil},
		{"twice", func(a *App) { a.Register(&named{Name: "a"}); a.Register(&named{Name: "a"}) },
			[]string{"the job type a is registered twice: register_test.go:37 (*queuemgr.named) and register_test.go:37 (*queuemgr.named)"}},
		{"a shipped one's name", func(a *App) { a.Register(&named{Name: "http"}) }, []string{"the job type http is registered twice: built in (*jobs.HTTP) and register_test.go"}},
		{"command", func(a *App) { a.Register(&named{Name: "command"}) }, []string{"the job type command is registered twice: built in and "}},
		{"bad name", func(a *App) { a.Register(&named{Name: "a b"}) }, []string{`bad type name "a b"`}},
		{"hook", func(a *App) { a.Register(&wrongHook{named{Name: "a"}}) }, []string{"OnStart would never run"}},
		{"nil", func(a *App) { a.Register(nil) }, []string{"is no job type"}},
		{"route of the API", func(a *App) { a.HandleFunc("GET /api/jobs/{id}", hello) }, []string{`the route "GET /api/jobs/{id}" can't be added`}},
		{"role", func(a *App) { a.HandleFunc("GET /x", hello, RequireRole("root")) }, []string{"the roles are viewer, operator and admin"}},
		{"no handler", func(a *App) { a.HandleFunc("GET /x", nil) }, []string{"has no handler"}},
	} {
		a := New()
		c.add(a)
		if err := a.checkRoutes(); err != nil {
			a.mistakes = append(a.mistakes, err.Error())
		}
		if len(a.mistakes) != len(c.says) {
			t.Errorf("%s: %q", c.name, a.mistakes)
			continue
		}
		for i, says := range c.says {
			if !strings.Contains(a.mistakes[i], says) {
				t.Errorf("%s: %q, want %q", c.name, a.mistakes[i], says)
			}
		}
	}
}

// What can't work is told whatever command is given, and nothing is done.
func TestMainTellsMistakes(t *testing.T) {
	a := New()
	a.Register(&named{Name: "a"})
	a.Register(&named{Name: "a"})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	args, stderr := os.Args, os.Stderr
	os.Args, os.Stderr = []string{"myprog", "version"}, w
	code := a.Main()
	os.Args, os.Stderr = args, stderr
	w.Close()
	b := make([]byte, 4096)
	n, err := r.Read(b)
	if code != 2 || err != nil || !strings.HasPrefix(string(b[:n]), "myprog: the job type a is registered twice: ") {
		t.Errorf("exit code %d, %q, %v", code, b[:n], err)
	}
}
