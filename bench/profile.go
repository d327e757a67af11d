package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// profile is where a process was seen at work, by perf(1)'s samples of the processor clock.
type profile struct {
	what    string
	samples map[string]int // by place
	total   int
}

// place is a part of the system that takes time. A sample in the kernel belongs to the first place
// that one of its frames names, one in a program to the innermost frame that names one.
type place struct {
	name   string
	frames []string // beginnings of symbols
}

var kernelPlaces = []place{
	{"kernel: fdatasync", []string{"__x64_sys_fdatasync", "__x64_sys_fsync", "do_fsync"}},
	{"kernel: fork and exec", []string{"__x64_sys_clone", "__do_sys_clone", "kernel_clone", "__x64_sys_execve", "ret_from_fork"}},
	{"kernel: opening and making log files", []string{"__x64_sys_openat", "do_sys_openat", "__x64_sys_openat2"}},
	{"kernel: exits, waiting for them", []string{"__x64_sys_waitid", "__x64_sys_pidfd", "do_exit", "kernel_waitid"}},
	{"kernel: sockets", []string{"unix_stream", "sock_", "__sys_sendto", "__sys_recvfrom"}},
	{"kernel: files", []string{"vfs_write", "vfs_read", "ksys_pwrite64", "__x64_sys_pwrite64"}},
	{"kernel: waiting and waking (futex, epoll, timers)", []string{"__x64_sys_futex", "__x64_sys_epoll", "do_epoll", "__x64_sys_nanosleep", "schedule"}},
}

const (
	kernelRest = "kernel: the rest"
	// ofJobs is what is not the measured process: perf goes on with its children.
	ofJobs = "the jobs' own programs"
)

var programPlaces = []place{
	{"SQLite", []string{"modernc.org/"}},
	{"JSON", []string{"encoding/json."}},
	{"net/http", []string{"net/http.", "net/textproto.", "net.", "bufio."}},
	{"queuemgr's own code", []string{"github.com/queuemgr/"}},
}

const programRest = "Go's scheduler and collector"

// placeOf returns where a sample belongs; frames are its symbols, the innermost first.
func placeOf(frames []string, inKernel bool) string {
	if inKernel {
		for _, p := range kernelPlaces {
			if slices.ContainsFunc(frames, p.names) {
				return p.name
			}
		}
		return kernelRest
	}
	for _, f := range frames {
		for _, p := range programPlaces {
			if p.names(f) {
				return p.name
			}
		}
	}
	return programRest
}

func (p place) names(frame string) bool {
	return slices.ContainsFunc(p.frames, func(beginning string) bool { return strings.HasPrefix(frame, beginning) })
}

