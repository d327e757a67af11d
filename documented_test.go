package queuemgr

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/types"
	"github.com/queuemgr/queuemgr/job"
)

// TestDocumentedParams: the params of every example in help texts and documents are such as the type takes.
func TestDocumentedParams(t *testing.T) {
	r, err := types.New(types.Options{Program: "/opt/queuemgr", BuiltIn: New().builtIn, Dir: "examples/python"})
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`--type (\S+)[^\n']* --params '([^'\n]*)'`)
	found := map[string]int{}
	err = filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "node_modules" || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") && path != ".") {
			return fs.SkipDir
		}
		ext := filepath.Ext(path)
		if ext != ".md" && ext != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range example.FindAllStringSubmatch(string(text), -1) {
			name, params := m[1], m[2]
			if strings.Contains(params, "…") || strings.Contains(params, "%") || name == "my-job" { // examples/myjob has these as its Example, which registering it checks
				continue
			}
			found[path]++
			if _, err := r.Prepare(&job.Spec{Type: name, Params: json.RawMessage(params)}); err != nil {
				t.Errorf("%s: --type %s --params '%s': %v", path, name, params, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"internal/cli/job_add.go", "docs/types.md", "examples/python/README.md"} {
		if found[path] == 0 {
			t.Errorf("no example is found in %s: mend this test", path)
		}
	}
	t.Log(found)
}
