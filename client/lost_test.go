package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/job"
)

// swallowSocket makes the test program a server at that socket which answers the status and keeps
// who asks anything else waiting: a daemon that dies before it answers.
const swallowSocket = "CLIENT_TEST_SWALLOW"

func swallow(socket string) {
	l, err := httpapi.Listen(socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	err = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/status" && r.URL.RawQuery == "" && r.Header.Get("Swallow") == "" {
			_, _ = io.WriteString(w, "{}") // who asks is killed with us
			return
		}
		fmt.Println("asked")
		<-r.Context().Done()
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// startSwallow starts that server as a process of its own; says hands out its lines.
func startSwallow(t *testing.T, socket string) (cmd *exec.Cmd, says func(want string)) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), swallowSocket+"="+socket)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	says = func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the server says %q, %v; want %q", lines.Text(), lines.Err(), want)
		}
	}
	says("listening")
	return cmd, says
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the server was killed and ended well")
	}
}

// TestKilledInFlight kills a server with SIGKILL while it has the first request of each kind, over a
// new connection and over a kept one, and has a daemon come in its place: the request is answered,
// and the loss and the return are told once.
func TestKilledInFlight(t *testing.T) {
	for _, kept := range []bool{false, true} {
		for name, c := range map[string]struct {
			patience time.Duration
			ask      func(context.Context, *client.Client, int64) error
		}{
			"Status": {time.Minute, func(ctx context.Context, c *client.Client, _ int64) error { return second(c.Status(ctx)) }},
			"List": {client.Forever, func(ctx context.Context, c *client.Client, _ int64) error {
				return second(c.ListJobs(ctx, job.Filter{}))
			}},
			"Queue": {time.Minute, func(ctx context.Context, c *client.Client, _ int64) error {
				return second(c.Queue(ctx, job.DefaultQueue))
			}},
			"WaitJob": {0, func(ctx context.Context, c *client.Client, id int64) error { return second(c.WaitJob(ctx, id)) }},
			"Logs": {0, func(ctx context.Context, c *client.Client, id int64) error {
				r, err := c.Logs(ctx, id, job.LogOptions{Follow: true})
				if err != nil {
					return err
				}
				defer r.Close()
				b, err := io.ReadAll(r)
				if err == nil && string(b) != "hello\n" {
					err = fmt.Errorf("the log is %q", b)
				}
				return err
			}},
			"Events": {0, func(ctx context.Context, c *client.Client, _ int64) error {
				return firstError(c.Events(ctx, job.EventOptions{After: new(uint64)}))
			}},
		} {
			t.Run(fmt.Sprintf("%s, kept %v", name, kept), func(t *testing.T) {
				d, setUp := start(t)
				j, err := setUp.AddJob(t.Context(), job.Spec{Shell: "echo hello"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := setUp.WaitJob(t.Context(), j.ID); err != nil {
					t.Fatal(err)
				}
				d.end()
				server, says := startSwallow(t, d.socket)
				told := make(chan error, 9)
				header := http.Header{}
				lost := client.New(client.Options{Socket: d.socket, Header: header, Patience: c.patience, Away: func(err error) { told <- err }})
				defer lost.Close()
				if kept {
					if _, err := lost.Status(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				header.Set("Swallow", "yes")
				asked := make(chan error, 1)
				go func() { asked <- c.ask(t.Context(), lost, j.ID) }()
				says("asked")
				kill(t, server)
				if reason := <-told; job.CodeOf(reason) != job.Unavailable {
					t.Errorf("the loss is told as %v", reason)
				}
				d.serve()
				if err := <-asked; err != nil {
					t.Error(err)
				}
				if len(told) != 1 || <-told != nil {
					t.Errorf("told %d times more, want the return alone", len(told))
				}
			})
		}
	}
}

// TestNoPatience wants the loss of a daemon told at once where nobody waits, and in the end where
// it does not come back.
func TestNoPatience(t *testing.T) {
	for _, patience := range []time.Duration{0, 50 * time.Millisecond} {
		socket := t.TempDir() + "/s"
		server, says := startSwallow(t, socket)
		var told []error
		c := client.New(client.Options{Socket: socket, Patience: patience, Away: func(err error) { told = append(told, err) }})
		defer c.Close()
		asked := make(chan error, 1)
		go func() { asked <- second(c.Job(t.Context(), 1)) }()
		says("asked")
		kill(t, server)
		err := <-asked
		e := (*job.Error)(nil)
		if !errors.As(err, &e) || e.Code != job.Unavailable {
			t.Fatalf("patience %s: %v", patience, err)
		}
		if want := map[bool]string{true: "no daemon answers", false: "went away before it answered"}[patience > 0]; !strings.Contains(e.Message, want) {
			t.Errorf("patience %s: %v, want %q", patience, e, want)
		}
		if patience == 0 && len(told) > 0 || patience > 0 && (len(told) != 1 || told[0] == nil) {
			t.Errorf("patience %s: told %v", patience, told)
		}
	}
}
