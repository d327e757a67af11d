package job

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Spec describes a job to add. Exactly one of Command, Shell and a Type other than those two is given:
// such a type makes the command of Params.
type Spec struct {
	Command []string `json:"command,omitempty"` // program and arguments, run as they are
	Shell   string   `json:"shell,omitempty"`   // script for /bin/sh -c

	Queue    string          `json:"queue,omitempty"` // "" = default
	Type     string          `json:"type,omitempty"`  // "" = command or shell, whichever is given
	Params   json.RawMessage `json:"params,omitempty"`
	Name     string          `json:"name,omitempty"`
	Key      string          `json:"key,omitempty"` // unique among the jobs on record
	Priority *int            `json:"priority,omitempty"`
	Tags     []string        `json:"tags,omitempty"`

	User  string  `json:"user,omitempty"`  // account to run as, "" = as the service's rules say
	Cwd   string  `json:"cwd,omitempty"`   // absolute; "" = /
	Env   Env     `json:"env,omitempty"`   // whole environment, laid over Defaults' in a batch
	Umask *uint32 `json:"umask,omitempty"` // nil = the runner's

	Timeout    Duration `json:"timeout,omitempty"`     // 0 = none
	Grace      Duration `json:"grace,omitempty"`       // 0 = DefaultGrace
	StopSignal string   `json:"stop_signal,omitempty"` // "TERM", "INT", …; "" = TERM
	OnLost     OnLost   `json:"on_lost,omitempty"`
	Split      bool     `json:"split,omitempty"`
	Hold       bool     `json:"hold,omitempty"`

	Watchdog     Duration `json:"watchdog,omitempty"`     // 0 = the type's
	SuccessCodes []int    `json:"success_codes,omitzero"` // nil = the type's; [] = none

	Hooks []Hook `json:"hooks,omitempty"` // told of its events, beside those of settings and type
}

// Batch is a number of jobs to add all together or not at all.
type Batch struct {
	// Defaults fills what a job leaves out; its Env is laid under each job's Env.
	Defaults Spec   `json:"defaults,omitzero"`
	Jobs     []Spec `json:"jobs"`
}

// Limits of a Spec and a Batch; MaxArg is Linux's MAX_ARG_STRLEN.
const (
	MaxArg      = 128<<10 - 1 // bytes of one argument or environment entry
	MaxArgv     = 2 << 20     // bytes of all arguments and the environment together
	MaxParams   = 1 << 20     // bytes of Params: the record is sent with each change of the job
	MaxName     = 256         // bytes of a name, key, tag or queue name
	MaxTags     = 64
	MaxPriority = 1_000_000
	MaxBatch    = 100_000 // jobs of a batch: all are in memory together
	MaxCodes    = 255     // exit codes that count as completed
)

// Typed reports whether a type other than command and shell makes the job's command.
func (s *Spec) Typed() bool {
	return s.Type != "" && s.Type != TypeCommand && s.Type != TypeShell
}

// Check returns an Invalid error that names the first field that is wrong. Whether there is a type of
// that name, and what its Params may be, is the daemon's to say.
func (s *Spec) Check() error {
	switch {
	case s.Typed() && (s.Shell != "" || len(s.Command) > 0):
		is := "command"
		if s.Shell != "" {
			is = "shell"
		}
		return invalid("type", fmt.Sprintf("the type %q and a %s are both given", s.Type, is), "leave one of them out: a type makes its command of params")
	case s.Typed():
		if err := CheckTypeName(s.Type); err != nil {
			return err
		}
		return s.checkRest()
	case s.Shell != "" && len(s.Command) > 0:
		return invalid("shell", "both command and shell are given", "give one of them")
	case s.Shell == "" && len(s.Command) == 0:
		return invalid("command", "no command is given", "give the program and its arguments after --")
	case len(s.Command) > 0 && s.Command[0] == "":
		return invalid("command[0]", "the program's name is empty", "give the program first")
	}
	if err := s.checkType(); err != nil {
		return err
	}
	return s.checkRest()
}