// runProfile prints where daemon and runner are at work while jobs are added and run. It needs perf
// (Debian package linux-perf) and the right to use it.
func runProfile(ctx context.Context, b *bench) error {
	bin := filepath.Join(b.dir, "symbols")
	// With symbols: perf(1) knows no others.
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+"/", "./cmd/queuemgr", "./cmd/queuemgr-runner")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build with symbols: %w\n%s", err, out)
	}
	b.bin = bin
	var profiles []*profile
	err := withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		c := s.HTTP()
		defer c.CloseIdleConnections()
		var status job.Status
		if err := harness.Get(ctx, c, "/api/status", &status); err != nil {
			return err
		}
		adds := func(clients int) func() error {
			return func() error {
				_, err := addBy(ctx, s.Socket(), clients, b.size.adds*clients/10)
				return err
			}
		}
		file, err := writeJobs(s.Home, b.size.spawn*2, `{"command":["`+program+`"]}`)
		if err != nil {
			return err
		}
		run := func() error {
			if _, err := s.Must(ctx, "job", "add", "-q", "--file", file); err != nil {
				return err
			}
			return waitCounts(ctx, s, func(jobs map[job.State]int64) bool { return jobs[job.Completed]%int64(b.size.spawn*2) == 0 })
		}
		for _, m := range []struct {
			what string
			pid  int
			do   func() error
		}{
			{"daemon, adds by 1 client", status.PID, adds(1)}, {"daemon, adds by 50 clients", status.PID, adds(50)},
			{"daemon, jobs of a bulk addition", status.PID, run}, {"runner, jobs of a bulk addition", status.Runner.PID, run},
		} {
			p, err := recordProfile(ctx, b, m.what, m.pid, m.do)
			if err != nil {
				return fmt.Errorf("%s: %w", m.what, err)
			}
			profiles = append(profiles, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Printf("\n%s", profileTable(profiles))
	return nil
}

// recordProfile samples the process pid and its threads while do runs.
func recordProfile(ctx context.Context, b *bench, what string, pid int, do func() error) (*profile, error) {
	data := filepath.Join(b.dir, "perf.data")
	perf := exec.CommandContext(ctx, "perf", "record", "-q", "-F", "2000", "-e", "cpu-clock", "-g", "-p", strconv.Itoa(pid), "-o", data)
	perf.Stderr = os.Stderr
	if err := perf.Start(); err != nil {
		return nil, fmt.Errorf("perf: %w (Debian package linux-perf)", err)
	}
	err := do()
	err = errors.Join(err, perf.Process.Signal(syscall.SIGINT))
	// It ends by the signal it was sent, and says so in its exit status.
	if werr := perf.Wait(); err == nil && werr != nil && perf.ProcessState.ExitCode() > 0 {
		err = werr
	}
	if err != nil {
		return nil, err
	}
	script := exec.CommandContext(ctx, "perf", "script", "-i", data, "-F", "comm,ip,sym,dso")
	out, err := script.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := script.Start(); err != nil {
		return nil, err
	}
	p := &profile{what: what, samples: map[string]int{}}
	err = p.read(out, program[strings.LastIndexByte(program, '/')+1:])
	return p, errors.Join(err, script.Wait())
}

// read takes perf script's samples: the name of the process, then a frame a line, the innermost first,
// and an empty line. job is the name of the jobs' processes.
func (p *profile) read(r io.Reader, job string) error {
	var frames []string
	inKernel, named := false, false
	end := func() {
		if len(frames) > 0 {
			p.samples[placeOf(frames, inKernel)]++
			p.total++
		}
		frames, inKernel, named = frames[:0], false, false
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0:
			end()
			continue
		case !named:
			named = true
			if fields[0] == job {
				p.samples[ofJobs]++
				p.total++
				skip(lines)
				named = false
			}
			continue
		case len(fields) < 2:
			continue
		}
		if len(frames) == 0 {
			inKernel = strings.Contains(fields[len(fields)-1], "kernel") || strings.Contains(fields[len(fields)-1], ".ko")
		}
		frames = append(frames, fields[1])
	}
	end()
	if p.total == 0 {
		return errors.Join(errors.New("perf took no samples"), lines.Err())
	}
	return lines.Err()
}

// skip passes over the rest of a sample.
func skip(lines *bufio.Scanner) {
	for lines.Scan() && len(strings.TrimSpace(lines.Text())) > 0 {
		continue
	}
}

// profileTable returns the profiles side by side as a Markdown table.
func profileTable(profiles []*profile) string {
	var t strings.Builder
	t.WriteString("| where |")
	for _, p := range profiles {
		t.WriteString(" " + p.what + " |")
	}
	t.WriteString("\n|---|" + strings.Repeat("--:|", len(profiles)) + "\n")
	row := func(name string) {
		fmt.Fprintf(&t, "| %s |", name)
		for _, p := range profiles {
			fmt.Fprintf(&t, " %.1f %% |", 100*float64(p.samples[name])/float64(p.total))
		}
		t.WriteString("\n")
	}
	for _, places := range []struct {
		named []place
		rest  string
	}{{kernelPlaces, kernelRest}, {programPlaces, programRest}} {
		for _, p := range places.named {
			row(p.name)
		}
		row(places.rest)
	}
	row(ofJobs)
	return t.String()
}
