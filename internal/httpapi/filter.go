package httpapi

import (
	"fmt"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// outcomeFilter reads the conditions on text, outcome and time, and the order.
func (h *Handler) outcomeFilter(q query, f *job.Filter) error {
	f.Text = q.text("text")
	for _, word := range q.words("exit_code") {
		code, err := strconv.Atoi(word)
		if err != nil {
			return &job.Error{Code: job.Invalid, Field: "exit_code", Message: fmt.Sprintf("%q is no exit code", word), Hint: "give numbers: exit_code=1,137"}
		}
		f.ExitCodes = append(f.ExitCodes, code)
	}
	for _, word := range q.words("reason") {
		f.Reasons = append(f.Reasons, job.Reason(word))
	}
	now := time.Now()
	for name, to := range map[string]*time.Time{"since": &f.Since, "until": &f.Until, "ended_since": &f.EndedSince, "ended_until": &f.EndedUntil} {
		if word := q.text(name); word != "" {
			var err error
			if *to, err = job.ParseTime(word, now); err != nil {
				return inField(err, name)
			}
		}
	}
	if f.Sort = job.Sort(q.text("sort")); f.Sort != "" && q.values.Has("oldest") {
		return &job.Error{Code: job.Invalid, Field: "oldest", Message: "oldest and sort are both given", Hint: "give one of them"}
	}
	check := job.Filter{Reasons: f.Reasons, Sort: f.Sort}
	if err := check.Check(); err != nil {
		if len(f.Reasons) > 0 && job.FieldOf(err) == "reasons" {
			return inField(err, "reason")
		}
		return err
	}
	return nil
}
