package jobs_test

import (
	"testing"

	"github.com/queuemgr/queuemgr/jobs"
	"github.com/queuemgr/queuemgr/queuemgrtest"
)

func TestMain(m *testing.M) { queuemgrtest.Main(m, &jobs.HTTP{}, &jobs.Files{}) }
