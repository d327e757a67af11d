package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// gate is a gate over a real registry, with a clock and users of its own.
type gate struct {
	*auth.Gate
	*testing.T
	store *sqlite.Store
	audit *auth.Recorder

	mu    sync.Mutex
	now   time.Time
	users map[uint32]string
	ops   []string
	page  *job.WebStatus

	noUsers error // of each look at the users
}

func openGate(t *testing.T) *gate {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "registry.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	g := &gate{T: t, store: s, now: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC), users: map[uint32]string{0: "root", 1000: "oscar", 1001: "ann"}, ops: []string{"oscar"},
		page: &job.WebStatus{Listen: "127.0.0.1:5000", URL: "http://127.0.0.1:5000/"}}
	g.open()
	return g
}

// open reads the record, as a daemon does that starts.
func (g *gate) open() {
	g.Helper()
	g.audit = auth.NewRecorder(g.store, g.clock, slog.New(slog.DiscardHandler))
	var err error
	g.Gate, err = auth.OpenGate(g.Context(), auth.GateOptions{Store: g.store, Audit: g.audit, Now: g.clock, Log: slog.New(slog.DiscardHandler),
		RoleOf:   auth.Roles(daemonUID, func() []string { g.mu.Lock(); defer g.mu.Unlock(); return g.ops }),
		UserName: func(uid uint32) (string, error) { g.mu.Lock(); defer g.mu.Unlock(); return g.users[uid], g.noUsers },
		Page:     func() *job.WebStatus { g.mu.Lock(); defer g.mu.Unlock(); return g.page },
		Settings: func() []job.Setting { return []job.Setting{{Key: "node", Value: "here", Source: "default"}} }})
	if err != nil {
		g.Fatal(err)
	}
}

func (g *gate) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *gate) pass(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.now.Add(d)
}

func (g *gate) token(name string, role job.Role, expires time.Duration) *job.Token {
	g.Helper()
	n := job.NewToken{Name: name, Role: role}
	if expires > 0 {
		n.ExpiresIn = (*job.Duration)(&expires)
	}
	t, err := g.AddToken(as(g.T, root), n)
	if err != nil {
		g.Fatal(err)
	}
	return t
}

// login makes a link as c and returns its code.
func (g *gate) login(c job.Caller, role job.Role) string {
	g.Helper()
	l, err := g.AddLogin(as(g.T, c), role)
	if err != nil {
		g.Fatalf("%s makes a login: %v", c.Name, err)
	}
	if l.URL != "http://127.0.0.1:5000/#login="+l.Code {
		g.Errorf("the link is %s", l.URL)
	}
	return l.Code
}

func (g *gate) session(with job.Credentials) string {
	g.Helper()
	secret, _, err := g.LogIn(g.Context(), "10.0.0.7", with, "")
	if err != nil {
		g.Fatalf("log in: %v", err)
	}
	return secret
}

func (g *gate) alive(secret string, want bool, when string) {
	g.Helper()
	_, err := g.Session(g.Context(), secret, "10.0.0.7")
	if want && err != nil || !want && job.CodeOf(err) != job.Unauthenticated {
		g.Errorf("the login %s: %v", when, err)
	}
}

