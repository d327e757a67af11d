package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

func TestThrottle(t *testing.T) {
	g := openGate(t)
	try := func(from string) error {
		_, _, err := g.LogIn(t.Context(), from, job.Credentials{Token: "qm_x"}, "")
		return err
	}
	for range 10 {
		if err := try("2001:db8::1"); job.CodeOf(err) != job.Unauthenticated {
			t.Fatal(err)
		}
	}
	e := (*job.Error)(nil)
	if err := try("2001:db8::2"); !errors.As(err, &e) || e.Code != job.Throttled || e.RetryAfter <= 0 || e.RetryAfter > job.Duration(6*time.Second) {
		t.Fatalf("the eleventh of the same network: %v", err)
	}
	token := g.token("right", job.Viewer, 0)
	g.session(job.Credentials{Token: token.Secret}) // from elsewhere
	for _, with := range []job.Credentials{{Token: token.Secret}, {Code: g.login(root, "")}} {
		if _, _, err := g.LogIn(t.Context(), "2001:db8::2", with, ""); err != nil {
			t.Errorf("whoever tries beside, a good secret gets in: %v", err)
		}
	}
	if err := try("10.0.0.1"); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("from elsewhere: %v", err)
	}
	g.pass(time.Duration(e.RetryAfter))
	if err := try("2001:db8::2"); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("after the time that was said: %v", err)
	}
	g.pass(time.Second)
	throttled := 0
	for i := range 10_000 {
		if err := try(fmt.Sprintf("10.%d.%d.1", i>>8, i&255)); job.CodeOf(err) == job.Throttled {
			throttled++
		}
	}
	if throttled != 10_000-100 {
		t.Errorf("of 10,000 from as many places %d were refused, want all but 100", throttled)
	}
	g.session(job.Credentials{Token: token.Secret})
	g.pass(time.Minute)
	if err := try("10.0.0.1"); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("a minute later: %v", err)
	}
	page, err := g.Audit(as(t, root), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	failures := 0
	for _, a := range page.Entries {
		if a.Action == "log in" && a.Outcome == string(job.Unauthenticated) {
			failures++
		}
	}
	if failures > 60 || failures < 50 {
		t.Errorf("%d failed logins are in the audit", failures)
	}
}

// heldStore records no session before it is let.
type heldStore struct {
	*sqlite.Store
	asked, let chan struct{}
}

func (s heldStore) AddSession(ctx context.Context, k store.Session) error {
	close(s.asked)
	<-s.let
	return s.Store.AddSession(ctx, k)
}

// TestBadLoginsWaitForNobody tries one while a good one is being recorded.
func TestBadLoginsWaitForNobody(t *testing.T) {
	g := openGate(t)
	token := g.token("right", job.Viewer, 0)
	held := heldStore{g.store, make(chan struct{}), make(chan struct{})}
	gate, err := auth.OpenGate(t.Context(), auth.GateOptions{Store: held, Audit: g.audit, Now: g.clock, RoleOf: roles, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	good := make(chan error, 1)
	go func() {
		_, _, err := gate.LogIn(t.Context(), "", job.Credentials{Token: token.Secret}, "")
		good <- err
	}()
	<-held.asked
	if _, _, err := gate.LogIn(t.Context(), "", job.Credentials{Token: "qm_x"}, ""); job.CodeOf(err) != job.Unauthenticated {
		t.Error(err)
	}
	close(held.let)
	if err := <-good; err != nil {
		t.Error(err)
	}
}
