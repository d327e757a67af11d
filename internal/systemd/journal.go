package systemd

import (
	"context"
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// JournalWanted reports whether standard error is the journal: then it is better spoken to directly,
// with fields, than by lines of text.
func JournalWanted() bool {
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}

// JournalHandler is a slog.Handler that writes to the journal. Attributes become fields: "job" is
// JOB_ID, as `journalctl JOB_ID=7` asks for it, any other its name in capitals. The message has
// them too, so that it can be read by itself.
type JournalHandler struct {
	level  slog.Leveler
	text   []slog.Attr // of With, with their groups' names
	prefix string      // of the groups that are open
	send   func(message string, p journal.Priority, fields map[string]string) error
}

// NewJournalHandler returns a handler for what is at least as important as level.
func NewJournalHandler(level slog.Leveler) *JournalHandler {
	return &JournalHandler{level: level, send: journal.Send}
}

// Enabled implements slog.Handler.
func (h *JournalHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h *JournalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.text = append([]slog.Attr(nil), h.text...)
	for _, a := range attrs {
		more.text = appendFlat(more.text, h.prefix, a)
	}
	return &more
}

// WithGroup implements slog.Handler.
func (h *JournalHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	more := *h
	more.prefix += name + "."
	return &more
}

// Handle implements slog.Handler.
func (h *JournalHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := append([]slog.Attr(nil), h.text...)
	r.Attrs(func(a slog.Attr) bool {
		attrs = appendFlat(attrs, h.prefix, a)
		return true
	})
	var message strings.Builder
	message.WriteString(r.Message)
	fields := make(map[string]string, len(attrs)+1)
	for _, a := range attrs {
		value := a.Value.String()
		if name := fieldName(a.Key); name != "" {
			fields[name] = value
		}
		message.WriteString(" " + a.Key + "=" + quoted(value))
	}
	return h.send(message.String(), priority(r.Level), fields)
}

// appendFlat appends a, or what is in it where it is a group, under its whole name.
func appendFlat(to []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, in := range a.Value.Group() {
			to = appendFlat(to, prefix, in)
		}
		return to
	}
	if a.Equal(slog.Attr{}) {
		return to
	}
	a.Key = prefix + a.Key
	return append(to, a)
}

// fieldName returns the journal's field for an attribute, "" where it can have none: fields are of
// A-Z, 0-9 and _, at most 64 of them, and do not begin with _ or a digit (systemd.journal-fields(7)).
func fieldName(key string) string {
	if key == "job" {
		return "JOB_ID"
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
	name = strings.TrimLeft(name, "_0123456789")
	switch name {
	case "MESSAGE", "PRIORITY":
		return "" // are set already
	}
	return name[:min(len(name), 64)]
}

// quoted returns value as slog's text has it.
func quoted(value string) string {
	if value == "" || strings.ContainsAny(value, " \t\n\"=") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(value) + `"`
	}
	return value
}

// priority returns syslog's number for a level.
func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
