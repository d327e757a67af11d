package runner

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// record is one line of the journal; exactly one field but UID is set. Like the wire it is append-only: a
// field keeps its name and meaning, and a kind that is not known is passed over.
type record struct {
	Header  *header     `json:"header,omitempty"`
	Epoch   *epoch      `json:"epoch,omitempty"`
	Intent  *intent     `json:"intent,omitempty"`
	Started *wire.Event `json:"started,omitempty"`
	UID     *uint32     `json:"uid,omitempty"` // beside Started: the run's account; absent = the runner's own
	Stop    *stopped    `json:"stop,omitempty"`
	Status  *wire.Event `json:"status,omitempty"` // the leader's end while its tree lives on; no Seq yet
	Exit    *wire.Event `json:"exit,omitempty"`
	Done    *done       `json:"done,omitempty"`
}

// header opens a journal and is its identity.
type header struct {
	Journal string `json:"journal"`
	Version string `json:"version"`
	BootID  string `json:"boot_id"`
	Epoch   epoch  `json:"epoch"`
	LastSeq uint64 `json:"last_seq"`
	Acked   uint64 `json:"acked"`
}

// epoch is the newest daemon served. Epochs of different registries cannot be compared.
type epoch struct {
	Registry string `json:"registry"`
	Epoch    uint64 `json:"epoch"`
}

// intent is on record before the fork and says all that a later runner needs to go on.
type intent struct {
	RunID      string `json:"run_id"`
	JobID      int64  `json:"job_id"`
	Fence      uint64 `json:"fence"`
	TimeoutMS  int64  `json:"timeout_ms,omitempty"`
	GraceMS    int64  `json:"grace_ms"`
	StopSignal int    `json:"stop_signal,omitempty"`
	Dir        string `json:"dir,omitempty"`
	View       string `json:"view,omitempty"`
	WatchdogMS int64  `json:"watchdog_ms,omitempty"`
}

// stopped is on record before the first signal: the run is to be ended, by whatever runner. The
// newest of a run counts: one more follows what hastens the stop, and the first signal.
type stopped struct {
	RunID   string     `json:"run_id"`
	Cause   wire.Cause `json:"cause"`
	Why     string     `json:"why,omitempty"`
	GraceMS *int64     `json:"grace_ms,omitempty"` // nil, of an older runner: the run's own
	Force   bool       `json:"force,omitempty"`
	// KillAt is the end of the grace. It is known once the first signal was sent: only then may an
	// end that nobody saw be the stop's.
	KillAt *time.Time `json:"kill_at,omitempty"`
}

func (s *stopped) signalled() bool { return s.KillAt != nil }

func (s *stopped) grace() *time.Duration {
	if s.GraceMS == nil {
		return nil
	}
	d := time.Duration(*s.GraceMS) * time.Millisecond
	return &d
}

// done says that every event up to Cursor was acknowledged.
type done struct {
	Cursor uint64 `json:"cursor"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumLen is the length of the checksum and the space after it.
const sumLen = 9

var errBadRecord = errors.New("bad record")

// appendRecord appends r as a line: 8 hex digits CRC-32C of the JSON, a space, the JSON, '\n'.
func appendRecord(dst []byte, r record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return dst, fmt.Errorf("journal record: %w", err)
	}
	sum := crc32.Checksum(body, castagnoli)
	dst = hex.AppendEncode(dst, []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	dst = append(dst, ' ')
	dst = append(dst, body...)
	return append(dst, '\n'), nil
}

// parseRecord reads one line, its '\n' included.
func parseRecord(line []byte) (record, error) {
	var r record
	if len(line) < sumLen+3 || line[len(line)-1] != '\n' || line[sumLen-1] != ' ' {
		return r, errBadRecord
	}
	var sum [4]byte
	// Written in lower case only: the same bytes must give the same line.
	if bytes.ContainsAny(line[:sumLen-1], "ABCDEF") {
		return r, errBadRecord
	}
	if _, err := hex.Decode(sum[:], line[:sumLen-1]); err != nil {
		return r, errBadRecord
	}
	body := line[sumLen : len(line)-1]
	want := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	if crc32.Checksum(body, castagnoli) != want {
		return r, errBadRecord
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return record{}, errBadRecord
	}
	return r, nil
}
