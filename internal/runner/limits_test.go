package runner

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// TestImports keeps the runner small: the standard library, x/sys, and three packages of its own.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}",
		"../../cmd/queuemgr-runner").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/queuemgr/queuemgr/"
	got := strings.Fields(string(out))
	slices.Sort(got)
	want := []string{
		module + "cmd/queuemgr-runner", module + "internal/crashpoint", module + "internal/runner",
		module + "internal/runner/wire", module + "internal/runas", "golang.org/x/sys/unix",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the runner imports\n%s", strings.Join(got, "\n"))
	}
}

func (p *process) threads() int {
	p.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}

func (p *process) descriptors() int {
	p.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}

// rss returns the resident memory in MiB.
func (p *process) rss() int {
	p.t.Helper()
	for line := range strings.Lines(string(read(p.t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)))) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return kb / 1024
		}
	}
	p.t.Fatal("no VmRSS")
	return 0
}

// zombies counts the runner's children that were not reaped.
func (p *process) zombies() int {
	p.t.Helper()
	var fs procfs
	pids, err := fs.zombieChildren(p.cmd.Process.Pid)
	if err != nil {
		p.t.Fatal(err)
	}
	return len(pids)
}

func TestManyAtOnce(t *testing.T) {
	const jobs = 2000
	h := newHome(t)
	p := startBinary(t, h, binary(t, ""))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	idle := p.descriptors()
	t.Logf("idle: %d MiB, %d threads, %d descriptors", p.rss(), p.threads(), idle)
	var batch []wire.Start
	for i := range jobs {
		s := h.job(fmt.Sprint("run", i), "/bin/sleep", "1000")
		s.Stdout = h.path("log/all")
		batch = append(batch, s)
	}
	c.start(batch...)
	for len(c.started) < jobs {
		c.take()
	}
	t.Logf("%d running: %d MiB, %d threads, %d descriptors", jobs, p.rss(), p.threads(), p.descriptors())
	if n := p.threads(); n > 40 {
		t.Errorf("%d threads", n)
	}
	var stops []wire.Stop
	for i := range jobs {
		stops = append(stops, wire.Stop{RunID: fmt.Sprint("run", i), Force: true})
	}
	c.stop(stops...)
	for len(c.exited) < jobs {
		c.take()
	}
	c.ack(c.last)
	hello(t, h, wire.Hello{Registry: "r", Epoch: 1}) // what came before is done when this is answered
	if n := p.descriptors(); n > idle+8 {            // some are open for a moment
		t.Errorf("%d descriptors, %d before", n, idle)
	}
	if n := p.zombies(); n > 0 {
		t.Errorf("%d zombies", n)
	}
}

func TestMoreThanDescriptors(t *testing.T) {
	const jobs = 600
	h := newHome(t)
	p := startBinary(t, h, wrapper(t, h, "ulimit -n 256"))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	var batch []wire.Start
	for i := range jobs {
		batch = append(batch, h.sh(fmt.Sprint("run", i), "sleep 0.05; exit 3"))
	}
	c.start(batch...)
	for len(c.exited) < jobs {
		c.take()
	}
	for id, ends := range c.exited {
		if len(ends) != 1 || outcome(ends[0]) != "exit code=3 signal=0" {
			t.Errorf("%s: %+v", id, *ends[0])
		}
	}
	if n := p.zombies(); n > 0 {
		t.Errorf("%d zombies", n)
	}
}

// TestOrphans lets many jobs leave processes behind that end at once: all are reaped, and no exit
// of a job is taken for an orphan's.
func TestOrphans(t *testing.T) {
	const jobs = 300
	h := newHome(t)
	p := startBinary(t, h, binary(t, ""))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	for i := range jobs {
		c.start(h.sh(fmt.Sprint("run", i), fmt.Sprintf(
			"for i in 1 2 3; do (setsid sh -c 'exit 9' &) ; done; (true &); exit %d", i%5)))
	}
	for len(c.exited) < jobs {
		c.take()
	}
	for i := range jobs {
		id := fmt.Sprint("run", i)
		if got, want := outcome(c.exited[id][0]), fmt.Sprintf("exit code=%d signal=0", i%5); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
	// Orphans are reaped a moment later; another job is the pause between two looks.
	for i := range 2000 {
		if p.zombies() == 0 {
			return
		}
		id := fmt.Sprint("more", i)
		c.start(h.job(id, "/bin/true"))
		c.waitExited(id)
	}
	t.Errorf("%d zombies are left", p.zombies())
}
