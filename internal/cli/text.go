package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/queuemgr/queuemgr/job"
)

// printable shows s on one line of a terminal: what moves the cursor, changes the direction of
// text or is no UTF-8 is shown escaped.
func printable(s string) string {
	clean := utf8.ValidString(s)
	for _, r := range s {
		clean = clean && unicode.IsPrint(r)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[size:]
	}
	return b.String()
}

// printableLines is printable for text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// commandText shows what a job runs: its command as one would type it, or its type with its params.
func commandText(j *job.Job) string {
	if j.Type != "" && j.Type != job.TypeCommand && j.Type != job.TypeShell {
		return printable(strings.TrimSpace(j.Type + " " + string(j.Params)))
	}
	return argvText(j)
}

// argvText shows a job's command as one would type it.
func argvText(j *job.Job) string {
	if j.Type == job.TypeShell && len(j.Command) > 0 {
		return printable(j.Command[len(j.Command)-1])
	}
	words := make([]string, len(j.Command))
	for i, w := range j.Command {
		words[i] = printable(shellQuote(w))
	}
	return strings.Join(words, " ")
}

// shellQuote writes w as one word for a shell.
func shellQuote(w string) string {
	plain := w != ""
	for i := range len(w) {
		c := w[i]
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf || strings.IndexByte("-_./,:=@%+", c) >= 0)
	}
	if plain {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// ago says how long before now t was, "" for no time.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return ""
	case d < 0:
		return "in " + span(-d)
	case d < time.Second:
		return "just now"
	default:
		return span(d) + " ago"
	}
}

// span says a duration in one unit, rounded down.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// elapsed says a duration exactly enough to compare: "0.7 ms", "420 ms", "1.25 s", "12 s",
// "3m04s", "2h05m".
func elapsed(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", max(d, 0).Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// runTime is how long the job has run or ran, "" when it did not.
func runTime(now time.Time, j *job.Job) string {
	switch {
	case j.StartedAt.IsZero():
		return ""
	case !j.FinishedAt.IsZero():
		return elapsed(j.FinishedAt.Sub(j.StartedAt))
	case j.State.Live():
		return elapsed(now.Sub(j.StartedAt))
	}
	return ""
}

// outcome says in a few words how a job ended or why it waits.
func (a *app) outcome(j *job.Job) string {
	switch {
	case j.State.Waiting():
		return a.suggest(printable(strings.TrimPrefix(j.WaitReason, string(j.State)+": "))) // beside the state
	case j.State == job.Failed && j.Reason == job.ReasonExit && j.ExitCode != nil:
		return fmt.Sprintf("exit %d", *j.ExitCode)
	case j.State == job.Failed && j.Reason == job.ReasonSignal:
		return fmt.Sprintf("signal %d", j.Signal)
	case j.State == job.Failed && j.Reason == job.ReasonTimeout && strings.Contains(j.Error, "(watchdog)"):
		return "silent"
	case j.State == job.Failed && j.Reason == job.ReasonTimeout:
		return "time limit"
	case j.State == job.Failed && j.Reason == job.ReasonSpawn:
		return printable(j.Error)
	case j.State == job.Stopped && j.Reason == job.ReasonUser:
		return "" // the state says it
	case j.State.Live() && j.StatusText != "":
		return printable(j.StatusText)
	}
	return string(j.Reason)
}

// ending is outcome with the exit code or signal wherever one is known, also of a job that was
// stopped or hit its time limit.
func (a *app) ending(j *job.Job) string {
	how := a.outcome(j)
	code := ""
	switch {
	case !j.State.Ended() || j.State == job.Completed || j.Reason == job.ReasonSpawn:
		return how // there is no code, or none that says more
	case j.State == job.Failed && (j.Reason == job.ReasonExit || j.Reason == job.ReasonSignal):
		return how // it is the code
	case j.Signal > 0:
		code = fmt.Sprintf("signal %d", j.Signal)
	case j.ExitCode != nil:
		code = fmt.Sprintf("exit code %d", *j.ExitCode)
	}
	if how != "" && code != "" {
		how += ", "
	}
	return how + code
}

// firstLine returns text up to its first line feed.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// plural is "1 job", "2 jobs".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}