// CheckPrepared is Check for a spec whose type has set its Command.
func (s *Spec) CheckPrepared() error {
	if len(s.Command) == 0 || s.Command[0] == "" {
		return invalid("type", fmt.Sprintf("the type %q makes no command of these params", s.Type), "see queuemgr type show "+s.Type)
	}
	return s.checkRest()
}

// checkRest checks all but what is run.
func (s *Spec) checkRest() error {
	if err := s.checkSizes(); err != nil {
		return err
	}
	if s.Queue != "" {
		if err := CheckQueueName(s.Queue); err != nil {
			return err
		}
	}
	if s.Key != "" {
		if err := CheckKey(s.Key); err != nil {
			return err
		}
	}
	if err := checkText("name", s.Name, MaxName); err != nil {
		return err
	}
	if err := checkText("user", s.User, MaxName); err != nil {
		return err
	}
	if len(s.Tags) > MaxTags {
		return invalid("tags", fmt.Sprintf("%d tags", len(s.Tags)), fmt.Sprintf("at most %d", MaxTags))
	}
	for i, t := range s.Tags {
		field := fmt.Sprintf("tags[%d]", i)
		if t == "" || strings.ContainsAny(t, ", \t\n") {
			return invalid(field, fmt.Sprintf("bad tag %q", t), "a tag is a word without comma or white space")
		}
		if err := checkText(field, t, MaxName); err != nil {
			return err
		}
	}
	if p := s.Priority; p != nil && (*p > MaxPriority || *p < -MaxPriority) {
		return invalid("priority", fmt.Sprintf("priority %d is out of range", *p), fmt.Sprintf("from %d to %d", -MaxPriority, MaxPriority))
	}
	if s.Cwd != "" && !strings.HasPrefix(s.Cwd, "/") {
		return invalid("cwd", fmt.Sprintf("working directory %q is relative", s.Cwd), "give an absolute path")
	}
	if s.Umask != nil && *s.Umask > 0o777 {
		return invalid("umask", fmt.Sprintf("umask %#o is out of range", *s.Umask), "from 0 to 0777")
	}
	switch s.OnLost {
	case "", OnLostFail, OnLostRequeue:
	default:
		return invalid("on_lost", fmt.Sprintf("on_lost is %q", s.OnLost), "fail or requeue")
	}
	if _, err := ParseSignal(s.StopSignal); err != nil {
		return err
	}
	if s.Timeout < 0 || s.Grace < 0 {
		return invalid("timeout", "a negative duration", "give seconds, not below zero")
	}
	if s.Watchdog < 0 {
		return invalid("watchdog", "a negative duration", "give seconds, not below zero")
	}
	if len(s.SuccessCodes) > MaxCodes {
		return invalid("success_codes", fmt.Sprintf("%d exit codes", len(s.SuccessCodes)), fmt.Sprintf("at most %d", MaxCodes))
	}
	for i, code := range s.SuccessCodes {
		if code < 0 || code > 255 {
			return invalid(fmt.Sprintf("success_codes[%d]", i), fmt.Sprintf("no process ends with %d", code), "exit codes are 0 to 255")
		}
	}
	return CheckHooks(s.Hooks)
}

// checkType refuses that a script is called a command, or a command a shell's: it would be counted and
// listed as what it is not.
func (s *Spec) checkType() error {
	is := TypeCommand
	if s.Shell != "" {
		is = TypeShell
	}
	if s.Type == "" || s.Type == is {
		return nil
	}
	return invalid("type", fmt.Sprintf("the type is %q and a %s is given", s.Type, is), "leave the type out")
}

// TooManyJobs is the error of a batch with more than MaxBatch jobs.
func TooManyJobs() error {
	return invalid("jobs", fmt.Sprintf("a batch has more than %d jobs", MaxBatch), fmt.Sprintf("add them in parts of up to %d", MaxBatch))
}

