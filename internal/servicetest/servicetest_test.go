package servicetest_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/internal/servicetest"
	"github.com/queuemgr/queuemgr/job"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestEngine(t *testing.T) {
	servicetest.Run(t, func(t *testing.T) job.Service { return enginetest.Start(t, nil) })
}

func TestClient(t *testing.T) {
	servicetest.Run(t, func(t *testing.T) job.Service {
		e := enginetest.Start(t, nil)
		socket := filepath.Join(t.TempDir(), "s")
		l, err := httpapi.Listen(socket)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- httpapi.New(httpapi.Options{Service: e, Version: "test"}).Serve(ctx, l, time.Minute) }()
		c := client.New(client.Options{Socket: socket})
		t.Cleanup(func() {
			c.Close()
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
		return c
	})
}
