package job

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// HookEvent is something that happens to a job and that hooks are told of.
type HookEvent string

// Events. One of the last three comes once, when no further attempt follows.
const (
	HookStart   HookEvent = "start"   // an attempt has started
	HookSuccess HookEvent = "success" // the job is completed
	HookFailure HookEvent = "failure" // the job has failed or was skipped
	HookStop    HookEvent = "stop"    // the job was stopped or, before its end, deleted
)

// HookEvents lists every event.
var HookEvents = []HookEvent{HookStart, HookSuccess, HookFailure, HookStop}

// Hook is what is told of a job's events: exactly one of Command and URL is given. Hooks are called at
// least once for each event, and for one job in the order of the events.
type Hook struct {
	On []HookEvent `json:"on"`
	// Command is run as the job's account, with the job as JSON on its standard input.
	Command []string `json:"command,omitempty"`
	// URL gets a POST with the event and the job as JSON. It is on the job's record for all to see who
	// see the job, and what is sent is not signed: a secret belongs into a hook of the settings.
	URL string `json:"url,omitempty"`
}

// Limits of hooks.
const (
	MaxHooks   = 8       // of one job or type
	MaxHookURL = 2 << 10 // bytes
)

// Wants reports whether h is told of an event.
func (h *Hook) Wants(e HookEvent) bool { return slices.Contains(h.On, e) }

// Check returns an Invalid error that names the first field that is wrong, field being h's own.
func (h *Hook) Check(field string) error {
	if len(h.On) == 0 {
		return invalid(field+".on", "the hook names no event", "give at least one of start, success, failure, stop")
	}
	for i, e := range h.On {
		switch {
		case !slices.Contains(HookEvents, e):
			return invalid(field+".on", fmt.Sprintf("unknown event %.80q", string(e)), "the events are start, success, failure, stop")
		case slices.Contains(h.On[:i], e):
			return invalid(field+".on", fmt.Sprintf("the event %s is named twice", e), "name it once")
		}
	}
	switch {
	case len(h.Command) == 0 && h.URL == "":
		return invalid(field, "the hook has neither command nor url", "give one of them")
	case len(h.Command) > 0 && h.URL != "":
		return invalid(field, "the hook has both command and url", "give one of them; two hooks may be for the same event")
	case h.URL != "":
		return CheckHookURL(field+".url", h.URL)
	case h.Command[0] == "":
		return invalid(field+".command[0]", "the program's name is empty", "give the program first")
	}
	total := 0
	for i, a := range h.Command {
		if err := checkExec(fmt.Sprintf("%s.command[%d]", field, i), a); err != nil {
			return err
		}
		total += len(a)
	}
	if total > MaxArg {
		return invalid(field+".command", fmt.Sprintf("the hook's command is %d bytes long", total), fmt.Sprintf("at most %d; put more into a script", MaxArg))
	}
	return nil
}

// CheckHookURL returns an Invalid error for what no event can be posted to.
func CheckHookURL(field, text string) error {
	if err := checkText(field, text, MaxHookURL); err != nil {
		return err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return invalid(field, "this is no URL", "give one like https://ci.example.org/hooks/queuemgr")
	case u.Scheme != "http" && u.Scheme != "https":
		return invalid(field, fmt.Sprintf("a hook can't be called by %.20q", u.Scheme), "give a URL that begins with https:// or http://")
	case u.Hostname() == "":
		return invalid(field, "the URL names no host", "give one like https://ci.example.org/hooks/queuemgr")
	case u.User != nil:
		return invalid(field, "the URL holds a user or password", "it would be shown in lists: sign what is sent instead, by secret_file of a hook of the settings")
	}
	return nil
}

