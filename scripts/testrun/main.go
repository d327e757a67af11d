// Command testrun runs `go test` with the given arguments and reports what a reader wants to see:
// go test's own closing line of each package, the whole output of tests that failed, and every
// skipped test by name. With CI=true a skipped test is a failure: a check that did not run there
// runs nowhere.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build's output
	Test       string
	Output     string
}

// summary is what is counted over a whole run.
type summary struct {
	passed, failed int
	skips          []string // "package test: why"
}

func main() {
	os.Exit(run(os.Args[1:], os.Getenv("CI") == "true", os.Stdout))
}

func run(args []string, strict bool, w io.Writer) int {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "testrun: start go test: %v\n", err)
		return 1
	}
	s, readErr := read(out, w)
	waitErr := cmd.Wait()
	for _, skip := range s.skips {
		fmt.Fprintf(w, "SKIPPED %s\n", skip)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, len(s.skips))
	switch {
	case readErr != nil:
		fmt.Fprintf(os.Stderr, "testrun: read go test's output: %v\n", readErr)
		return 1
	case waitErr != nil:
		fmt.Fprintf(os.Stderr, "testrun: go test: %v\n", waitErr)
		return 1
	case strict && len(s.skips) > 0:
		fmt.Fprintln(os.Stderr, "testrun: tests were skipped, which CI=true does not allow: install what they ask for")
		return 1
	case s.passed == 0:
		fmt.Fprintln(os.Stderr, "testrun: no test ran")
		return 1
	}
	return 0
}

// read prints what is worth reading of go test's events and counts the tests.
func read(r io.Reader, w io.Writer) (summary, error) {
	var s summary
	buffered := map[string][]string{} // output of tests that have not ended, by package and name
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			s.handle(line, buffered, w)
		}
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return s, err
		}
	}
}

func (s *summary) handle(line []byte, buffered map[string][]string, w io.Writer) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		fmt.Fprintf(w, "%s", line) // not an event: the go command speaks plainly
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Test != "" {
			buffered[key] = append(buffered[key], e.Output)
		} else if !noise(e.Output) {
			fmt.Fprint(w, e.Output)
		}
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, buffered, w)
			return
		}
		s.endTest(e, buffered[key], w)
		delete(buffered, key)
	}
}

func (s *summary) endTest(e event, output []string, w io.Writer) {
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		fmt.Fprintf(w, "FAIL %s %s\n%s", e.Package, e.Test, strings.Join(output, ""))
	case "skip":
		why := ""
		for _, line := range output {
			if !strings.HasPrefix(line, "===") && !strings.HasPrefix(strings.TrimSpace(line), "---") {
				why += " " + strings.TrimSpace(line)
			}
		}
		s.skips = append(s.skips, e.Package+" "+e.Test+":"+why)
	}
}

// endPackage prints what tests of a failed package had written when they were cut short by a
// panic or the time limit: they never report an end of their own.
func (s *summary) endPackage(e event, buffered map[string][]string, w io.Writer) {
	for key, output := range buffered {
		if !strings.HasPrefix(key, e.Package+" ") {
			continue
		}
		if e.Action == "fail" {
			s.failed++
			fmt.Fprintf(w, "FAIL %s (did not end)\n%s", key, strings.Join(output, ""))
		}
		delete(buffered, key)
	}
}

// noise reports whether a line says nothing about a package with tests.
func noise(line string) bool {
	return strings.HasSuffix(line, "[no test files]\n") || line == "PASS\n" ||
		strings.HasPrefix(line, "?  ") || strings.HasSuffix(line, "coverage: 0.0% of statements\n")
}
