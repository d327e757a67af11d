package engine_test

import (
	"testing"

	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
