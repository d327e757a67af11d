package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/job"
)

// redrawEvery is the least time between two pictures: changes in between share one.
const redrawEvery = 100 * time.Millisecond

// clockEvery is how often running times are shown anew while jobs run.
const clockEvery = time.Second

func newMonitorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "monitor",
		Short: "watch queues and running jobs",
		Long: `Shows the service, its queues and running jobs, and shows them anew with every change; q or Ctrl-C ends it. Where the output is no terminal
it prints one line for each change.

` + exitCodesHelp,
		Example: "  queuemgr monitor\n  queuemgr monitor | grep --line-buffered failed",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runMonitor(cmd.Context(), a)
		},
	}
}

func runMonitor(ctx context.Context, a *app) error {
	screen := terminal(a.Stdout)
	if screen == nil {
		a.patience = client.Forever
		return asMonitor(ctx, a.printChanges(ctx))
	}
	return a.monitorScreen(ctx, screen)
}

// asMonitor takes the error that a monitor's called off end is for none.
func asMonitor(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || job.CodeOf(err) == job.Unavailable) {
		return nil
	}
	return err
}

// printChanges prints a line for each change from now on.
func (a *app) printChanges(ctx context.Context) error {
	svc, err := a.svc()
	if err != nil {
		return err
	}
	for change, err := range svc.Events(ctx, job.EventOptions{}) {
		if err != nil {
			return err
		}
		line, err := a.changeLine(change)
		if err != nil {
			return err
		}
		if err := a.print("%s\n", line); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// changeLine says a change in one line.
func (a *app) changeLine(c job.Change) (string, error) {
	at := c.At.UTC().Format(time.RFC3339)
	j, err := c.Job()
	if err != nil {
		return "", fmt.Errorf("reading change %d: %w", c.Seq, err)
	}
	if j == nil {
		verb := "set"
		if c.Kind == job.QueueDeleted {
			verb = "deleted"
		}
		return fmt.Sprintf("%s queue %s %s", at, c.Queue, verb), nil
	}
	if c.Kind == job.JobPurged {
		return fmt.Sprintf("%s job %d purged", at, c.JobID), nil
	}
	words := []string{at, "job", fmt.Sprint(j.ID), string(j.State)}
	if o := a.outcome(j); o != "" {
		words = append(words, "("+o+")")
	}
	if p := progress(j); p != "" {
		words = append(words, p)
	}
	return strings.Join(append(words, commandText(j)), " "), nil
}

// monitorScreen draws on a terminal until q, Ctrl-C or the end of ctx.
func (a *app) monitorScreen(ctx context.Context, screen *os.File) (err error) {
	a.patience = 0 // the picture says that the daemon is away: nothing holds it up or is written into it
	svc, err := a.svc()
	if err != nil {
		return err
	}
	status, err := svc.Status(ctx)
	if err != nil {
		return err // told on the ordinary screen
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	keys := terminal(a.Stdin)
	if keys != nil {
		before, rawErr := term.MakeRaw(int(keys.Fd()))
		if rawErr != nil {
			return fmt.Errorf("preparing the terminal: %w", rawErr)
		}
		defer func() { err = errors.Join(err, term.Restore(int(keys.Fd()), before)) }()
	}
	// The alternate screen, so that what was on the terminal is there again afterwards.
	if _, err := io.WriteString(screen, "\x1b[?1049h\x1b[?25l"); err != nil {
		return err
	}
	defer func() {
		_, restore := io.WriteString(screen, "\x1b[?25h\x1b[?1049l")
		err = errors.Join(err, restore)
	}()
	if err := a.draw(ctx, svc, screen); err != nil {
		return asMonitor(ctx, err)
	}
	if keys != nil {
		wg.Go(func() {
			defer cancel()
			awaitQuit(ctx, keys)
		})
	}
	changed := make(chan struct{}, 1)
	ended := make(chan error, 1)
	wg.Go(func() { ended <- watch(ctx, svc, status.Seq, changed) })
	return a.redraw(ctx, svc, screen, changed, ended)
}

// redraw draws with every change, and every second for the running times, until ctx ends or the
// stream of changes does.
func (a *app) redraw(ctx context.Context, svc job.Service, screen *os.File, changed <-chan struct{}, ended <-chan error) error {
	pause, clock := time.NewTimer(redrawEvery), time.NewTimer(clockEvery)
	defer pause.Stop()
	defer clock.Stop()
	for {
		pause.Reset(redrawEvery)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
		clock.Reset(clockEvery)
		select {
		case <-changed:
		case <-clock.C:
		case err := <-ended:
			return asMonitor(ctx, err)
		case <-ctx.Done():
			return nil
		}
		err := a.draw(ctx, svc, screen)
		if job.CodeOf(err) == job.Unavailable && ctx.Err() == nil {
			// A restart: the stream of changes connects again, and the clock looks too.
			width, _ := a.size(screen)
			_, err = io.WriteString(screen, "\x1b[H\x1b[K"+shorten("the daemon is not reachable; jobs go on running", width)+"\r\n")
		}
		if err != nil {
			return asMonitor(ctx, err)
		}
	}
}

// watch signals on changed, which has room for one, after every change; it returns when the
// stream of changes ends.
func watch(ctx context.Context, svc job.Service, after uint64, changed chan<- struct{}) error {
	for {
		resume := after
		var gap bool
		for change, err := range svc.Events(ctx, job.EventOptions{After: &resume}) {
			if job.CodeOf(err) == job.Exhausted {
				// Too far behind: the next picture is of the present state anyway.
				status, err := svc.Status(ctx)
				if err != nil {
					return err
				}
				after, gap = status.Seq, true
				break
			}
			if err != nil {
				return err
			}
			after = change.Seq
			select {
			case changed <- struct{}{}:
			default:
			}
		}
		if !gap {
			return ctx.Err()
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

// size is how many cells and lines the screen has.
func (a *app) size(screen *os.File) (width, height int) {
	width, height, err := term.GetSize(int(screen.Fd()))
	if err != nil || width < 1 || height < 1 {
		return a.width(), 24
	}
	return width, height
}

// draw draws one picture in place of the last.
func (a *app) draw(ctx context.Context, svc job.Service, screen *os.File) error {
	status, err := svc.Status(ctx)
	if err != nil {
		return err
	}
	width, height := a.size(screen)
	var picture bytes.Buffer
	live := max(height-len(status.Queues)-len(status.Problems)-16, 3)
	if err := a.writeOverview(ctx, &picture, svc, status, width, live, 5); err != nil {
		return err
	}
	out := bufio.NewWriter(screen)
	if _, err := out.WriteString("\x1b[H"); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(picture.String(), "\n"), "\n")
	lines = lines[:min(len(lines), height-1)]
	for _, line := range lines {
		// In raw mode a line feed does not return. What the last picture left is cleared first: behind a
		// line as wide as the screen that would clear its end. A wider one would push the others down.
		if _, err := out.WriteString("\x1b[K" + shortenPainted(line, width) + "\r\n"); err != nil {
			return err
		}
	}
	if _, err := out.WriteString("\x1b[J\x1b[" + fmt.Sprint(height) + ";1H" + shorten("q ends", width)); err != nil {
		return err
	}
	return out.Flush()
}
