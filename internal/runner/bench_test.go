package runner

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// spawnLoop is what the runner is compared with: one posix_spawn loop a core, each child in a
// session of its own.
const spawnLoop = `
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
	int workers = atoi(argv[1]), each = atoi(argv[2]) / workers;
	for (int w = 0; w < workers; w++) {
		if (fork() != 0) continue;
		posix_spawnattr_t a;
		posix_spawnattr_init(&a);
		posix_spawnattr_setflags(&a, POSIX_SPAWN_SETSID);
		char *args[] = {"/bin/true", 0};
		for (int i = 0; i < each; i++) {
			pid_t pid;
			if (posix_spawn(&pid, "/bin/true", 0, &a, args, environ)) _exit(1);
			waitpid(pid, 0, 0);
		}
		_exit(0);
	}
	while (wait(0) > 0) {}
	return 0;
}
`

// BenchmarkRunner runs /bin/true with an environment of 20 variables and a log file each, in turns
// with the C loop, and reports both and their ratio.
func BenchmarkRunner(b *testing.B) {
	const jobs, workers = 3000, 2
	h := newHome(b)
	loop := h.path("loop")
	cc := exec.Command("cc", "-O2", "-x", "c", "-o", loop, "-")
	cc.Stdin = strings.NewReader(spawnLoop)
	if out, err := cc.CombinedOutput(); err != nil {
		b.Skipf("no C compiler: %v\n%s", err, out)
	}
	p := startBinary(b, h, binary(b, ""))
	c := hello(b, h, wire.Hello{Registry: "r", Epoch: 1})
	var env []string
	for i := range 20 {
		env = append(env, fmt.Sprintf("VARIABLE_%d=some value of usual length %d", i, i))
	}
	run := 0
	b.ResetTimer()
	for b.Loop() {
		begin := time.Now()
		if err := exec.Command(loop, strconv.Itoa(workers), strconv.Itoa(jobs)).Run(); err != nil {
			b.Fatal(err)
		}
		plain := jobs / time.Since(begin).Seconds()
		begin, cpu := time.Now(), p.cpu()
		c.burst(h, env, &run, jobs, 128)
		ours := jobs / time.Since(begin).Seconds()
		b.ReportMetric(plain, "C/s")
		b.ReportMetric(ours, "runner/s")
		b.ReportMetric(100*ours/plain, "%")
		own := (p.cpu() - cpu) / jobs
		b.ReportMetric(float64(own.Microseconds()), "own-µs/job")
		b.ReportMetric(float64(p.rss()), "MiB")
		b.Logf("C %.0f/s, runner %.0f/s, %.0f %%, of its own %v a job", plain, ours, 100*ours/plain, own)
	}
}

// burst runs n jobs with at most window at once.
func (c *client) burst(h home, env []string, run *int, n, window int) {
	c.t.Helper()
	begun, ended, acked := 0, 0, uint64(0)
	more := func(k int) {
		var starts []wire.Start
		for ; k > 0 && begun < n; k-- {
			begun++
			*run++
			id := fmt.Sprintf("run-%024d", *run)
			s := h.job(id, "/bin/true")
			s.Env = append(s.Env, env...)
			s.JobID = int64(*run)
			starts = append(starts, s)
		}
		if len(starts) > 0 {
			c.start(starts...)
		}
	}
	more(window)
	for ended < n {
		m := c.next()
		if m == nil {
			c.t.Fatal("the runner is gone")
		}
		k := 0
		for i := range m.Events {
			e := &m.Events[i]
			if e.Kind == wire.Exited {
				if e.ExitCode == nil || *e.ExitCode != 0 {
					c.t.Fatalf("%+v", e)
				}
				k++
			}
			acked = max(acked, e.Seq)
		}
		ended += k
		c.ack(acked)
		more(k)
	}
}

// cpu returns what the runner itself, without its children, has used.
func (p *process) cpu() time.Duration {
	p.t.Helper()
	stat := string(read(p.t, fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)))
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	var ticks int
	for _, f := range fields[14-3 : 16-3] {
		n, err := strconv.Atoi(f)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / userHZ)
}
