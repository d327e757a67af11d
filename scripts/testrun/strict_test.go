package main

import (
	"os"
	"strings"
	"testing"
)

// TestSkipsFailWhereTheyMayNot runs a real module whose only other test is skipped.
func TestSkipsFailWhereTheyMayNot(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"go.mod":    "module m\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\nfunc TestGood(*testing.T) {}\n\nfunc TestSkip(t *testing.T) { t.Skip(\"needs the moon\") }\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for strict, want := range map[bool]int{false: 0, true: 1} {
		var out strings.Builder
		if code := run([]string{"./..."}, strict, &out); code != want {
			t.Errorf("strict %v: exit code %d, want %d", strict, code, want)
		}
		for _, line := range []string{"SKIPPED m TestSkip: m_test.go:7: needs the moon\n", "1 passed, 0 failed, 1 skipped\n"} {
			if !strings.Contains(out.String(), line) {
				t.Errorf("strict %v: %q is not in the report:\n%s", strict, line, &out)
			}
		}
	}
}
