package main

import (
	"context"
	"encoding/json"
	"os/exec"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// sceneHTTP asks the same daemon with curl.
func sceneHTTP(ctx context.Context, s *story) error {
	if _, err := exec.LookPath("curl"); err != nil {
		s.say("curl is not installed: asked over the socket by this program instead")
		return s.askStatus(ctx)
	}
	s.say("$ curl --unix-socket %s http://queuemgr/api/status", s.service.Socket())
	out, err := exec.CommandContext(ctx, "curl", "-sS", "--fail", "--unix-socket", s.service.Socket(), "http://queuemgr/api/status").CombinedOutput()
	if err != nil {
		return err
	}
	var st job.Status
	if err := json.Unmarshal(out, &st); err != nil {
		return err
	}
	s.claimStatus(&st, "curl over the unix socket")
	return nil
}

// askStatus is for a machine without curl.
func (s *story) askStatus(ctx context.Context) error {
	c := s.service.HTTP()
	defer c.CloseIdleConnections()
	var st job.Status
	if err := harness.Get(ctx, c, "/api/status", &st); err != nil {
		return err
	}
	s.claimStatus(&st, "HTTP over the unix socket")
	return nil
}

func (s *story) claimStatus(st *job.Status, how string) {
	s.claim(st.PID > 0 && st.Runner.PID > 0 && st.Jobs[job.Completed] >= int64(len(s.folders)), "the API says the same",
		"%s: version %s, %d completed, %d failed, %d stopped, runner %d", how, st.Version,
		st.Jobs[job.Completed], st.Jobs[job.Failed], st.Jobs[job.Stopped], st.Runner.PID)
}
