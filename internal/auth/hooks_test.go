package auth_test

import (
	"context"
	"testing"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/job"
)

// deliveries is a job.HookService with one delivery for each job, of the same number.
type deliveries struct{ retried []int64 }

func (*deliveries) Hooks(context.Context) ([]job.ConfiguredHook, error) { return nil, nil }

func (*deliveries) HookDeliveries(context.Context, job.DeliveryFilter) (job.DeliveryPage, error) {
	return job.DeliveryPage{}, nil
}

func (d *deliveries) RetryDelivery(_ context.Context, id int64) (*job.Delivery, error) {
	d.retried = append(d.retried, id)
	return &job.Delivery{ID: id, JobID: id}, nil
}

func (*deliveries) JobOf(_ context.Context, delivery int64) (int64, error) { return delivery, nil }

func TestRetryHooks(t *testing.T) {
	s := start(t, accounts{})
	hers := add(t, s, ann, job.Spec{Hold: true}).ID
	hooks := &deliveries{}
	guarded := auth.NewHooks(s, hooks)
	over := func(role job.Role) job.Caller {
		return job.Caller{UID: job.NoUID, Name: "ci", Via: job.ViaToken, Role: role}
	}
	for _, c := range []struct {
		who  job.Caller
		want job.Code
	}{{ann, ""}, {bob, job.Forbidden}, {oscar, ""}, {root, ""}, {daemon, ""}, {over(job.Viewer), job.Forbidden}, {over(job.Operator), ""}} {
		hooks.retried = nil
		_, err := guarded.RetryDelivery(as(t, c.who), hers)
		if job.CodeOf(err) != c.want && err != nil || (err == nil) != (c.want == "") || (len(hooks.retried) == 1) != (c.want == "") {
			t.Errorf("%s (%s): %v, tried again %v; want %q", c.who.Name, c.who.Role, err, hooks.retried, c.want)
		}
	}
	if _, err := guarded.RetryDelivery(t.Context(), hers); job.CodeOf(err) != job.Forbidden {
		t.Errorf("nobody: %v", err)
	}
	if _, err := guarded.RetryDelivery(as(t, bob), hers+1); job.CodeOf(err) != job.NotFound {
		t.Errorf("of a job that is not there: %v", err)
	}
}
