package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/job"
)

// feedLogs knows how long the logs are that feeds watch. It belongs to the feeds' goroutine; only
// changed is given a token by others: when a log has grown.
type feedLogs struct {
	o       *Options
	byJob   map[int64]*feedLog
	changed chan struct{}
}

// feedLog is the newest log of one job.
type feedLog struct {
	now   job.FeedLog
	split bool
	live  bool        // its attempt may still write
	fresh bool        // watched since the last round
	grown atomic.Bool // since it was measured
	stops []func()    // ends of the watches on its files
	blind bool        // it was said that it can't be watched
}

// watch makes the logs of these jobs the watched ones.
func (l *feedLogs) watch(jobs map[int64]bool) {
	for id, g := range l.byJob {
		if !jobs[id] {
			g.unwatch()
			delete(l.byJob, id)
		}
	}
	for id := range jobs {
		if l.byJob[id] == nil {
			l.byJob[id] = &feedLog{fresh: true}
		}
	}
}

// read returns those whose length or attempt has changed. changes are the last ones of jobs that
// have changed; all asks for a look at every log, also those that nothing is known of.
func (l *feedLogs) read(ctx context.Context, changes map[int64]*job.Change, all bool) map[int64]bool {
	news := map[int64]bool{}
	for id, g := range l.byJob {
		was, fresh := g.now, g.fresh
		// Taken before the log is measured: what grows after that is told again.
		grown := g.grown.Swap(false)
		if fresh || changes[id] != nil || all && g.live {
			l.look(ctx, id, g)
		}
		if fresh || changes[id] != nil || grown || all {
			l.measure(id, g)
		}
		if g.fresh = false; g.now != was {
			news[id] = true
		}
	}
	return news
}

// look finds out which attempt's log it is, and watches it while it may grow.
func (l *feedLogs) look(ctx context.Context, id int64, g *feedLog) {
	j, err := l.o.Store.Job(ctx, id)
	if err != nil {
		if job.CodeOf(err) != job.NotFound && ctx.Err() == nil {
			l.o.Log.Error("a feed can't read a job", "job", id, "error", err)
		}
		g.unwatch()
		g.live = false
		return // purged
	}
	if j.Attempt != g.now.Attempt {
		g.unwatch()
		g.now = job.FeedLog{Attempt: j.Attempt}
	}
	g.split, g.live = j.Split, j.State.Live()
	g.now.Complete = j.Attempt > 0 && !g.live
	if !g.live {
		g.unwatch()
		return
	}
	if len(g.stops) == 0 {
		l.follow(id, g)
	}
}

// follow watches the files of a live attempt. One that is not there yet is there when the job has
// started, which is a change.
func (l *feedLogs) follow(id int64, g *feedLog) {
	for _, path := range l.files(id, g) {
		stop, err := joblog.OnGrowth(path, func() {
			g.grown.Store(true)
			token(l.changed)
		})
		if errors.Is(err, fs.ErrNotExist) {
			g.unwatch()
			return
		}
		if err != nil {
			if !g.blind {
				l.o.Log.Warn("the length of a log is told late", "job", id, "error", err)
			}
			g.blind = true
			continue
		}
		g.stops = append(g.stops, stop)
	}
}

func (l *feedLogs) files(id int64, g *feedLog) []string {
	files := []string{joblog.Path(l.o.LogDir, id, g.now.Attempt, "")}
	if g.split {
		files = append(files, joblog.Path(l.o.LogDir, id, g.now.Attempt, joblog.Stderr))
	}
	return files
}

// measure reads how long the log is. One that is not there is empty.
func (l *feedLogs) measure(id int64, g *feedLog) {
	if g.now.Attempt == 0 {
		return
	}
	for i, path := range l.files(id, g) {
		size := &g.now.Size
		if i == 1 {
			size = &g.now.StderrSize
		}
		*size = 0
		if info, err := os.Stat(path); err == nil {
			*size = info.Size()
		}
	}
}

func (g *feedLog) unwatch() {
	for _, stop := range g.stops {
		stop()
	}
	g.stops = nil
}
