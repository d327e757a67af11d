package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// Said is what a run has said since it was last asked for. Nil means nothing of that.
type Said struct {
	Progress *int
	Status   *string
	Result   json.RawMessage
	Error    *string
	Retry    *string
	Refused  []string
	More     int       // how many beyond Refused were wrong
	Heard    time.Time // of the last datagram, whatever it held
}

// datagram is one message to the notify socket, taken apart. Its parts point into the message.
type datagram struct {
	runID    []byte
	progress int // -1 = none
	status   []byte
	result   []byte
	problem  []byte // X_QUEUEMGR_ERROR
	retry    []byte
}

// says reports whether the datagram holds more than a sign of life.
func (d *datagram) says() bool {
	return d.progress >= 0 || d.status != nil || d.result != nil || d.problem != nil || d.retry != nil
}

// parseDatagram takes b apart. wrong says why nothing of it counts, "" when all is well; who speaks is known
// even so, where it was readable.
func parseDatagram(b []byte) (d datagram, wrong string) {
	d.progress = -1
	lines := 0
	refuse := func(format string, args ...any) {
		if wrong == "" {
			wrong = fmt.Sprintf(format, args...)
		}
	}
	switch {
	case !utf8.Valid(b):
		refuse("a message that is not UTF-8 text")
	case bytes.IndexByte(b, 0) >= 0:
		refuse("a message with a NUL byte in it")
	}
	for line := range bytes.SplitSeq(b, []byte{'\n'}) {
		key, value, ok := bytes.Cut(line, []byte{'='})
		if !ok || len(key) == 0 {
			continue
		}
		lines++
		switch string(key) {
		case wire.SaysRun:
			d.runID = value
		case wire.SaysProgress:
			if n, ok := parseProgress(value); ok {
				d.progress = n
			} else {
				refuse("%s=%s: progress is a number from 0 to 100", key, short(value))
			}
		case wire.SaysStatus:
			d.status = cut(value, wire.MaxStatus)
		case wire.SaysResult:
			if why := checkResult(value, wire.MaxResult); why != "" {
				refuse("%s: %s", key, why)
			}
			d.result = value
		case wire.SaysError:
			d.problem = cut(value, wire.MaxStatus)
		case wire.SaysRetry:
			if !isRetry(value) {
				refuse("%s=%s: it is never, or a number of seconds", key, short(value))
			}
			d.retry = value
		}
	}
	if lines == 0 {
		refuse("a message without a line KEY=VALUE")
	}
	return d, wrong
}

// parseProgress reads a number from 0 to 100 and rounds it down.
func parseProgress(b []byte) (int, bool) {
	b = bytes.TrimSpace(b)
	for _, c := range b {
		if (c < '0' || c > '9') && c != '.' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(b), 64)
	return int(f), err == nil && f <= 100
}

// isRetry says whether b is a hint for another try.
func isRetry(b []byte) bool {
	if string(b) == "never" {
		return true
	}
	f, err := strconv.ParseFloat(string(b), 64)
	return err == nil && f >= 0 && f <= math.MaxInt32 && len(b) <= 32
}

// checkResult says what keeps b from being a result of at most limit bytes, "" when nothing does.
func checkResult(b []byte, limit int) string {
	switch {
	case len(b) > limit:
		return fmt.Sprintf("the result has more than the %d bytes that are allowed", limit)
	case !utf8.Valid(b):
		return "the result is not UTF-8 text"
	case !json.Valid(b):
		return "the result is not valid JSON"
	case depth(b) > wire.MaxResultDepth:
		// Within a message it stands deeper still, and who cannot decode that loses the connection.
		return fmt.Sprintf("the result nests deeper than %d", wire.MaxResultDepth)
	}
	return ""
}

// depth returns how deep arrays and objects stand in each other in the valid JSON b.
func depth(b []byte) (most int) {
	now, text := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '[' || c == '{':
			now++
			most = max(most, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return most
}

// cut returns at most limit bytes of b and no half character at its end.
func cut(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	for limit > 0 && !utf8.RuneStart(b[limit]) {
		limit--
	}
	return b[:limit]
}

// short quotes the beginning of b, for words about it.
func short(b []byte) string {
	const enough = 40
	if len(b) > enough {
		return strconv.QuoteToASCII(string(cut(b, enough))) + "…"
	}
	return strconv.QuoteToASCII(string(b))
}

// merge adds d, heard later, to s.
func (s *Said) merge(d *datagram) {
	if d.progress >= 0 && (s.Progress == nil || d.progress > *s.Progress) {
		n := d.progress
		s.Progress = &n
	}
	text := func(to **string, b []byte) {
		if b != nil {
			t := string(b)
			*to = &t
		}
	}
	text(&s.Status, d.status)
	text(&s.Error, d.problem)
	text(&s.Retry, d.retry)
	if d.result != nil {
		s.Result = append(s.Result[:0], d.result...)
	}
}

// refuse adds words about something wrong.
func (s *Said) refuse(text string) {
	if len(s.Refused) >= wire.MaxRefused {
		s.More++
		return
	}
	s.Refused = append(s.Refused, string(cut([]byte(text), wire.MaxRefusedText)))
}

// add takes s into what the run said before. It says whether that changed.
func (s *Said) add(rep *wire.Report) (changed bool) {
	if s.Progress != nil && (rep.Progress == nil || *s.Progress > *rep.Progress) {
		rep.Progress, changed = s.Progress, true
	}
	text := func(to *string, from *string) {
		if from != nil && *from != *to {
			*to, changed = *from, true
		}
	}
	text(&rep.Status, s.Status)
	text(&rep.Error, s.Error)
	text(&rep.Retry, s.Retry)
	if s.Result != nil && !bytes.Equal(s.Result, rep.Result) {
		rep.Result, changed = s.Result, true
	}
	for _, why := range s.Refused {
		if len(rep.Refused) < wire.MaxRefused {
			// What was sent already is not to change.
			rep.Refused = append(rep.Refused[:len(rep.Refused):len(rep.Refused)], why)
		} else {
			rep.RefusedMore++
		}
		changed = true
	}
	rep.RefusedMore += s.More
	return changed || s.More > 0
}
