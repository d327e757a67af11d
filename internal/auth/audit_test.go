package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

func TestAudit(t *testing.T) {
	g := openGate(t)
	token := g.token("ci", job.Operator, 0)
	c, err := g.Bearer(token.Secret, "10.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, accounts{})
	s = auth.New(s.Service, auth.Options{UID: daemonUID, RoleOf: roles, Accounts: accounts{}, Audit: g.audit})
	spec := job.Spec{Command: []string{"/bin/true"}, Hold: true}
	for range 3 {
		if _, err := s.AddJob(as(t, c), spec); err != nil {
			t.Fatal(err)
		}
	}
	add(t, s, ann, job.Spec{Hold: true}) // not in the audit: her own addition over the socket
	if _, err := s.AddJobs(as(t, c), job.Batch{Jobs: []job.Spec{spec, spec}}); err != nil {
		t.Fatal(err)
	}
	all := job.ActRequest{Action: job.ActStop}
	dry := all
	dry.DryRun = true
	for _, r := range []job.ActRequest{dry, all} {
		if _, err := s.Act(as(t, c), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Act(as(t, bob), job.ActRequest{Action: job.ActDelete, Filter: job.Filter{IDs: []job.Range{{From: 4, To: 4}}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteQueue(as(t, root), "nothing"); job.CodeOf(err) != job.NotFound {
		t.Fatal(err)
	}
	g.Refused(c, "POST /api/daemon/shutdown")
	if err := g.DeleteToken(as(t, root), token.ID); err != nil {
		t.Fatal(err)
	}
	page, err := g.Audit(as(t, root), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range page.Entries {
		got = append([]string{strings.Join([]string{e.Who, string(e.Role), string(e.Via), e.From, e.Action, e.Target, e.Outcome}, "|")}, got...)
	}
	want := []string{
		"root|admin|socket||add token|token ci (operator)|done",
		"ci|operator|token|10.0.0.7|add|5 jobs, 1 to 6|done",
		"ci|operator|token|10.0.0.7|stop|6 jobs, 1 to 6|done",
		"bob|member|socket||delete|job 4|forbidden",
		"root|admin|socket||delete queue|queue nothing|not_found",
		"ci|operator|token|10.0.0.7|POST /api/daemon/shutdown||forbidden",
		"root|admin|socket||revoke token|token ci|done",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	first, err := g.Audit(as(t, root), "", 3)
	if err != nil || len(first.Entries) != 3 {
		t.Fatalf("%+v %v", first, err)
	}
	second, err := g.Audit(as(t, root), first.NextCursor, 3)
	if err != nil || cmp.Diff(page.Entries[3:6], second.Entries) != "" {
		t.Errorf("the second page: %+v %v", second, err)
	}
	for _, bad := range []struct {
		cursor string
		limit  int
	}{{"x", 0}, {"-1", 0}, {"", -1}, {"", 1001}} {
		if _, err := g.Audit(as(t, root), bad.cursor, bad.limit); job.CodeOf(err) != job.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestAuditIsWrittenAtTheEnd wants what was recorded on record after an orderly end.
func TestAuditIsWrittenAtTheEnd(t *testing.T) {
	g := openGate(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); g.audit.Run(ctx) }()
	for i := range 1000 {
		g.audit.Record(job.AuditEntry{Who: "ann", Action: "stop", Target: fmt.Sprint(i) + strings.Repeat("\xff", 1000), Outcome: "done"})
	}
	stop()
	<-ended
	entries, err := g.store.Audit(t.Context(), 0, 2000)
	if err != nil || len(entries) != 1000 || !strings.HasPrefix(entries[0].Target, "999") || len(entries[0].Target) > 210 {
		t.Fatalf("%d entries are on record, %v", len(entries), err)
	}
}

// TestAuditOfWhatIsRefused wants every refusal told of, what is no action not, and nothing pushed out by
// who is refused often.
func TestAuditOfWhatIsRefused(t *testing.T) {
	g := openGate(t)
	s := start(t, accounts{})
	s = auth.New(s.Service, auth.Options{UID: daemonUID, RoleOf: roles, Accounts: accounts{}, Audit: g.audit})
	c, err := g.Bearer(g.token("ci", job.Operator, 0).Secret, "10.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	hers := add(t, s, ann, job.Spec{Hold: true})
	wanted := job.Spec{Command: []string{"/bin/true"}, User: "bob"}
	for what, do := range map[string]func() error{
		"a token for another user":           func() error { _, err := s.AddJob(as(t, c), wanted); return err },
		"a token's batch for another user":   func() error { _, err := s.AddJobs(as(t, c), job.Batch{Jobs: []job.Spec{wanted}}); return err },
		"a member for another user":          func() error { _, err := s.AddJob(as(t, ann), wanted); return err },
		"a member's queue":                   func() error { _, err := s.AddQueue(as(t, ann), "q", job.QueueUpdate{}); return err },
		"a member's reload":                  func() error { _, err := s.Reload(as(t, ann)); return err },
		"a member's token":                   func() error { _, err := g.AddToken(as(t, ann), job.NewToken{Name: "x", Role: job.Viewer}); return err },
		"a member's link":                    func() error { _, err := g.AddLogin(as(t, ann), ""); return err },
		"an operator's link for admins":      func() error { _, err := g.AddLogin(as(t, oscar), job.Admin); return err },
		"a member reads another's output":    func() error { _, err := s.Logs(as(t, bob), hers.ID, job.LogOptions{}); return err },
		"a member searches another's output": func() error { _, err := s.SearchLog(as(t, bob), hers.ID, job.LogSearch{Text: "x"}); return err },
		"a viewer's action": func() error {
			_, err := s.Act(as(t, job.Caller{UID: job.NoUID, Name: "v", Via: job.ViaToken, Role: job.Viewer}), job.ActRequest{Action: job.ActStop})
			return err
		},
	} {
		if err := do(); job.CodeOf(err) != job.Forbidden {
			t.Errorf("%s: %v", what, err)
		}
		page, err := g.Audit(as(t, root), "", 1)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Outcome != string(job.Forbidden) {
			t.Errorf("of %s the audit tells %+v %v", what, page, err)
		}
		g.pass(time.Minute)
	}
	count := func() int {
		t.Helper()
		page, err := g.Audit(as(t, root), "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Entries)
	}
	before := count()
	none := job.Action(strings.Repeat("x", 4<<20))
	for range 3 {
		if _, err := s.Act(as(t, ann), job.ActRequest{Action: none}); job.CodeOf(err) != job.Invalid || len(err.Error()) > 500 {
			t.Fatalf("what is no action: %.200v", err)
		}
	}
	if now := count(); now != before {
		t.Errorf("of what is no action %d entries tell", now-before)
	}
	for range 100 {
		for _, id := range []int64{hers.ID, 999} {
			if _, err := s.Act(as(t, bob), job.ActRequest{Action: job.ActStop, Filter: job.Filter{IDs: []job.Range{{From: id, To: id}}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if now := count(); now < before+40 || now > before+60 {
		t.Errorf("of 200 refusals %d entries tell", now-before)
	}
	g.pass(10 * time.Second)
	g.Refused(c, strings.Repeat("y", 1000))
	page, err := g.Audit(as(t, root), "", 1)
	if err != nil || !strings.Contains(page.Entries[0].Target, "more before were not recorded)") || len(page.Entries[0].Action) > 210 {
		t.Errorf("%+v %v", page, err)
	}
}

// fullStore is a registry whose audit can't be written.
type fullStore struct{ *sqlite.Store }

func (fullStore) AddAudit(context.Context, []job.AuditEntry) error {
	return errors.New("the disk is full")
}

// TestAuditIsReadOnAFullDisk reads what is on record, and logs that the rest can't be written.
func TestAuditIsReadOnAFullDisk(t *testing.T) {
	g := openGate(t)
	g.token("ci", job.Operator, 0)
	if page, err := g.Audit(as(t, root), "", 0); err != nil || len(page.Entries) != 1 {
		t.Fatalf("%+v %v", page, err)
	}
	var log strings.Builder
	r := auth.NewRecorder(fullStore{g.store}, g.clock, slog.New(slog.NewTextHandler(&log, nil)))
	r.Record(job.AuditEntry{Action: "stop"})
	entries, err := r.Read(t.Context(), 0, 10)
	if err != nil || len(entries) != 1 || !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("%+v %v; the log: %s", entries, err, log.String())
	}
}
