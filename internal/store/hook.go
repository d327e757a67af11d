package store

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Hooks is the record of events on their way to hooks. Nothing of it is a change: it never comes into
// registry.jsonl, events or an export.
type Hooks interface {
	// HookCursor returns up to which change events were turned into deliveries.
	HookCursor(ctx context.Context) (HookCursor, error)
	// AddDeliveries records deliveries and moves the cursor in one transaction, and returns those that
	// are new: a start that is on record already, of the same attempt and hook, is passed over. Errors:
	// job.Conflict where the cursor is not at From; job.Exhausted below the free-space floor, unless there
	// is no delivery.
	AddDeliveries(ctx context.Context, p AddDeliveries) ([]Delivery, error)
	// DueDeliveries returns up to limit deliveries of a receiver that may be tried next, those with the
	// earliest NextTry first, also where that is still to come. Of one job there is the earliest only. Its
	// cost does not grow with what else is open.
	DueDeliveries(ctx context.Context, receiver string, limit int) ([]Delivery, error)
	// OpenReceivers returns all that have deliveries which may be tried.
	OpenReceivers(ctx context.Context) ([]string, error)
	// HookRuns returns the deliveries with a RunID.
	HookRuns(ctx context.Context) ([]Delivery, error)
	// Delivery returns one. Errors: job.NotFound.
	Delivery(ctx context.Context, id int64) (*Delivery, error)
	// SetDeliveries records what became of open deliveries; what is not open any more, or has another
	// RunID than WasRunID, is passed over. With the end of one the next of its job and receiver may be tried.
	SetDeliveries(ctx context.Context, updates []DeliveryUpdate, at time.Time) error
	// RetryDelivery makes a delivery open and due. Errors: job.NotFound, job.WrongState (it has a RunID).
	RetryDelivery(ctx context.Context, id int64, at time.Time) (*Delivery, error)
	// ListDeliveries returns one page, the newest first. Errors: job.Invalid (cursor).
	ListDeliveries(ctx context.Context, f job.DeliveryFilter) (job.DeliveryPage, error)
	// PruneDeliveries removes up to limit ended deliveries: those that ended before a time, and those
	// beyond the newest keep. Those of live jobs stay. It returns what went: the caller removes the logs.
	PruneDeliveries(ctx context.Context, before time.Time, keep int64, limit int) ([]PrunedDelivery, error)
}

// HookCursor is how far the changes are turned into deliveries.
type HookCursor struct {
	Seq   uint64
	Since map[string]uint64 // by hook: the change after which it is told of events
}

// AddDeliveries moves the cursor from From.
type AddDeliveries struct {
	From       uint64
	Cursor     HookCursor
	Deliveries []Delivery // ID is given out
	At         time.Time
}

// Delivery is a delivery with what is needed to make it.
type Delivery struct {
	job.Delivery
	Since time.Time // from when the time counts after which it is given up
	Doc   DeliveryDoc
}

// DeliveryDoc is what a delivery brings.
type DeliveryDoc struct {
	Hook *job.Hook       `json:"hook,omitempty"` // nil = it is in the settings
	At   time.Time       `json:"at"`             // of the event
	Job  json.RawMessage `json:"job"`            // as it was then
}

// PlainJSON is v as JSON in which <, > and & stand for themselves: nothing of a delivery is shown as HTML, and
// what is long with them would be six times as long.
func PlainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// DeliveryUpdate is a delivery as it shall be.
type DeliveryUpdate struct {
	ID        int64
	WasRunID  string
	State     job.DeliveryState
	Tries     int
	NextTry   time.Time // zero while RunID is set, and at the end
	RunID     string
	LastError string
}

// PrunedDelivery is a delivery that is gone.
type PrunedDelivery struct{ ID, JobID int64 }

// RunEnd is how a run ended that is no job's attempt.
type RunEnd struct {
	RunID   string
	At      time.Time
	Problem string // "" = exit code 0
	// Undone says that nothing was run, or that it was stopped with the service: no fault of its own.
	Undone bool
	// Stopped says of what is Undone that it was with the service.
	Stopped bool
}