func TestTokens(t *testing.T) {
	g := openGate(t)
	ci := g.token("ci", job.Operator, time.Hour)
	if len(ci.Secret) < 43 || !strings.HasPrefix(ci.Secret, "qm_") {
		t.Errorf("the secret is %q", ci.Secret)
	}
	if other := g.token("other", job.Viewer, 0); other.Secret == ci.Secret || other.ID == ci.ID {
		t.Error("two tokens are the same")
	}
	c, err := g.Bearer(ci.Secret, "10.0.0.7")
	want := job.Caller{UID: job.NoUID, GID: job.NoUID, Name: "ci", Via: job.ViaToken, Role: job.Operator, From: "10.0.0.7", TokenID: ci.ID, LoginUID: job.NoUID, ExpiresAt: ci.ExpiresAt}
	if err != nil || c != want {
		t.Errorf("%+v %v", c, err)
	}
	for _, secret := range []string{"", "qm_", ci.Secret[3:], ci.Secret + "x", ci.Secret[:len(ci.Secret)-1], strings.Repeat("x", 1<<20)} {
		if c, err := g.Bearer(secret, "10.0.0.7"); job.CodeOf(err) != job.Unauthenticated || c != (job.Caller{}) {
			t.Errorf("%.60q: %+v %v", secret, c, err)
		}
	}
	list, err := g.Tokens(as(t, root))
	if err != nil || len(list) != 2 || list[0].Name != "ci" || list[0].Secret != "" || list[0].LastUsedAt != g.now || list[0].CreatedBy != "root" || !list[1].LastUsedAt.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
	// Nothing on record holds a secret.
	kept, err := g.store.Tokens(t.Context())
	if err != nil || strings.Contains(fmt.Sprintf("%+v %x", kept, kept), ci.Secret[3:]) {
		t.Errorf("on record: %+v %v", kept, err)
	}
	g.pass(time.Hour)
	if _, err := g.Bearer(ci.Secret, ""); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("expired: %v", err)
	}
	if err := g.DeleteToken(as(t, root), list[1].ID); err != nil {
		t.Fatal(err)
	}
	if err := g.DeleteToken(as(t, root), list[1].ID); job.CodeOf(err) != job.NotFound {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestBadTokens(t *testing.T) {
	g := openGate(t)
	g.token("taken", job.Viewer, 0)
	negative, century := job.Duration(-1), job.Duration(100*365*24*time.Hour)
	for _, c := range []struct {
		n     job.NewToken
		code  job.Code
		field string
	}{
		{job.NewToken{Role: job.Viewer}, job.Invalid, "name"},
		{job.NewToken{Name: "a b", Role: job.Viewer}, job.Invalid, "name"},
		{job.NewToken{Name: strings.Repeat("x", 65), Role: job.Viewer}, job.Invalid, "name"},
		{job.NewToken{Name: "x"}, job.Invalid, "role"},
		{job.NewToken{Name: "x", Role: job.Member}, job.Invalid, "role"},
		{job.NewToken{Name: "x", Role: "root"}, job.Invalid, "role"},
		{job.NewToken{Name: "x", Role: job.Viewer, ExpiresIn: &negative}, job.Invalid, "expires_in"},
		{job.NewToken{Name: "x", Role: job.Viewer, ExpiresIn: &century}, job.Invalid, "expires_in"},
		{job.NewToken{Name: "taken", Role: job.Viewer}, job.Conflict, "name"},
	} {
		_, err := g.AddToken(as(t, root), c.n)
		e := (*job.Error)(nil)
		if !errors.As(err, &e) || e.Code != c.code || e.Field != c.field {
			t.Errorf("%+v: %v", c.n, err)
		}
	}
}

func TestLoginLink(t *testing.T) {
	g := openGate(t)
	code := g.login(root, "")
	secret, c, err := g.LogIn(t.Context(), "10.0.0.7", job.Credentials{Code: code}, "")
	if err != nil || c.Name != "root" || c.Role != job.Admin || c.UID != job.NoUID || c.Via != job.ViaSession || secret == code {
		t.Fatalf("%+v %v", c, err)
	}
	g.alive(secret, true, "that was just begun")
	if _, _, err := g.LogIn(t.Context(), "10.0.0.7", job.Credentials{Code: code}, ""); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("the same link once more: %v", err)
	}
	g.alive(code, false, "that is a link's code")
	late := g.login(root, job.Viewer)
	g.pass(5 * time.Minute)
	if _, _, err := g.LogIn(t.Context(), "10.0.0.7", job.Credentials{Code: late}, ""); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("a link after its time: %v", err)
	}
	for _, with := range []job.Credentials{{}, {Code: "x"}, {Token: "qm_x"}, {Code: strings.Repeat("x", 1<<20)}} {
		if _, _, err := g.LogIn(t.Context(), "10.0.0.8", with, ""); job.CodeOf(err) != job.Unauthenticated {
			t.Errorf("%.40q: %v", with, err)
		}
	}
	if err := g.LogOut(t.Context(), secret, ""); err != nil {
		t.Fatal(err)
	}
	g.alive(secret, false, "after the logout")
	if err := g.LogOut(t.Context(), secret, ""); err != nil {
		t.Errorf("logged out twice: %v", err)
	}

	// A link is no way up.
	viewer := g.token("v", job.Viewer, 0)
	byToken := func(secret string) job.Caller {
		c, err := g.Bearer(secret, "")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	operator := byToken(g.token("o", job.Operator, 0).Secret)
	for _, try := range []struct {
		c    job.Caller
		role job.Role
		code job.Code
	}{
		{ann, "", job.Forbidden}, {ann, job.Viewer, job.Forbidden}, {oscar, job.Admin, job.Forbidden}, {operator, job.Admin, job.Forbidden},
		{byToken(viewer.Secret), job.Viewer, job.Forbidden}, {root, job.Member, job.Invalid}, {root, "x", job.Invalid},
		{job.Caller{}, "", ""}, // the zero Caller is root of the socket, which auth never makes
		{job.Caller{Via: job.ViaToken}, "", job.Forbidden}, {job.Caller{Via: job.ViaSession, Role: job.Member}, "", job.Forbidden},
		{job.Caller{UID: job.NoUID, Name: "oscar"}, "", job.Forbidden}, {job.Caller{Role: job.Viewer}, "", job.Forbidden},
	} {
		if _, err := g.AddLogin(as(t, try.c), try.role); job.CodeOf(err) != try.code {
			t.Errorf("%+v makes a login as %q: %v", try.c, try.role, err)
		}
	}
	g.page = &job.WebStatus{Listen: "127.0.0.1:5000", Problem: "taken by nginx"}
	if _, err := g.AddLogin(as(t, root), ""); job.CodeOf(err) != job.WrongState || !strings.Contains(err.Error(), "nginx") {
		t.Errorf("while the page is not served: %v", err)
	}
}

