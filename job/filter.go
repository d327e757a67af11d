package job

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Range is the job numbers From to To, both included.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Filter selects jobs, the same for lists, bulk actions and SQL. Fields that are set must all
// hold; within a list one is enough. The zero Filter selects every job that is not deleted.
type Filter struct {
	IDs    []Range  `json:"ids,omitempty"`
	Keys   []string `json:"keys,omitempty"` // with IDs: in either
	Last   bool     `json:"last,omitempty"` // in either, or the newest job that the rest selects
	States []State  `json:"states,omitempty"`
	Queues []string `json:"queues,omitempty"`
	Types  []string `json:"types,omitempty"`
	Tags   []string `json:"tags,omitempty"` // every one of them
	Owner  string   `json:"owner,omitempty"`
	Name   string   `json:"name,omitempty"` // part of the name or command, case ignored
	Text   string   `json:"text,omitempty"` // the same once more

	ExitCodes []int     `json:"exit_codes,omitempty"`
	Reasons   []Reason  `json:"reasons,omitempty"`
	Since     time.Time `json:"since,omitzero"` // made at this time or later
	Until     time.Time `json:"until,omitzero"` // made before it
	// When jobs came into the ended state that they are in.
	EndedSince time.Time `json:"ended_since,omitzero"`
	EndedUntil time.Time `json:"ended_until,omitzero"`

	// Of a list: newest first unless Oldest or Sort says otherwise; at most Limit (0 = DefaultLimit,
	// up to MaxLimit), from where Cursor of the page before ended.
	Sort   Sort   `json:"sort,omitempty"`
	Oldest bool   `json:"oldest,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	Cursor string `json:"cursor,omitempty"`
}

// Bounds of Filter.Limit.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// Sort is the order of a list.
type Sort string

// Orders. Those by time of end list jobs that have ended only.
const (
	SortOldest     Sort = "id"
	SortNewest     Sort = "-id"
	SortFirstEnded Sort = "ended"
	SortLastEnded  Sort = "-ended"
)

// Sorts lists every order.
var Sorts = []Sort{SortOldest, SortNewest, SortFirstEnded, SortLastEnded}

// ByEnd reports whether f lists jobs by when they ended.
func (f *Filter) ByEnd() bool { return f.Sort == SortFirstEnded || f.Sort == SortLastEnded }

// Ascending reports whether f lists the oldest, or those that ended first, first.
func (f *Filter) Ascending() bool {
	return f.Sort == SortOldest || f.Sort == SortFirstEnded || f.Sort == "" && f.Oldest
}

// Page is a part of a list.
type Page struct {
	Jobs       []*Job `json:"jobs"`
	NextCursor string `json:"next_cursor,omitempty"` // "" = no more
}

// Explicit reports whether f selects by numbers, ranges of them, keys or last, not by conditions
// alone.
func (f *Filter) Explicit() bool {
	return len(f.IDs) > 0 || len(f.Keys) > 0 || f.Last
}

// Names reports whether f, which selects j, names it by itself: its number, its key, or last given
// alone. That j is in a wrong state for an action is then an error; of a range, or of what
// conditions select, such jobs are passed over.
func (f *Filter) Names(j *Job) bool {
	return f.Last && len(f.IDs)+len(f.Keys) == 0 || slices.Contains(f.Keys, j.Key) ||
		slices.ContainsFunc(f.IDs, func(r Range) bool { return r.From == j.ID && r.To == j.ID })
}

// Empty reports whether f selects by nothing at all.
func (f *Filter) Empty() bool {
	return !f.Explicit() && len(f.States) == 0 && len(f.Queues) == 0 && len(f.Types) == 0 &&
		len(f.Tags) == 0 && f.Owner == "" && f.Name == "" && !f.Detailed()
}

// Detailed reports whether f selects by text, outcome or time.
func (f *Filter) Detailed() bool {
	return f.Text != "" || len(f.ExitCodes)+len(f.Reasons) > 0 ||
		!(f.Since.IsZero() && f.Until.IsZero() && f.EndedSince.IsZero() && f.EndedUntil.IsZero())
}

// ShowsDeleted reports whether deleted jobs are among those selected: only when asked for, or
// when named by number.
func (f *Filter) ShowsDeleted() bool {
	for _, s := range f.States {
		if s == Deleted {
			return true
		}
	}
	return len(f.IDs) > 0
}

// ParseSelector adds the selector words to f: "7", "3,5-8", "last", "all", or a job's key.
func ParseSelector(f *Filter, words ...string) error {
	parts := 0
	all := false
	for _, word := range words {
		for _, part := range strings.Split(word, ",") {
			parts++
			switch {
			case part == "":
				return selectorError(word)
			case part == "all":
				all = true // adds no condition
			case part == "last":
				f.Last = true
			case isRange(part):
				r, err := parseRange(part)
				if err != nil {
					return err
				}
				f.IDs = append(f.IDs, r)
			default:
				if CheckKey(part) != nil {
					return selectorError(word)
				}
				f.Keys = append(f.Keys, part)
			}
		}
	}
	if all && parts > 1 {
		return invalid("selector", fmt.Sprintf("all is given beside others: %s", strings.Join(words, " ")), "give all alone, or only the others")
	}
	return nil
}

// ParseID reads a job's number: digits without a sign, as a key never is.
func ParseID(s string) (id int64, ok bool) {
	if !digits(s) {
		return 0, false
	}
	id, err := strconv.ParseInt(s, 10, 64)
	return id, err == nil
}

// Check refuses an empty value in a list. It would select nothing or, where it is taken for a list
// that is not given, everything: a variable that is not set must do neither. Errors: Invalid, with
// the list's name in JSON as Field.
func (f *Filter) Check() error {
	for _, list := range []struct {
		field string
		empty bool
	}{
		{"keys", slices.Contains(f.Keys, "")}, {"states", slices.Contains(f.States, "")}, {"queues", slices.Contains(f.Queues, "")},
		{"types", slices.Contains(f.Types, "")}, {"tags", slices.Contains(f.Tags, "")}, {"reasons", slices.Contains(f.Reasons, "")},
	} {
		if list.empty {
			return invalid(list.field, list.field+" holds an empty value", "give a value, or leave it out to select by something else")
		}
	}
	for _, r := range f.Reasons {
		if !slices.Contains(Reasons, r) {
			return invalid("reasons", fmt.Sprintf("unknown reason %q", r), fmt.Sprintf("the reasons are %v", Reasons))
		}
	}
	if f.Sort != "" && !slices.Contains(Sorts, f.Sort) {
		return invalid("sort", fmt.Sprintf("unknown order %q", f.Sort), fmt.Sprintf("the orders are %v", Sorts))
	}
	return nil
}

// isRange reports whether s is made of digits, or of digits, a hyphen and digits.
func isRange(s string) bool {
	from, to, isPair := strings.Cut(s, "-")
	return digits(from) && (!isPair || digits(to))
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func parseRange(s string) (Range, error) {
	a, b, isPair := strings.Cut(s, "-")
	if !isPair {
		b = a
	}
	from, err1 := strconv.ParseInt(a, 10, 64)
	to, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil || from < 1 || to < from {
		return Range{}, selectorError(s)
	}
	return Range{From: from, To: to}, nil
}

func selectorError(s string) error {
	return invalid("selector", fmt.Sprintf("bad selector %q", s), `give numbers ("7", "3,5-8"), "last", "all" or a job's key`)
}
