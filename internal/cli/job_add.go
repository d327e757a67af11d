package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

type addOptions struct {
	argv  []string
	shell string
	file  string

	typeName, params string
	watchdog         string
	successCodes     []int

	queue string
	name  string
	key   string
	tags  []string
	cwd   string
	user  string
	env   []string
	clean bool
	prio  int

	hasPri, hasShell, hasParams bool // the flags were given

	timeout, grace string
	stopSignal     string
	onLost         string
	split, hold    bool
	hooks          []string
	webhooks       []string

	wait, quiet, json bool
}

func newJobAddCommand(a *app) *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:   "add [flags] [--] COMMAND [ARG]...",
		Short: "add a job, or many from a file",
		Long: `Adds a job that runs COMMAND with its arguments as they are, in the present directory, with the present environment
and umask, and standard input from /dev/null. What is added is on disk when the command returns.

--shell runs a script with /bin/sh -c. --file adds one job for each line of a file of JSON objects, all of them or,
when a line is wrong, none: {"command":["gzip","a.log"],"name":"a","queue":"logs","priority":5,"env":{"K":"v"}}.
The flags are defaults for its lines.

--type adds a job of a type, which makes its command of --params: JSON as it stands there, in a file (@FILE), or on
standard input (-). queuemgr type list shows the types, queuemgr type show what the params of one may be. Params that the
type calls secret are shown nowhere: give them in a file or on standard input, since others on the machine see
the words of a command in the list of processes, and the shell's history keeps them.

--hook and --webhook tell others when the job starts or ends: a script, which gets the job as JSON on its standard input and
QUEUEMGR_HOOK_EVENT, or a web address. hook deliveries shows what became of it.

` + exitCodesHelp + "\n" + exitJobHelp,
		Example: `  queuemgr job add -- make -j2 all
  queuemgr job add --shell 'pg_dump shop | zstd > /backup/shop.zst' --queue backup --timeout 2h
  queuemgr job add --type files --params '{"op":"checksum","sources":["/srv/photos"]}'
  queuemgr job add --type http --params @request.json --name ping
  queuemgr job add --file jobs.jsonl -q
  queuemgr job add --hook 'failure=mail -s "backup failed" ops' --webhook success,failure=https://ci.example.org/hooks -- ./backup.sh
  queuemgr job add --wait -- ./test.sh`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.argv, o.hasPri, o.hasShell, o.hasParams = args, cmd.Flags().Changed("priority"), cmd.Flags().Changed("shell"), cmd.Flags().Changed("params")
			err := runJobAdd(cmd.Context(), a, o)
			if o.wait {
				return asWait(err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command's name is the command's
	f.StringVar(&o.shell, "shell", "", "`SCRIPT` for /bin/sh -c, in place of COMMAND")
	f.StringVar(&o.file, "file", "", "`FILE` with one job a line as JSON, - for standard input")
	f.StringVar(&o.typeName, "type", "", "`TYPE` that makes the command of --params, in place of COMMAND")
	f.StringVar(&o.params, "params", "", "`JSON` for the job, or @FILE with it, or - for standard input")
	f.StringVar(&o.queue, "queue", "", "`QUEUE` to add to (default \"default\")")
	f.IntVar(&o.prio, "priority", 0, "`N`: higher runs first within the queue")
	f.StringVar(&o.name, "name", "", "`NAME` to show")
	f.StringVar(&o.key, "key", "", "unique `KEY` to select the job by; refused when it is on record already")
	f.StringArrayVar(&o.tags, "tag", nil, "`TAG` to select by; may be repeated")
	f.StringVar(&o.cwd, "cwd", "", "`DIR` to run in (default the present one)")
	f.StringVar(&o.user, "user", "", "`NAME` of the account to run as; for root and whom the service's policy lists")
	f.StringArrayVar(&o.env, "env", nil, "`K=V` sets a variable, K alone copies it; may be repeated")
	f.BoolVar(&o.clean, "clean-env", false, "take no variable along but those of --env")
	f.StringVar(&o.timeout, "timeout", "", "`TIME` limit of an attempt: seconds, or 1h30m, 2d")
	f.StringVar(&o.grace, "grace", "", "`TIME` between the stop signal and KILL (default 10 s)")
	f.StringVar(&o.watchdog, "watchdog", "", "`TIME` of silence after which it is stopped; it has to report: see queuemgr report")
	f.IntSliceVar(&o.successCodes, "success-codes", nil, "exit `CODES` that count as completed, as 0 does: 3,4")
	f.StringVar(&o.stopSignal, "stop-signal", "", "`SIGNAL` that asks the job to end (default TERM)")
	f.StringVar(&o.onLost, "on-lost", "", "`WHAT` happens when the outcome cannot be known: fail (default) or requeue")
	f.BoolVar(&o.split, "split", false, "keep stderr in a log of its own")
	f.BoolVar(&o.hold, "hold", false, "do not run it before job start")
	f.StringArrayVar(&o.hooks, "hook", nil, "`EVENTS=SCRIPT` for /bin/sh -c, run as the job is at start, success, failure or stop (separated by commas); may be repeated")
	f.StringArrayVar(&o.webhooks, "webhook", nil, "`EVENTS=URL` that the job is posted to as JSON; may be repeated")
	f.BoolVar(&o.wait, "wait", false, "wait for the end and exit as the job did")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print the number alone")
	f.BoolVar(&o.json, "json", false, "print JSON: the job, or {\"ids\":[...]} for a file")
	completeFlag(cmd, "queue", a.completeQueues)
	completeFlag(cmd, "type", a.completeTypes)
	completeFlag(cmd, "on-lost", fixed("fail", "requeue"))
	completeFlag(cmd, "stop-signal", fixed("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"))
	return cmd
}

func runJobAdd(ctx context.Context, a *app, o addOptions) error {
	spec, err := o.spec(a)
	if err != nil {
		return err
	}
	if o.file != "" {
		return a.addFile(ctx, o, spec)
	}
	if o.hasShell && o.shell == "" && len(o.argv) == 0 && o.typeName == "" {
		return usage("--shell: the script is empty", "give one: queuemgr job add --shell 'sort a.txt | uniq -c'")
	}
	if err := spec.Check(); err != nil {
		return err
	}
	if err := a.checkProgram(o.argv, spec.Cwd); err != nil {
		return err
	}
	svc, err := a.svc()
	if err != nil {
		return err
	}
	j, err := svc.AddJob(ctx, spec)
	if err != nil {
		return err
	}
	if !o.quiet {
		a.warnOfSecrets(o.params, j)
	}
	if !o.json || !o.wait {
		if err := a.printAdded(o, j); err != nil {
			return err
		}
	}
	if !o.wait {
		return nil
	}
	a.tellStuck([]*job.Job{j})
	j, err = a.waitEnd(ctx, j.ID)
	if err != nil {
		return err
	}
	if o.json {
		if err := a.printJSON(j); err != nil {
			return err
		}
	} else {
		a.tellEnd(j)
		if j.State != job.Completed && !o.quiet && !j.StartedAt.IsZero() {
			a.warn("its output: queuemgr job logs %d", j.ID)
		}
		if j.State == job.Completed && !o.quiet {
			a.note("job %d completed; its output: queuemgr job logs %d", j.ID, j.ID)
		}
	}
	return exitAs(j)
}

// warnOfSecrets says so when a secret was given in the command line itself, text being what --params has: the record shows
// which of the params are secret.
func (a *app) warnOfSecrets(text string, j *job.Job) {
	var given, shown map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &given) != nil || json.Unmarshal(j.Params, &shown) != nil {
		return // @FILE, or -
	}
	var names []string
	for name := range given {
		if string(shown[name]) == `"`+job.Redacted+`"` {
			names = append(names, strconv.Quote(name))
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		a.warn("secret (%s) in --params: others on this machine could see it in the list of processes, and the shell's history has it; next time --params @FILE or -", printable(strings.Join(names, ", ")))
	}
}

func (a *app) printAdded(o addOptions, j *job.Job) error {
	switch {
	case o.json:
		return a.printJSON(j)
	case o.quiet:
		return a.print("%d\n", j.ID)
	case j.State == job.Held:
		return a.print("job %d added to queue %s, held until: queuemgr job start %d\n", j.ID, j.Queue, j.ID)
	default:
		return a.print("job %d added to queue %s\n", j.ID, j.Queue)
	}
}

// spec returns the job that the flags and the surroundings describe: with --file, the defaults.
func (o *addOptions) spec(a *app) (job.Spec, error) {
	s := job.Spec{Command: o.argv, Shell: o.shell, Type: o.typeName, SuccessCodes: o.successCodes, Queue: o.queue, Name: o.name, Key: o.key, Tags: splitCommas(o.tags),
		StopSignal: o.stopSignal, OnLost: job.OnLost(o.onLost), Split: o.split, Hold: o.hold}
	if o.file != "" {
		for _, wrong := range []struct {
			given bool
			what  string
		}{{len(o.argv) > 0, "a command"}, {o.shell != "", "--shell"}, {o.key != "", "--key"}} {
			if wrong.given {
				return s, usage("--file and "+wrong.what+" are both given", "put it into the lines of the file, or leave --file out")
			}
		}
	}
	if o.hasPri {
		s.Priority = &o.prio
	}
	for _, d := range []struct {
		name, text string
		to         *job.Duration
	}{{"timeout", o.timeout, &s.Timeout}, {"grace", o.grace, &s.Grace}, {"watchdog", o.watchdog, &s.Watchdog}} {
		var err error
		if *d.to, err = durationFlag(d.name, d.text); err != nil {
			return s, err
		}
	}
	var err error
	if o.hasParams {
		if s.Params, err = a.readParams(o.params, o.file == "-"); err != nil {
			return s, err
		}
	}
	if s.Hooks, err = hookFlags(o.hooks, o.webhooks); err != nil {
		return s, err
	}
	if s.Cwd, err = a.workingDirectory(o.cwd); err != nil {
		return s, err
	}
	if o.cwd == "" && a.changesUser() && !forAll(s.Cwd) {
		a.warn("it runs in /, since another account than root's can't enter %s; choose a directory with --cwd", printable(s.Cwd))
		s.Cwd = "/"
	}
	s.User = o.user
	if s.Env, err = a.captureEnv(o.env, o.clean); err != nil {
		return s, err
	}
	s.Umask, err = readUmask()
	return s, err
}

// readParams returns the parameters that --params stands for. stdinTaken says that the jobs are read from
// standard input.
func (a *app) readParams(text string, stdinTaken bool) (json.RawMessage, error) {
	where, data := "", []byte(text)
	switch file, isFile := strings.CutPrefix(text, "@"); {
	case text == "-" && stdinTaken:
		return nil, usage("--params and --file both read standard input", "put one of them into a file: --params @FILE")
	case text == "-", isFile:
		in := a.Stdin
		where = "standard input: "
		if isFile {
			f, err := os.Open(file)
			if err != nil {
				return nil, openError("params", file, err)
			}
			defer f.Close() //nolint:errcheck // only read
			in, where = f, file+": "
		}
		var err error
		if data, err = io.ReadAll(io.LimitReader(in, job.MaxParams+1)); err != nil {
			return nil, fmt.Errorf("reading the params: %w", err)
		}
	}
	data = bytes.TrimSpace(data)
	if len(data) > job.MaxParams {
		return nil, &job.Error{Code: job.Invalid, Field: "params", Message: where + "the params are too long",
			Hint: fmt.Sprintf("at most %d bytes; put more into a file that the job reads", job.MaxParams)}
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		at, hint := "", `they are like '{"name":"value"}'; from a file: --params @FILE`
		if e := (*json.SyntaxError)(nil); errors.As(err, &e) {
			at = fmt.Sprintf(" at byte %d", e.Offset)
		}
		return nil, &job.Error{Code: job.Invalid, Field: "params", Message: fmt.Sprintf("%sthe params are not JSON%s: %v", where, at, err), Hint: hint, Err: err}
	}
	return data, nil
}

// checkProgram refuses a whole shell command line that was given as the program's name.
func (a *app) checkProgram(argv []string, cwd string) error {
	if len(argv) != 1 || !strings.ContainsAny(argv[0], " \t\n|&;<>$") {
		return nil
	}
	dirs := filepath.SplitList(a.env("PATH"))
	if strings.Contains(argv[0], "/") {
		dirs = []string{""}
	}
	for _, dir := range dirs {
		name := filepath.Join(dir, argv[0])
		if !filepath.IsAbs(name) {
			name = filepath.Join(cwd, name)
		}
		if _, err := os.Stat(name); err == nil {
			return nil // an odd name, and yet a file's
		}
	}
	return usage(fmt.Sprintf("there is no program %q, and no shell reads the command", argv[0]),
		fmt.Sprintf("for a shell's command line: queuemgr job add --shell %s", shellQuote(argv[0])))
}

// durationFlag reads a duration; "" is 0.
func durationFlag(name, text string) (job.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := job.ParseDuration(text)
	if err != nil {
		return 0, flagError(name, err)
	}
	return d, nil
}

// workingDirectory returns the absolute directory that is meant, the present one for "".
func (a *app) workingDirectory(dir string) (string, error) {
	if filepath.IsAbs(dir) {
		return dir, nil
	}
	present, err := a.Getwd()
	if err != nil {
		return "", &job.Error{Code: job.Invalid, Field: "cwd", Message: fmt.Sprintf("the present directory is unknown: %v", err),
			Hint: "give an absolute one with --cwd", Err: err}
	}
	return filepath.Join(present, dir), nil
}

// printJSON writes v as indented JSON: a person reads it as well as a program.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// print writes to standard output.
func (a *app) print(format string, args ...any) error {
	_, err := fmt.Fprintf(a.Stdout, a.suggestFormat(format), args...)
	return err
}
