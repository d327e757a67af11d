package servicetest

import (
	"fmt"
	"os"

	"github.com/queuemgr/queuemgr/job"
)

var daemonCases = []testCase{
	{"Status", daemonStatus},
	{"Machine", daemonMachine},
	{"Reload", daemonReload},
	{"ShutdownStopsJobs", daemonShutdown},
	{"ShutdownKeepsJobs", daemonShutdownKeeping},
}

func daemonStatus(s *suite) {
	g := s.gate()
	before, err := s.Status(s.ctx)
	s.ok(err)
	if before.Version == "" || before.PID == 0 || before.Node == "" || before.StartedAt.IsZero() || len(before.Jobs) != 0 {
		s.Errorf("of a fresh service: %+v", before)
	}
	s.held(job.Spec{})
	live, gone, ended := s.shell(g.wait()).ID, s.held(job.Spec{}).ID, s.shell("exit 1").ID
	s.until(live, job.Running)
	s.wait(ended)
	s.act(job.ActDelete, gone)
	now, err := s.Status(s.ctx)
	s.ok(err)
	s.same("counts", now.Jobs, map[job.State]int64{job.Held: 1, job.Running: 1, job.Failed: 1})
	if now.Seq <= before.Seq || now.Uptime < before.Uptime || len(now.Queues) != 1 || now.Runner.PID == 0 || now.Runner.Running != 1 {
		s.Errorf("%+v", now)
	}
	g.open()
	s.wait(live)
}

func daemonMachine(s *suite) {
	m, err := s.Machine(s.ctx)
	s.ok(err)
	if m.CPUs < 1 || m.Load[0] < 0 || m.MemoryAvailable < 1 || m.MemoryTotal < m.MemoryAvailable || m.DiskFree < 1 || m.DiskTotal < m.DiskFree {
		s.Errorf("%+v", m)
	}
}

func daemonReload(s *suite) {
	what, err := s.Reload(s.ctx)
	s.ok(err)
	s.same("what has changed", what, job.Reloaded{Changed: []job.SettingChange{}, Restart: []job.SettingChange{}})
}

func daemonShutdown(s *suite) {
	g := s.gate()
	j := s.shell("exec 3>'" + g.path + "'; trap 'echo stopped >&3; exit' TERM; echo ready; sleep 1000 & wait")
	said := make(chan string)
	go func() {
		b, err := os.ReadFile(g.path) // to the end of every process that has it open
		said <- fmt.Sprint(string(b), err)
	}()
	s.readUntil(j.ID, "ready\n")
	s.ok(s.Shutdown(s.ctx, false))
	_, err := s.AddJob(s.ctx, job.Spec{Shell: "true"})
	s.refused(err, job.Unavailable, "")
	select {
	case text := <-said:
		if text != "stopped\n<nil>" {
			s.Errorf("the job said %q", text)
		}
	case <-s.ctx.Done():
		s.Error("the job was not stopped")
	}
}

func daemonShutdownKeeping(s *suite) {
	g := s.gate()
	j := s.shell("echo ready; " + g.wait())
	s.readUntil(j.ID, "ready\n")
	s.ok(s.Shutdown(s.ctx, true))
	_, err := s.AddJob(s.ctx, job.Spec{Shell: "true"})
	s.refused(err, job.Unavailable, "")
	g.open() // it lives, or this would wait for ever
}
