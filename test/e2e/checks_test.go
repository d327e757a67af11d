package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestChecksExist holds that every test that docs/checks.md names is there. A name that ends with …
// is the beginning of several.
func TestChecksExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests []string
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			tests = append(tests, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := "\n" + strings.Join(tests, "\n") + "\n"
	named := regexp.MustCompile("`(Test\\w+)(…?)`").FindAllStringSubmatch(string(page), -1)
	if len(named) == 0 {
		t.Fatal("docs/checks.md names no test")
	}
	for _, m := range named {
		whole := "\n" + m[1]
		if m[2] == "" {
			whole += "\n"
		}
		if !strings.Contains(all, whole) {
			t.Errorf("docs/checks.md names %s, and there is no such test", m[1])
		}
	}
}
