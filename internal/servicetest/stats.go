package servicetest

import (
	"github.com/queuemgr/queuemgr/job"
)

var statsCases = []testCase{
	{"Counts", statsCount},
	{"Buckets", statsBuckets},
	{"BadOptions", statsBad},
}

// statsCount is what the last day's buckets sum up to.
func statsCount(s *suite) {
	g := s.gate()
	s.wait(s.shell("exit 0").ID)
	s.wait(s.shell("exit 3").ID)
	waits := s.held(job.Spec{}).ID
	s.act(job.ActStop, waits) // never started
	live, gone := s.shell(g.wait()).ID, s.shell("sleep 1000").ID
	s.until(live, job.Running)
	s.until(gone, job.Running)
	s.act(job.ActStop, live)
	s.wait(live)
	s.act(job.ActDelete, gone) // no end that is counted
	s.wait(gone)
	s.act(job.ActStart, live) // a new attempt is counted anew
	g.open()
	s.wait(live)
	for _, r := range job.StatsRanges {
		stats, err := s.Stats(s.ctx, job.StatsOptions{Range: r})
		s.ok(err)
		var sum job.StatsEnds
		for _, b := range stats.Throughput {
			sum.Completed, sum.Failed, sum.Stopped = sum.Completed+b.Completed, sum.Failed+b.Failed, sum.Stopped+b.Stopped
		}
		s.same("ends of "+string(r), sum, job.StatsEnds{Completed: 2, Failed: 1, Stopped: 2})
		started := int64(0)
		for _, b := range stats.Latency {
			started += b.N
			if b.N > 0 && (b.P50 <= 0 || b.P95 < b.P50 || b.P95 > 60) || b.N == 0 && b.P95 != 0 {
				s.Errorf("waits of %s: %+v", r, b)
			}
		}
		s.same("starts of "+string(r), started, int64(5))
	}
}

func statsBuckets(s *suite) {
	for _, c := range []struct {
		o    job.StatsOptions
		step int64
		n    int
	}{
		{job.StatsOptions{}, 60, 60}, {job.StatsOptions{Range: job.LastHour, Buckets: 7}, 9 * 60, 7}, {job.StatsOptions{Range: job.LastHour, Buckets: 1000}, 60, 60},
		{job.StatsOptions{Range: job.LastDay}, 24 * 60, 60}, {job.StatsOptions{Range: job.LastWeek, Buckets: 1}, 7 * 24 * 3600, 1},
	} {
		stats, err := s.Stats(s.ctx, c.o)
		s.ok(err)
		if stats.Step != c.step || len(stats.Throughput) != c.n || len(stats.Latency) != c.n || stats.To.Unix()-stats.From.Unix() != c.step*int64(c.n) {
			s.Errorf("%+v: %d buckets of %d s from %s to %s, want %d of %d", c.o, len(stats.Throughput), stats.Step, stats.From, stats.To, c.n, c.step)
		}
		for i, b := range stats.Throughput {
			if at := stats.From.Unix() + int64(i)*c.step; b.At.Unix() != at || stats.Latency[i].At.Unix() != at || at%c.step != 0 {
				s.Errorf("%+v: bucket %d begins at %s and %s", c.o, i, b.At, stats.Latency[i].At)
			}
		}
	}
}

func statsBad(s *suite) {
	_, err := s.Stats(s.ctx, job.StatsOptions{Range: "2h"})
	s.refused(err, job.Invalid, "range")
	for _, n := range []int{-1, job.MaxBuckets + 1} {
		_, err = s.Stats(s.ctx, job.StatsOptions{Buckets: n})
		s.refused(err, job.Invalid, "buckets")
	}
}
