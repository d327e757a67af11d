package auth_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestRights goes through who may do what, over the socket and over TCP.
func TestRights(t *testing.T) {
	g := openGate(t)
	s := start(t, accounts{})
	hers := add(t, s, ann, job.Spec{Hold: true})
	over := func(role job.Role) job.Caller {
		return job.Caller{UID: job.NoUID, GID: job.NoUID, Name: string(role), Via: job.ViaToken, Role: role, LoginUID: job.NoUID}
	}
	one := job.ActRequest{Action: job.ActHold, DryRun: true, Filter: job.Filter{IDs: []job.Range{{From: hers.ID, To: hers.ID}}}}
	does := map[string]func(context.Context) error{
		"add": func(ctx context.Context) error {
			_, err := s.AddJob(ctx, job.Spec{Command: []string{"true"}, Hold: true})
			return err
		},
		"touch": func(ctx context.Context) error {
			r, err := s.Act(ctx, one)
			if err == nil && len(r.Failed) > 0 {
				err = r.Failed[0].Error
			}
			return err
		},
		"output": func(ctx context.Context) error {
			r, err := s.Logs(ctx, hers.ID, job.LogOptions{})
			if err == nil {
				err = r.Close()
			}
			return err
		},
		"queue": func(ctx context.Context) error {
			_, err := s.SetQueue(ctx, job.DefaultQueue, job.QueueUpdate{})
			return err
		},
		"login":  func(ctx context.Context) error { _, err := g.AddLogin(ctx, ""); return err },
		"daemon": func(ctx context.Context) error { _, err := s.Reload(ctx); return err },
		"access": func(ctx context.Context) error {
			_, tokens := g.Tokens(ctx)
			_, audit := g.Audit(ctx, "", 0)
			_, settings := g.Settings(ctx)
			_, added := g.AddToken(ctx, job.NewToken{})
			deleted := g.DeleteToken(ctx, "x")
			codes := []job.Code{job.CodeOf(tokens), job.CodeOf(audit), job.CodeOf(settings), job.CodeOf(added), job.CodeOf(deleted)}
			if fmt.Sprint(codes) == fmt.Sprint([]job.Code{"", "", "", job.Invalid, job.NotFound}) {
				return nil
			}
			for _, c := range codes {
				if c != job.Forbidden {
					return fmt.Errorf("some of it: %v", codes)
				}
			}
			return tokens
		},
	}
	for _, c := range []struct {
		who job.Caller
		may string
	}{
		{root, "add touch output queue login daemon access"}, {daemon, "add touch output queue login daemon access"},
		{oscar, "add touch output queue login"}, {ann, "add touch output"}, {bob, "add"},
		{over(job.Admin), "add touch output queue login daemon access"}, {over(job.Operator), "add touch output queue login"}, {over(job.Viewer), "output"},
		{over(job.Member), ""}, {over(""), ""}, {over("root"), ""}, {job.Caller{Via: job.ViaSession}, ""}, {job.Caller{Via: "x", Role: job.Admin, UID: 0}, "add touch output queue login daemon access"},
		{job.Caller{UID: job.NoUID, Name: "oscar"}, ""},
	} {
		for what, do := range does {
			err := do(as(t, c.who))
			want := strings.Contains(c.may, what)
			if want && err != nil || !want && job.CodeOf(err) != job.Forbidden {
				t.Errorf("%+v: %s: %v", c.who, what, err)
			}
		}
	}
}
