package servicetest_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/internal/auth/authtest"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/internal/servicetest"
	"github.com/queuemgr/queuemgr/job"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestEngine(t *testing.T) {
	servicetest.Run(t, func(t *testing.T) job.Service { return enginetest.Start(t, nil) })
}

func TestGate(t *testing.T) {
	servicetest.RunAccess(t, func(t *testing.T) job.AccessService { return authtest.Guard(t, enginetest.Start(t, nil)).Gate })
}

func TestClientAccess(t *testing.T) {
	servicetest.RunAccess(t, func(t *testing.T) job.AccessService {
		g := authtest.Guard(t, enginetest.Start(t, nil))
		return over(t, httpapi.Options{Service: g.Service, Gate: g.Gate, Access: g.Gate})
	})
}

func TestClient(t *testing.T) {
	servicetest.Run(t, func(t *testing.T) job.Service {
		return over(t, httpapi.Options{Service: enginetest.Start(t, nil), Version: "test"})
	})
}

// over returns a client of what is served with o.
func over(t *testing.T, o httpapi.Options) *client.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := httpapi.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- httpapi.New(o).Serve(ctx, l, time.Minute) }()
	c := client.New(client.Options{Socket: socket})
	t.Cleanup(func() {
		c.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c
}
