// Package authtest puts a gate before an engine, for tests of what serves the two.
package authtest

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/job"
)

// Guarded is an engine with who may ask.
type Guarded struct {
	*auth.Service
	*auth.Gate
}

// Guard guards e as the daemon of a user's own service does: who runs the test is its admin.
func Guard(t testing.TB, e *enginetest.Fixture) Guarded {
	t.Helper()
	uid := uint32(os.Getuid())
	roles := auth.Roles(uid, func() []string { return nil })
	audit := auth.NewRecorder(e.Store, time.Now, slog.New(slog.DiscardHandler))
	gate, err := auth.OpenGate(t.Context(), auth.GateOptions{Store: e.Store, Audit: audit, Now: time.Now, RoleOf: roles, Log: slog.New(slog.DiscardHandler),
		UserName: func(uint32) (string, error) { return "tester", nil }, // who asks over a test's socket is called by that name, too
		Page:     func() *job.WebStatus { return &job.WebStatus{Listen: "127.0.0.1:0", URL: "http://127.0.0.1/"} },
		Settings: func() []job.Setting { return []job.Setting{{Key: "node", Value: "test", Source: "default"}} }})
	if err != nil {
		t.Fatal(err)
	}
	return Guarded{auth.New(e, auth.Options{UID: uid, GID: uint32(os.Getgid()), RoleOf: roles, Audit: audit}), gate}
}

// Token makes a token and returns it with its secret.
func (g Guarded) Token(t testing.TB, role job.Role) *job.Token {
	t.Helper()
	ctx := job.WithCaller(t.Context(), job.Caller{UID: uint32(os.Getuid()), Name: "tester"})
	token, err := g.AddToken(ctx, job.NewToken{Name: string(role) + "-" + time.Now().Format("150405.000000000"), Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return token
}
