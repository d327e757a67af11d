package auth_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

func TestThrottle(t *testing.T) {
	g := openGate(t)
	try := func(from string) error {
		_, _, err := g.LogIn(t.Context(), from, job.Credentials{Token: "qm_x"})
		return err
	}
	for range 10 {
		if err := try("2001:db8::1"); job.CodeOf(err) != job.Unauthenticated {
			t.Fatal(err)
		}
	}
	token := g.token("right", job.Viewer, 0)
	_, _, err := g.LogIn(t.Context(), "2001:db8::2", job.Credentials{Token: token.Secret}) // of the same network
	e := (*job.Error)(nil)
	if !errors.As(err, &e) || e.Code != job.Throttled || e.RetryAfter <= 0 || e.RetryAfter > job.Duration(6*time.Second) {
		t.Fatalf("the eleventh: %v", err)
	}
	if err := try("10.0.0.1"); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("from elsewhere: %v", err)
	}
	g.pass(time.Duration(e.RetryAfter))
	if _, _, err := g.LogIn(t.Context(), "2001:db8::2", job.Credentials{Token: token.Secret}); err != nil {
		t.Errorf("after the time that was said: %v", err)
	}
	throttled := 0
	for i := range 10_000 {
		if err := try(fmt.Sprintf("10.%d.%d.1", i>>8, i&255)); job.CodeOf(err) == job.Throttled {
			throttled++
		}
	}
	if throttled != 10_000-100 {
		t.Errorf("of 10,000 from as many places %d were refused, want all but 100", throttled)
	}
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
