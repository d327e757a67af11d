package auth_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/internal/auth"
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
