package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/job"
)

type reportOptions struct {
	progress, status, result string
}

func newReportCommand(a *app) *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report",
		Short: "inside a job: say how far it is and what came of it",
		Long: `Inside a job: says how far the job is, what it does, and what came of it. job status shows it. The daemon need not run.

Progress never goes down within an attempt. A status replaces the one before, and so does a result, which is
JSON of at most 64 KiB; of a job with parameters at most 1 MiB. Programs can do the same without this
command: they send such lines to the socket NOTIFY_SOCKET, as sd_notify(3) and systemd-notify do.

` + exitCodesHelp,
		Example: `  queuemgr report --progress 40 --status "40 of 100 files"
  queuemgr report --result '{"files": 100}'
  queuemgr report --progress 100 --result @summary.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runReport(cmd.Context(), a, cmd.Flags().Changed, o)
		},
	}
	cmd.Flags().StringVar(&o.progress, "progress", "", "how far the job is, `PERCENT` from 0 to 100; a fraction is rounded down")
	cmd.Flags().StringVar(&o.status, "status", "", "what the job does, one line of `TEXT`")
	cmd.Flags().StringVar(&o.result, "result", "", "what came of the job: `JSON`, or @FILE that holds it")
	return cmd
}

func runReport(ctx context.Context, a *app, given func(flag string) bool, o reportOptions) error {
	var lines []string
	line := func(key, value string) { lines = append(lines, key+"="+value) }
	runID, socket := a.env("QUEUEMGR_RUN_ID"), a.env("NOTIFY_SOCKET")
	line(wire.SaysRun, runID)
	if given("progress") {
		percent, err := strconv.ParseFloat(o.progress, 64)
		if err != nil || !(percent >= 0 && percent <= 100) {
			return &job.Error{Code: job.Invalid, Field: "progress", Message: fmt.Sprintf("--progress: %s is no number from 0 to 100", printable(strconv.Quote(o.progress))),
				Hint: "give how far the job is in percent, such as --progress 40"}
		}
		line(wire.SaysProgress, strconv.Itoa(int(percent)))
	}
	if given("status") {
		text := strings.ToValidUTF8(o.status, "\uFFFD")
		line(wire.SaysStatus, strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\x00", " ").Replace(text))
	}
	var file []byte
	if given("result") {
		result, err := a.reportedResult(o.result)
		switch {
		case err != nil:
			return err
		case len(result) > wire.MaxResult:
			file = result
		default:
			line(wire.SaysResult, string(result))
			if a.hasResultFile() {
				file = result // the file wins over any message, and this is the later one
			}
		}
	}
	if len(lines) == 1 && file == nil {
		return usage("queuemgr report was given nothing to report", "give --progress, --status or --result")
	}
	if runID == "" || socket == "" {
		return &exitError{code: exitFailed, err: &job.Error{Code: job.WrongState, Message: "this is no job of queuemgr: QUEUEMGR_RUN_ID and NOTIFY_SOCKET are not set, so there is nobody to report to",
			Hint: "run it inside a job: queuemgr job add -- sh -c 'queuemgr report --progress 40'"}}
	}
	if file != nil {
		if err := a.leaveResult(file); err != nil {
			return err
		}
	}
	if len(lines) == 1 {
		return nil
	}
	return a.notify(ctx, socket, strings.Join(lines, "\n"))
}

// reportedResult reads the value of --result as JSON in one line.
func (a *app) reportedResult(value string) ([]byte, error) {
	text := []byte(value)
	if name, ok := strings.CutPrefix(value, "@"); ok {
		file, err := os.Open(name)
		if err != nil {
			return nil, flagError("result", err)
		}
		defer file.Close()
		// Blanks between its parts do not count, so it may be larger than what is reported.
		const limit = 4 * wire.MaxResultFile
		if text, err = io.ReadAll(io.LimitReader(file, limit)); err != nil {
			return nil, flagError("result", err)
		}
		if len(text) == limit {
			return nil, tooLarge(limit, wire.MaxResultFile)
		}
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return nil, &job.Error{Code: job.Invalid, Field: "result", Err: err, Message: "--result: not valid JSON: " + err.Error(),
			Hint: `give JSON, such as --result '{"files": 3}'; text is JSON in quotes: --result '"done"'`}
	}
	if line.Len() > wire.MaxResultFile {
		return nil, tooLarge(line.Len(), wire.MaxResultFile)
	}
	return line.Bytes(), nil
}

func tooLarge(n, limit int) error {
	return &job.Error{Code: job.Invalid, Field: "result", Message: fmt.Sprintf("--result: it has %d bytes or more; %d are allowed", n, limit),
		Hint: "put it into a file that stays, and report the file's name"}
}

// hasResultFile says whether an earlier result of the job is a file.
func (a *app) hasResultFile() bool {
	dir := a.env("QUEUEMGR_DIR")
	if dir == "" || a.env("QUEUEMGR_PARAMS") == "" {
		return false
	}
	_, err := os.Lstat(filepath.Join(dir, wire.FileResult))
	return err == nil
}

// leaveResult puts a result into the job's folder.
func (a *app) leaveResult(result []byte) error {
	dir := a.env("QUEUEMGR_DIR")
	if dir == "" || a.env("QUEUEMGR_PARAMS") == "" {
		return tooLarge(len(result), wire.MaxResult)
	}
	// By rename: whoever looks sees all of it.
	tmp, err := os.CreateTemp(dir, ".result-*")
	if err == nil {
		_, err = tmp.Write(result)
		err = errors.Join(err, tmp.Close())
		if err == nil {
			err = os.Rename(tmp.Name(), filepath.Join(dir, wire.FileResult))
		}
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}
	if err != nil {
		return &exitError{code: exitFailed, err: fmt.Errorf("leave the result in the job's folder: %w", err)}
	}
	return nil
}

// notifyAgain is the pause between two tries to reach a runner that is away.
const notifyAgain = 50 * time.Millisecond

// notify sends text to the notify socket. A runner that is just being started again is waited for.
func (a *app) notify(ctx context.Context, socket, text string) error {
	until := time.Now().Add(a.patience)
	for {
		err := sendDatagram(socket, text, until)
		away := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
		switch {
		case err == nil:
			return nil
		case !away || time.Now().After(until):
			return &exitError{code: exitFailed, err: &job.Error{Code: job.Unavailable, Err: err, Message: fmt.Sprintf("the report did not get to the runner at %s: %v", socket, err),
				Hint: "the runner of this job may have ended; see queuemgr doctor"}}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(notifyAgain):
		}
	}
}

func sendDatagram(socket, text string, until time.Time) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	err = conn.SetWriteDeadline(until)
	if err == nil {
		_, err = conn.Write([]byte(text))
	}
	return errors.Join(err, conn.Close())
}