// CheckHooks returns an Invalid error for hooks that no job may have.
func CheckHooks(hooks []Hook) error {
	if len(hooks) > MaxHooks {
		return invalid("hooks", fmt.Sprintf("%d hooks", len(hooks)), fmt.Sprintf("at most %d; one hook may be for several events", MaxHooks))
	}
	for i := range hooks {
		if err := hooks[i].Check(fmt.Sprintf("hooks[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

// ShownURL is a hook's URL as lists show it: scheme and host. What comes after them is often a secret, be it
// in the path.
func ShownURL(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if !ok || end < 0 || rest[end:] == "/" {
		return text
	}
	return scheme + "://" + rest[:end] + "/…"
}

// ConfiguredHook is a hook of the settings or of a job type, without secrets.
type ConfiguredHook struct {
	Name      string      `json:"name"`
	Source    string      `json:"source"` // "settings", or "type NAME"
	On        []HookEvent `json:"on"`
	Queue     string      `json:"queue,omitempty"` // only jobs of this queue
	Type      string      `json:"type,omitempty"`  // only jobs of this type
	Command   []string    `json:"command,omitempty"`
	URL       string      `json:"url,omitempty"`    // scheme and host; what comes after them is left out
	Signed    bool        `json:"signed,omitempty"` // what is sent is signed
	Timeout   Duration    `json:"timeout"`
	GiveUp    Duration    `json:"give_up_after"`
	LastError string      `json:"last_error,omitempty"` // of its receiver, while that fails
	NextTry   time.Time   `json:"next_try,omitzero"`    // of a receiver that fails
}

// DeliveryState says how far a delivery is.
type DeliveryState string

// States of a delivery.
const (
	DeliveryPending DeliveryState = "pending"  // not tried yet, or on its way
	DeliveryFailed  DeliveryState = "failed"   // the last try failed; another follows
	DeliveryDone    DeliveryState = "done"     // the receiver has it
	DeliveryGivenUp DeliveryState = "given_up" // no try follows any more
)

// DeliveryStates lists every state.
var DeliveryStates = []DeliveryState{DeliveryPending, DeliveryFailed, DeliveryDone, DeliveryGivenUp}

// Open reports whether tries follow.
func (s DeliveryState) Open() bool { return s == DeliveryPending || s == DeliveryFailed }

// Delivery is one event on its way to one hook.
type Delivery struct {
	ID        int64         `json:"id"`
	JobID     int64         `json:"job_id"`
	Attempt   int           `json:"attempt"` // of the job; 0 = it ended before its first
	Event     HookEvent     `json:"event"`
	Seq       uint64        `json:"seq"`  // of the change that the event was in
	Hook      string        `json:"hook"` // "settings/NAME", "type/NAME/N" or "job/N"
	Receiver  string        `json:"receiver"`
	State     DeliveryState `json:"state"`
	Tries     int           `json:"tries"`
	NextTry   time.Time     `json:"next_try,omitzero"` // absent: over, on its way, or an earlier event of the job goes first
	RunID     string        `json:"run_id,omitempty"`  // of a command that runs
	LastError string        `json:"last_error,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
	EndedAt   time.Time     `json:"ended_at,omitzero"` // when it was done or given up
}

// DeliveryFilter selects deliveries; zero fields select all.
type DeliveryFilter struct {
	JobID  int64
	States []DeliveryState
	Cursor string // of the page before
	Limit  int    // 0 = DefaultLimit
}

// Check refuses what no list has, and puts in what is left out.
func (f *DeliveryFilter) Check() error {
	for _, s := range f.States {
		if !slices.Contains(DeliveryStates, s) {
			return invalid("state", fmt.Sprintf("there is no state %.80q of deliveries", string(s)), "pending, failed, done or given_up")
		}
	}
	if f.Limit < 0 || f.Limit > MaxLimit {
		return invalid("limit", fmt.Sprintf("limit %d", f.Limit), fmt.Sprintf("from 1 to %d", MaxLimit))
	}
	if f.Limit == 0 {
		f.Limit = DefaultLimit
	}
	return nil
}

// DeliveryPage is one page of deliveries, the newest first.
type DeliveryPage struct {
	Deliveries []Delivery `json:"deliveries"`
	NextCursor string     `json:"next_cursor,omitempty"` // "" = no more
}

// HookService is what is asked of hooks. A daemon implements it, and the HTTP client.
type HookService interface {
	// Hooks returns the hooks of the settings and of job types. Those of single jobs are on their records.
	Hooks(ctx context.Context) ([]ConfiguredHook, error)
	// HookDeliveries returns one page. Errors: Invalid (state, limit, cursor).
	HookDeliveries(ctx context.Context, f DeliveryFilter) (DeliveryPage, error)
	// RetryDelivery has a delivery tried again now, also one that was given up or is done. Errors:
	// NotFound, WrongState (it is on its way).
	RetryDelivery(ctx context.Context, id int64) (*Delivery, error)
}
