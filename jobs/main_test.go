package jobs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/queuemgr/queuemgr/jobs"
	"github.com/queuemgr/queuemgr/queuemgrtest"
)

func TestMain(m *testing.M) {
	queuemgrtest.Main(cleaning{m}, &jobs.HTTP{}, &jobs.Files{})
}

// cleaning removes the program that the tests have built.
type cleaning struct{ *testing.M }

func (c cleaning) Run() int {
	code := c.M.Run()
	if built {
		if path, err := program(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path)) // the machine's temporary folder
		}
	}
	return code
}
