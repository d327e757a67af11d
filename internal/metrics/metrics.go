package metrics

import (
	"cmp"
	"maps"
	"runtime"
	"slices"

	"github.com/queuemgr/queuemgr/job"
)

// End is a way in which jobs end.
type End struct {
	State  job.State
	Reason job.Reason // "" of completed ones
}

// Daemon is what is told of a daemon.
type Daemon struct {
	Status     *job.Status
	Machine    *job.Machine
	Ends       map[End]int64 // since the daemon started
	QueueWait  Histogram     // from the queue to the start of the process
	StartDelay Histogram     // from being claimed to the start of the process
	Feeds      int
}

// Write returns d as text.
func Write(d *Daemon) []byte {
	t := new(text)
	s := d.Status
	t.family("queuemgr_build_info", gauge, "The program that answers; the value is always 1.")
	t.sample(1, "version", s.Version, "go_version", runtime.Version())
	t.family("queuemgr_start_time_seconds", gauge, "When the daemon started, seconds since 1970.")
	t.sample(float64(s.StartedAt.UnixMicro()) / 1e6)
	t.family("queuemgr_jobs", gauge, "Jobs on record by queue and state.")
	for i := range s.Queues {
		for _, state := range job.States {
			t.sample(float64(s.Queues[i].Jobs[state]), "queue", s.Queues[i].Name, "state", string(state))
		}
	}
	t.family("queuemgr_queue_paused", gauge, "Whether a queue is paused (1).")
	for i := range s.Queues {
		t.sample(truth(s.Queues[i].Paused), "queue", s.Queues[i].Name)
	}
	t.family("queuemgr_jobs_ended_total", counter, "Jobs that came into an ended state since the daemon started.")
	ends := slices.SortedFunc(maps.Keys(d.Ends), func(a, b End) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason))
	})
	for _, end := range ends {
		t.sample(float64(d.Ends[end]), "state", string(end.State), "reason", string(end.Reason))
	}
	t.family("queuemgr_queue_wait_seconds", histogram, "From joining the queue to the start of the process.")
	t.histogram(&d.QueueWait)
	t.family("queuemgr_start_delay_seconds", histogram, "From being claimed for a free slot to the start of the process.")
	t.histogram(&d.StartDelay)
	t.family("queuemgr_runner_up", gauge, "Whether the process that owns the jobs' processes is connected (1).")
	t.sample(truth(s.Runner.PID != 0))
	t.family("queuemgr_problems", gauge, "Conditions that somebody should mend; the status has them in words.")
	t.sample(float64(len(s.Problems)))
	t.family("queuemgr_disk_free_bytes", gauge, "Free space where the jobs' logs are.")
	t.sample(float64(d.Machine.DiskFree))
	t.family("queuemgr_feeds", gauge, "Feeds of pages that are open.")
	t.sample(float64(d.Feeds))
	t.family("go_goroutines", gauge, "Goroutines of the daemon.")
	t.sample(float64(runtime.NumGoroutine()))
	return t.Bytes()
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