// checkSizes refuses what execve(2) can never take, and what JSON cannot carry unchanged.
func (s *Spec) checkSizes() error {
	total := 0
	for i, a := range s.Command {
		if !execTakes(len(a), a) {
			return checkExec(fmt.Sprintf("command[%d]", i), a)
		}
		total += len(a) + 9 // its pointer and NUL count too
	}
	if err := checkExec("shell", s.Shell); err != nil {
		return err
	}
	total += len(s.Shell)
	for k, v := range s.Env {
		if k == "" || strings.Contains(k, "=") {
			return invalid("env", fmt.Sprintf("bad environment variable name %q", k), "a name is not empty and has no =")
		}
		if n := len(k) + 1 + len(v); !execTakes(n, k) || !execTakes(n, v) {
			return checkExec("env."+k, k+"="+v)
		}
		total += len(k) + len(v) + 10
	}
	if total > MaxArgv {
		return invalid("command", fmt.Sprintf("the command line and environment are %d bytes", total),
			fmt.Sprintf("Linux takes about %d; put long input into a file", MaxArgv))
	}
	switch {
	case len(s.Params) > MaxParams:
		return invalid("params", fmt.Sprintf("params are %d bytes long", len(s.Params)), fmt.Sprintf("at most %d; put more into a file that the job reads", MaxParams))
	case len(s.Params) > 0 && !json.Valid(s.Params):
		return invalid("params", "params are not JSON", "give one JSON value")
	}
	return checkExec("cwd", s.Cwd)
}

// execTakes reports whether checkExec lets through a string of n bytes that v is a part of.
func execTakes(n int, v string) bool {
	return n <= MaxArg && strings.IndexByte(v, 0) < 0 && utf8.ValidString(v)
}

// checkExec says what is wrong with a string that is handed to a program, if anything is.
func checkExec(field, v string) error {
	switch {
	case strings.IndexByte(v, 0) >= 0:
		return invalid(field, field+" contains a NUL byte", "no program can be given one")
	case !utf8.ValidString(v):
		return invalid(field, field+" is not valid UTF-8", "wrap such a name in a script")
	case len(v) > MaxArg:
		return invalid(field, fmt.Sprintf("%s is %d bytes long", field, len(v)),
			fmt.Sprintf("Linux takes at most %d in one argument; put long input into a file", MaxArg))
	}
	return nil
}

func checkText(field, v string, limit int) error {
	switch {
	case !utf8.ValidString(v):
		return invalid(field, field+" is not valid UTF-8", "")
	case len(v) > limit:
		return invalid(field, fmt.Sprintf("%s is %d bytes long", field, len(v)), fmt.Sprintf("at most %d", limit))
	}
	for _, r := range v {
		if r < 0x20 || r == 0x7f {
			return invalid(field, field+" contains a control character", "")
		}
	}
	return nil
}

// CheckQueueName returns an Invalid error for a name that no queue may have.
func CheckQueueName(name string) error {
	ok := name != "" && len(name) <= 64 && name[0] != '-' && name[0] != '.'
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}
	if !ok {
		return invalid("queue", fmt.Sprintf("bad queue name %q", name), "1 to 64 of A-Z a-z 0-9 . _ -, not beginning with . or -")
	}
	return nil
}

// CheckKey returns an Invalid error for a key that a selector would read as something else.
func CheckKey(key string) error {
	if err := checkText("key", key, MaxName); err != nil {
		return err
	}
	if key == "" || strings.ContainsAny(key, ", \t/") || key == "all" || key == "last" || key == "." || key == ".." || isRange(strings.TrimLeft(key, "+-")) {
		return invalid("key", fmt.Sprintf("bad key %q", key), "a key has no comma, space or /, and is no number, with or without a sign, no range, all, last, . or ..")
	}
	return nil
}

func invalid(field, message, hint string) *Error {
	return &Error{Code: Invalid, Field: field, Message: message, Hint: hint}
}
