package storetest

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func hash(secret string) store.Hash { return sha256.Sum256([]byte(secret)) }

func token(id, name string) store.Token {
	return store.Token{Token: job.Token{ID: id, Name: name, Role: job.Operator, CreatedAt: start, CreatedBy: "root"}, Hash: hash(id)}
}

func testTokens(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	before := s.Seq()
	want := func(what string, tokens ...store.Token) {
		t.Helper()
		got, err := s.Tokens(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		diff(t, what, tokens, got)
	}
	want("of an empty registry")
	web, ci := token("1", "web"), token("2", "ci")
	web.Role, web.ExpiresAt = job.Admin, minute(5)
	for _, k := range []store.Token{web, ci} {
		if err := s.AddToken(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	want("by name", ci, web)
	sameID, sameName, sameHash := token("1", "x"), token("3", "ci"), token("4", "y")
	sameHash.Hash = ci.Hash
	for _, k := range []store.Token{sameID, sameName, sameHash} {
		refused(t, s.AddToken(t.Context(), k), job.Conflict)
	}
	if err := s.UseTokens(t.Context(), map[string]time.Time{"2": minute(1), "gone": minute(1)}); err != nil {
		t.Fatal(err)
	}
	ci.LastUsedAt = minute(1)
	want("used", ci, web)
	refused(t, s.DeleteToken(t.Context(), "3"), job.NotFound)
	if err := s.DeleteToken(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	refused(t, s.DeleteToken(t.Context(), "1"), job.NotFound)
	want("after a deletion", ci)
	if s.Seq() != before {
		t.Error("tokens are among the changes")
	}
	sound(t, s)
}

func testSessions(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	want := func(what string, sessions ...store.Session) {
		t.Helper()
		got, err := s.Sessions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		diff(t, what, sessions, got)
	}
	want("of an empty registry")
	if err := s.AddToken(t.Context(), token("1", "web")); err != nil {
		t.Fatal(err)
	}
	of := func(secret string, at int) store.Session {
		return store.Session{Hash: hash(secret), Name: "ann", Role: job.Viewer, UID: 1001, CreatedAt: minute(at), ExpiresAt: minute(at + 60), SeenAt: minute(at)}
	}
	first, byToken, third := of("a", 1), of("b", 2), of("c", 3)
	byToken.UID, byToken.TokenID = job.NoUID, "1"
	for _, k := range []store.Session{third, byToken, first} {
		if err := s.AddSession(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	want("the oldest first", first, byToken, third)
	refused(t, s.AddSession(t.Context(), first), job.Conflict)
	orphan := of("d", 4)
	orphan.TokenID = "gone"
	refused(t, s.AddSession(t.Context(), orphan), job.NotFound)
	if err := s.SeeSessions(t.Context(), map[store.Hash]time.Time{first.Hash: minute(9), hash("gone"): minute(9)}); err != nil {
		t.Fatal(err)
	}
	first.SeenAt = minute(9)
	want("seen", first, byToken, third)
	if err := s.DeleteToken(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	want("after its token was deleted", first, third)
	if err := s.DeleteSessions(t.Context(), first.Hash, hash("gone")); err != nil {
		t.Fatal(err)
	}
	want("after one was ended", third)
	sound(t, s)
}

func testAudit(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	before := s.Seq()
	read := func(before int64, limit int) (entries []job.AuditEntry) {
		t.Helper()
		entries, err := s.Audit(t.Context(), before, limit)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	diff(t, "of an empty registry", []job.AuditEntry{}, read(0, 10))
	var all []job.AuditEntry
	for i := range 10 {
		all = append(all, job.AuditEntry{ID: 99, At: minute(i), Who: "ann", Role: job.Admin, Via: job.ViaSession, From: "10.0.0.7",
			Action: "stop", Target: fmt.Sprintf("job %d", i), Outcome: "done"})
	}
	for _, some := range [][]job.AuditEntry{all[:4], all[4:], nil} {
		if err := s.AddAudit(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	got := read(0, 100)
	if len(got) != 10 {
		t.Fatalf("there are %d entries", len(got))
	}
	for i := range got {
		if i > 0 && got[i].ID >= got[i-1].ID {
			t.Errorf("the numbers do not go down: %d, %d", got[i-1].ID, got[i].ID)
		}
		want := all[9-i]
		want.ID = got[i].ID
		diff(t, "an entry", want, got[i])
	}
	diff(t, "a page", got[:3], read(0, 3))
	diff(t, "the next page", got[3:6], read(got[2].ID, 3))
	prune := func(want int, before time.Time, keep int64, limit int) {
		t.Helper()
		n, err := s.PruneAudit(t.Context(), before, keep, limit)
		if err != nil || n != want {
			t.Errorf("PruneAudit(%v, %d, %d) took %d, %v; want %d", before, keep, limit, n, err, want)
		}
	}
	prune(0, minute(0), 100, 100)
	prune(2, minute(2), 100, 100) // by age
	prune(1, minute(2), 5, 1)     // by number, in steps
	prune(2, minute(2), 5, 100)
	diff(t, "what is left", got[:5], read(0, 100))
	prune(5, minute(100), 100, 100)
	if err := s.AddAudit(t.Context(), all[:1]); err != nil {
		t.Fatal(err)
	}
	if now := read(0, 1); now[0].ID <= got[0].ID {
		t.Errorf("the number %d comes again", now[0].ID)
	}
	if s.Seq() != before {
		t.Error("the audit is among the changes")
	}
	sound(t, s)
}
