package auth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// by returns who has a session.
func (g *gate) by(secret string) job.Caller {
	g.Helper()
	c, err := g.Session(g.Context(), secret, "")
	if err != nil {
		g.Fatal(err)
	}
	return c
}

// TestStolenLogin wants that whoever has got hold of a login can make nothing with it that outlives it.
func TestStolenLogin(t *testing.T) {
	g := openGate(t)
	stolen := g.session(job.Credentials{Code: g.login(root, "")})
	until := g.by(stolen).ExpiresAt
	g.pass(time.Hour)
	made, again := g.session(job.Credentials{Code: g.login(g.by(stolen), "")}), g.session(job.Credentials{Code: g.login(g.by(stolen), job.Viewer)})
	if c := g.by(made); !c.ExpiresAt.Equal(until) {
		t.Errorf("a login of a login holds until %v, that until %v", c.ExpiresAt, until)
	}
	if _, err := g.AddLogin(as(t, g.by(made)), ""); job.CodeOf(err) != job.Forbidden {
		t.Errorf("a login of a login makes a link: %v", err)
	}
	open := map[string]bool{}
	g.Watch(g.by(made), func() { open["made"] = true })
	g.open() // what hangs on what outlives the daemon
	g.pass(2 * 24 * time.Hour)
	g.alive(made, true, "of a login, after a restart")
	g.pass(2 * 24 * time.Hour)
	g.alive(stolen, true, "that another one hangs on, which was used")
	g.alive(again, false, "that was not used for days")
	unused := g.login(g.by(stolen), "")
	g.Watch(g.by(made), func() { open["made again"] = true })
	if err := g.LogOut(t.Context(), stolen, ""); err != nil {
		t.Fatal(err)
	}
	g.alive(made, false, "of a login that was ended")
	if !open["made again"] {
		t.Error("its streams go on")
	}
	if _, _, err := g.LogIn(t.Context(), "", job.Credentials{Code: unused}, ""); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("a link of a login that was ended: %v", err)
	}
	if kept, err := g.store.Sessions(t.Context()); err != nil || len(kept) != 0 {
		t.Errorf("on record there are still %d, %v", len(kept), err)
	}

	// One that was not shown since the start is not known to hang on another; it is over all the same.
	parent := g.session(job.Credentials{Code: g.login(root, "")})
	child := g.session(job.Credentials{Code: g.login(g.by(parent), "")})
	g.open()
	if err := g.LogOut(t.Context(), parent, ""); err != nil {
		t.Fatal(err)
	}
	g.alive(child, false, "of a login that was ended before it was shown")

	// In the browser that has the one, the other takes its place and does not end with that.
	parent = g.session(job.Credentials{Code: g.login(root, "")})
	child, _, err := g.LogIn(t.Context(), "", job.Credentials{Code: g.login(g.by(parent), "")}, parent)
	if err != nil {
		t.Fatal(err)
	}
	g.alive(child, true, "in place of the one that it hangs on")
	next, _, err := g.LogIn(t.Context(), "", job.Credentials{Code: g.login(root, "")}, parent)
	if err != nil {
		t.Fatal(err)
	}
	g.alive(parent, false, "that another took the place of")
	g.alive(next, true, "in place of another")
}

func TestEndLogins(t *testing.T) {
	g := openGate(t)
	token := g.token("ci", job.Operator, 0)
	roots, cis := g.session(job.Credentials{Code: g.login(root, "")}), g.session(job.Credentials{Token: token.Secret})
	unused := g.login(oscar, "")
	ended := 0
	g.Watch(g.by(roots), func() { ended++ })
	if _, err := g.EndLogins(as(t, oscar)); job.CodeOf(err) != job.Forbidden {
		t.Errorf("an operator ends all logins: %v", err)
	}
	got, err := g.EndLogins(as(t, root))
	if want := (job.EndedLogins{Logins: 2, Links: 1}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	g.alive(roots, false, "after all were ended")
	g.alive(cis, false, "after all were ended")
	if ended != 1 {
		t.Error("a stream goes on")
	}
	if _, _, err := g.LogIn(t.Context(), "", job.Credentials{Code: unused}, ""); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("a link goes on: %v", err)
	}
	if _, err := g.Bearer(token.Secret, ""); err != nil {
		t.Errorf("the token is over, too: %v", err)
	}
	page, err := g.Audit(as(t, root), "", 2)
	if e := page.Entries; err != nil || len(e) != 2 || e[1].Action != "end all logins" || e[1].Target != "2 logins, 1 links" || e[1].Outcome != "done" {
		t.Errorf("%+v %v", page, err)
	}
	g.open()
	g.alive(roots, false, "after a restart")
}

// TestPageThatIsLeftOpen is in use while its stream is open.
func TestPageThatIsLeftOpen(t *testing.T) {
	g := openGate(t)
	open, closed := g.session(job.Credentials{Code: g.login(root, "")}), g.session(job.Credentials{Code: g.login(root, "")})
	child := g.session(job.Credentials{Code: g.login(g.by(open), "")})
	over := 0
	stop := g.Watch(g.by(child), func() { over++ })
	for range 5 {
		g.pass(24 * time.Hour)
		g.Sweep(t.Context())
	}
	if over != 0 {
		t.Error("the page was logged out")
	}
	g.alive(closed, false, "that nobody used")
	stop()
	g.pass(2 * 24 * time.Hour)
	g.alive(child, true, "two days after its page was closed")
	g.alive(open, true, "that it hangs on")
	g.pass(3 * 24 * time.Hour)
	g.alive(child, false, "three days after")
}

// TestUsersThatCantBeLookedUp wants nothing ended while it can't be told who a user is.
func TestUsersThatCantBeLookedUp(t *testing.T) {
	g := openGate(t)
	secret, unused := g.session(job.Credentials{Code: g.login(oscar, "")}), g.login(oscar, "")
	g.noUsers = errors.New("too many open files")
	if _, err := g.Session(t.Context(), secret, ""); job.CodeOf(err) != job.Unavailable {
		t.Errorf("meanwhile: %v", err)
	}
	for range 20 {
		if _, _, err := g.LogIn(t.Context(), "", job.Credentials{Code: unused}, ""); job.CodeOf(err) != job.Unavailable {
			t.Fatalf("a link meanwhile: %v", err)
		}
	}
	g.Sweep(t.Context())
	g.noUsers = nil
	g.alive(secret, true, "after users can be looked up again")
	g.session(job.Credentials{Code: unused})
	g.noUsers = errors.New("too many open files")
	if err := g.LogOut(context.Background(), secret, ""); err != nil {
		t.Error(err)
	}
	g.noUsers = nil
	g.alive(secret, false, "after a logout while nobody could be looked up")
}
