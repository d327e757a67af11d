package cli

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/config"
)

func TestAwaitProcess(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := openProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if ended, err := p.await(t.Context(), time.Millisecond); ended || err != nil {
		t.Errorf("await of a live process: %v, %v", ended, err)
	}
	called, cancel := context.WithCancel(t.Context())
	cancel()
	if ended, err := p.await(called, time.Hour); ended || !errors.Is(err, context.Canceled) {
		t.Errorf("await that was called off: %v, %v", ended, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if ended, err := p.await(t.Context(), time.Hour); !ended || err != nil {
		t.Errorf("await of a killed process: %v, %v", ended, err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process was killed")
	}
	gone, err := openProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if ended, err := gone.await(t.Context(), time.Hour); !ended || err != nil {
		t.Errorf("await of a process that is gone: %v, %v", ended, err)
	}
}

func TestDaemonArgs(t *testing.T) {
	c := &config.Config{Paths: config.InHome("/h"), File: "/h/x.toml", PIDFile: "/p"}
	o := daemonOptions{config: "x.toml", pidfile: "p", set: map[string]string{"log_level": "debug", "max_concurrent_jobs": "3"}}
	got := daemonArgs(c, o)
	want := []string{"daemon", "start", "--ready-fd", "3", "--home", "/h", "--config", "/h/x.toml", "--pidfile", "/p",
		"--log-level=debug", "--max-concurrent-jobs=3"}
	if !slices.Equal(got, want) {
		t.Errorf("arguments are %q, want %q", got, want)
	}
	// A restart reads them back.
	var had daemonOptions
	if !had.parse(append([]string{"/bin/queuemgr"}, got...)) || had.config != "/h/x.toml" || had.pidfile != "/p" || had.set["log_level"] != "debug" {
		t.Errorf("read back they are %+v", had)
	}
}
