package runner

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/queuemgr/queuemgr/internal/crashpoint"
)

// TestPointsAreListed compares the crash points in the code with the list that tests go by.
func TestPointsAreListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`(?:step|Here)\("([a-z.-]+)"\)`)
	found := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllSubmatch(b, -1) {
			found[string(m[1])] = true
		}
	}
	want := slices.Sorted(slices.Values(slices.Concat(crashpoint.Runner, crashpoint.Folders)))
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(found))); diff != "" {
		t.Error(diff)
	}
}