// TestWhoStandsBehindALogin wants a login over as soon as whoever it is from is gone.
func TestWhoStandsBehindALogin(t *testing.T) {
	g := openGate(t)
	token := g.token("phone", job.Operator, 0)
	caller, err := g.Bearer(token.Secret, "")
	if err != nil {
		t.Fatal(err)
	}
	direct, throughLink := g.session(job.Credentials{Token: token.Secret}), g.session(job.Credentials{Code: g.login(caller, job.Viewer)})
	unused := g.login(caller, job.Viewer)
	c, err := g.Session(t.Context(), direct, "")
	if err != nil {
		t.Fatal(err)
	}
	third := g.session(job.Credentials{Code: g.login(c, job.Viewer)}) // a link made with a login
	expiring := g.session(job.Credentials{Token: g.token("short", job.Viewer, time.Minute).Secret})
	viewers := g.session(job.Credentials{Code: g.login(oscar, job.Viewer)})
	oscars, roots := g.session(job.Credentials{Code: g.login(oscar, "")}), g.session(job.Credentials{Code: g.login(root, "")})
	for _, secret := range []string{direct, throughLink, third, expiring, oscars, roots} {
		g.alive(secret, true, "before anything happens")
	}
	if err := g.DeleteToken(as(t, root), token.ID); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{direct, throughLink, third} {
		g.alive(secret, false, "of a revoked token")
	}
	if _, _, err := g.LogIn(t.Context(), "", job.Credentials{Code: unused}, ""); job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("a link of a revoked token: %v", err)
	}
	g.pass(time.Minute)
	g.alive(expiring, false, "of a token that has expired")

	g.alive(oscars, true, "of an operator")
	g.ops = nil
	g.alive(oscars, false, "of one who is no operator any more")
	g.alive(viewers, false, "as a viewer, of one who is a member now: those make no logins")
	g.ops = []string{"oscar"}
	g.alive(oscars, false, "of one who was none in between")
	again := g.session(job.Credentials{Code: g.login(oscar, "")})
	g.users[1000] = "olga" // the number was given to another
	g.alive(again, false, "of a user whose number another has")
	g.alive(roots, true, "of root")
}

func TestSessionsOutliveTheDaemon(t *testing.T) {
	g := openGate(t)
	token := g.token("phone", job.Viewer, 0)
	kept, left := g.session(job.Credentials{Token: token.Secret}), g.session(job.Credentials{Code: g.login(root, "")})
	if err := g.LogOut(t.Context(), left, ""); err != nil {
		t.Fatal(err)
	}
	g.open() // as after a SIGKILL: nothing was written at the end
	g.alive(kept, true, "after a restart")
	g.alive(left, false, "that was ended before the restart")
	if _, err := g.Bearer(token.Secret, ""); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	g.pass(2 * 24 * time.Hour)
	g.alive(kept, true, "after two days")
	g.Gate.Run(ctx) // an orderly end
	g.open()
	g.pass(2 * 24 * time.Hour)
	g.alive(kept, true, "two days after it was used")
	g.pass(3 * 24 * time.Hour)
	g.alive(kept, false, "three days after it was used")

	lasting := g.session(job.Credentials{Token: token.Secret})
	for range 29 {
		g.pass(24 * time.Hour)
		g.alive(lasting, true, "that is used each day")
	}
	g.pass(24 * time.Hour)
	g.alive(lasting, false, "after thirty days")
}
