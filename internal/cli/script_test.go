package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script/*.txtar against the built programs and a real daemon, each with
// a home of its own.
func TestScripts(t *testing.T) {
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", bin+"/", "./cmd/queuemgr", "./cmd/queuemgr-runner")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	readme, err := filepath.Abs("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Vars = append(e.Vars, "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+e.WorkDir, "QUEUEMGR_HOME="+home, "QUEUEMGR_WEB_LISTEN=", "README="+readme)
			e.Defer(func() { endService(t, filepath.Join(bin, "queuemgr"), home) })
			return os.MkdirAll(home, 0o700)
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit":  cmdExit,
			"json":  cmdJSON,
			"until": cmdUntil,
		},
	})
}

// endService ends the daemon of a home and its jobs, also those of a daemon that is no more: a
// new one takes them over first.
func endService(t *testing.T, program, home string) {
	verbs := []string{"stop"}
	if _, err := os.Stat(filepath.Join(home, "run/runner.sock")); err == nil {
		verbs = []string{"start", "stop"}
	}
	for _, verb := range verbs {
		if out, err := exec.Command(program, "--home", home, "service", verb).CombinedOutput(); err != nil {
			t.Errorf("service %s of %s: %v\n%s", verb, home, err, out)
		}
	}
}

// cmdUntil is `until PATTERN PROGRAM ARG…`: run the program again and again until its standard output matches.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN PROGRAM [ARG...]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(30 * time.Second); ; {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if out := ts.ReadFile("stdout"); pattern.MatchString(out) {
			return
		} else if time.Now().After(deadline) {
			ts.Fatalf("never matched %q: %s", args[0], out)
		}
	}
}

// cmdExit is `exit CODE PROGRAM ARG…`: run the program, which must exit with the code.
func cmdExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("running %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exits %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// cmdJSON is `json FILE PATH VALUE`: the value at the dotted path of the JSON in FILE (stdout and
// stderr are the last command's) must be VALUE, which is JSON; of a list "len" is the length.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH VALUE")
	}
	var doc, want any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc); err != nil {
		ts.Fatalf("%s is not JSON: %v", args[0], err)
	}
	ts.Check(json.Unmarshal([]byte(args[2]), &want))
	got, err := lookupJSON(doc, args[1])
	ts.Check(err)
	if reflect.DeepEqual(got, want) == neg {
		ts.Fatalf("%s is %v, want (not: %v) %v", args[1], got, neg, want)
	}
}

// lookupJSON returns what is at a dotted path, nil where nothing is.
func lookupJSON(doc any, path string) (any, error) {
	for part := range strings.SplitSeq(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[part]
		case []any:
			if part == "len" {
				return float64(len(v)), nil
			}
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(v) {
				return nil, fmt.Errorf("%s: a list of %d", path, len(v))
			}
			doc = v[i]
		case nil:
			return nil, nil
		default:
			return nil, fmt.Errorf("%s: %v has no parts", path, v)
		}
	}
	return doc, nil
}
