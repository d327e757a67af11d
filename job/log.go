package job

import (
	"context"
	"fmt"
)

// LogSearchService looks for text in what jobs wrote.
type LogSearchService interface {
	// SearchLog returns the next lines of a log that hold a text, and where to go on: one call reads
	// no more than a few MiB. Errors: NotFound, Invalid (Field).
	SearchLog(ctx context.Context, id int64, s LogSearch) (LogHits, error)
}

// Bounds of LogSearch.
const (
	MaxLogText     = 1000 // bytes of Text
	MaxLogHits     = 1000
	DefaultLogHits = 100
)

// LogSearch says what to look for in which log, and from where on.
type LogSearch struct {
	Attempt    int    `json:"attempt,omitempty"` // 0 = the newest
	Stream     string `json:"stream,omitempty"`  // as LogOptions
	Text       string `json:"text"`              // without a line break; empty only with Errors
	Errors     bool   `json:"errors,omitempty"`  // lines that look like an error (words as error, failed, panic), in place of Text
	IgnoreCase bool   `json:"ignore_case,omitempty"`
	From       *int64 `json:"from,omitempty"`      // where to begin, in bytes; nil = the beginning, or the end of the log
	Backwards  bool   `json:"backwards,omitempty"` // towards the beginning, only what ends before From
	Limit      int    `json:"limit,omitempty"`     // most hits; 0 = DefaultLogHits
}

// LogHits are lines that hold a text, in the order they were met.
type LogHits struct {
	Hits []LogHit `json:"hits"`
	Next *int64   `json:"next,omitempty"` // From of the next call; nil = all is searched
}

// LogHit is one line that holds a text.
type LogHit struct {
	Offset int64  `json:"offset"` // of the line's first byte, or that of Line where the line is very long
	Match  int64  `json:"match"`  // of the text's first byte
	Line   string `json:"line"`   // the line around the text; bytes that are no UTF-8 are replaced
}

// Check refuses what can't be looked for. Errors: Invalid.
func (s *LogSearch) Check() error {
	switch {
	case s.Errors && s.Text != "":
		return invalid("errors", "errors and a text are looked for at once", "give one of errors and search")
	case s.Text == "" && !s.Errors:
		return invalid("search", "there is nothing to look for", "give a text")
	case len(s.Text) > MaxLogText:
		return invalid("search", fmt.Sprintf("the text to look for is %d bytes long", len(s.Text)), fmt.Sprintf("at most %d", MaxLogText))
	case s.Limit < 0 || s.Limit > MaxLogHits:
		return invalid("limit", fmt.Sprintf("limit %d is out of range", s.Limit), fmt.Sprintf("from 1 to %d; more come with from=next", MaxLogHits))
	case s.From != nil && *s.From < 0:
		return invalid("from", fmt.Sprintf("from %d is below zero", *s.From), "give a byte offset")
	}
	for i := range len(s.Text) {
		if s.Text[i] == '\n' {
			return invalid("search", "the text to look for has a line break", "a hit is one line: look for a part of it")
		}
	}
	return nil
}
