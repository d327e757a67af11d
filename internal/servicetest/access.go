package servicetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// RunAccess holds a service to the contract of job.AccessService. open returns a fresh one, of which
// who runs the test is the admin.
func RunAccess(t *testing.T, open func(t *testing.T) job.AccessService) {
	for name, run := range map[string]func(*access){
		"Me": accessMe, "Tokens": accessTokens, "BadTokens": accessBadTokens, "Logins": accessLogins, "EndLogins": accessEndLogins, "Audit": accessAudit, "Settings": accessSettings,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(Caller(t.Context()), limit)
			defer cancel()
			run(&access{T: t, AccessService: open(t), ctx: ctx})
		})
	}
}

type access struct {
	*testing.T
	job.AccessService
	ctx context.Context
}

func (a *access) ok(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

func (a *access) refused(err error, code job.Code, field string) {
	a.Helper()
	e := (*job.Error)(nil)
	if !errors.As(err, &e) || e.Code != code || e.Field != field || e.Message == "" || e.Hint == "" {
		a.Errorf("error %#v, want code %s, field %q", err, code, field)
	}
}

func accessMe(a *access) {
	me, err := a.Me(a.ctx)
	a.ok(err)
	if me.Name == "" || me.Role != job.Admin || me.Via != job.ViaSocket || !me.ExpiresAt.IsZero() {
		a.Errorf("%+v", me)
	}
}

func accessTokens(a *access) {
	month := job.Duration(30 * 24 * time.Hour)
	made, err := a.AddToken(a.ctx, job.NewToken{Name: "ci", Role: job.Operator, ExpiresIn: &month})
	a.ok(err)
	if !strings.HasPrefix(made.Secret, "qm_") || made.ID == "" || made.Name != "ci" || made.Role != job.Operator || made.CreatedBy == "" || made.ExpiresAt.Sub(made.CreatedAt) != time.Duration(month) {
		a.Errorf("%+v", made)
	}
	_, err = a.AddToken(a.ctx, job.NewToken{Name: "alone", Role: job.Viewer})
	a.ok(err)
	list, err := a.Tokens(a.ctx)
	a.ok(err)
	if len(list) != 2 || list[0].Name != "alone" || !list[0].ExpiresAt.IsZero() || list[1].ID != made.ID || list[0].Secret+list[1].Secret != "" {
		a.Errorf("%+v", list)
	}
	a.ok(a.DeleteToken(a.ctx, made.ID))
	a.refused(a.DeleteToken(a.ctx, made.ID), job.NotFound, "id")
	for _, odd := range []string{"", ".", "..", "a/b", "a b", "%2e%2e", "ü?x#y"} {
		if err := a.DeleteToken(a.ctx, odd); job.CodeOf(err) != job.NotFound {
			a.Errorf("revoke %q: %v", odd, err)
		}
	}
	list, err = a.Tokens(a.ctx)
	a.ok(err)
	if len(list) != 1 {
		a.Errorf("%+v", list)
	}
}

func accessBadTokens(a *access) {
	none := job.Duration(0)
	_, err := a.AddToken(a.ctx, job.NewToken{Name: "x", Role: job.Viewer})
	a.ok(err)
	for field, n := range map[string]job.NewToken{"name": {Name: "a/b", Role: job.Viewer}, "role": {Name: "y", Role: job.Member}, "expires_in": {Name: "y", Role: job.Viewer, ExpiresIn: &none}} {
		_, err := a.AddToken(a.ctx, n)
		a.refused(err, job.Invalid, field)
	}
	_, err = a.AddToken(a.ctx, job.NewToken{Name: "x", Role: job.Admin})
	a.refused(err, job.Conflict, "name")
}

func accessLogins(a *access) {
	for role, want := range map[job.Role]job.Role{"": job.Admin, job.Viewer: job.Viewer, job.Operator: job.Operator} {
		l, err := a.AddLogin(a.ctx, role)
		a.ok(err)
		if l.Role != want || len(l.Code) < 43 || !strings.HasSuffix(l.URL, "/#login="+l.Code) || l.ExpiresAt.IsZero() {
			a.Errorf("%+v", l)
		}
	}
	_, err := a.AddLogin(a.ctx, job.Member)
	a.refused(err, job.Invalid, "role")
}

func accessEndLogins(a *access) {
	for want := range 3 {
		for range want {
			_, err := a.AddLogin(a.ctx, job.Viewer)
			a.ok(err)
		}
		ended, err := a.EndLogins(a.ctx)
		a.ok(err)
		if ended != (job.EndedLogins{Links: want}) {
			a.Errorf("%+v, want %d links", ended, want)
		}
	}
}

func accessAudit(a *access) {
	for _, name := range []string{"a", "b", "c"} {
		_, err := a.AddToken(a.ctx, job.NewToken{Name: name, Role: job.Viewer})
		a.ok(err)
	}
	page, err := a.Audit(a.ctx, "", 2)
	a.ok(err)
	if len(page.Entries) != 2 || page.NextCursor == "" || page.Entries[0].Target != "token c (viewer)" || page.Entries[0].Action != "add token" ||
		page.Entries[0].Who == "" || page.Entries[0].Role != job.Admin || page.Entries[0].Via != job.ViaSocket || page.Entries[0].Outcome != "done" || page.Entries[0].At.IsZero() {
		a.Errorf("%+v", page)
	}
	page, err = a.Audit(a.ctx, page.NextCursor, 2)
	a.ok(err)
	if len(page.Entries) != 1 || page.NextCursor != "" || page.Entries[0].Target != "token a (viewer)" {
		a.Errorf("%+v", page)
	}
	_, err = a.Audit(a.ctx, "x", 0)
	a.refused(err, job.Invalid, "cursor")
	_, err = a.Audit(a.ctx, "", job.MaxLimit+1)
	a.refused(err, job.Invalid, "limit")
}

func accessSettings(a *access) {
	settings, err := a.Settings(a.ctx)
	a.ok(err)
	if len(settings) == 0 || settings[0].Key == "" || settings[0].Source == "" {
		a.Errorf("%+v", settings)
	}
}
