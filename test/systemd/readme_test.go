package systemd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/test/harness"
)

// block is a fenced block of a README.
type block struct {
	Part, Heading string // of ## and ### above it
	Kind          string // what stands behind the fence: sh is to be executed, all else to be read
	Text          string
}

// readmeBlocks returns the blocks of a README in the project's root.
func readmeBlocks(t *testing.T, name string) []block {
	t.Helper()
	root, err := harness.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	const fence = "```"
	var blocks []block
	var part, heading string
	var open *block
	for line := range strings.Lines(string(text)) {
		bare := strings.TrimSuffix(line, "\n")
		switch {
		case open != nil && bare == fence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.Text += line
		case strings.HasPrefix(bare, fence):
			open = &block{Part: part, Heading: heading, Kind: strings.TrimPrefix(bare, fence)}
		case strings.HasPrefix(bare, "## "):
			part, heading = strings.TrimPrefix(bare, "## "), ""
		case strings.HasPrefix(bare, "### "):
			heading = strings.TrimPrefix(bare, "### ")
		}
	}
	if open != nil {
		t.Fatalf("%s: the block below %q %q does not end", name, open.Part, open.Heading)
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no fenced blocks", name)
	}
	return blocks
}

// TestReadmesAgree: what is executed of README.md holds for README.ru.md, too.
func TestReadmesAgree(t *testing.T) {
	withoutTitles := func(blocks []block) []block {
		for i := range blocks {
			blocks[i].Part, blocks[i].Heading = "", ""
		}
		return blocks
	}
	if diff := cmp.Diff(withoutTitles(readmeBlocks(t, "README.md")), withoutTitles(readmeBlocks(t, "README.ru.md"))); diff != "" {
		t.Errorf("README.ru.md has other blocks than README.md: %s", diff)
	}
}
