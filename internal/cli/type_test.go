package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

func TestTypeParams(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{"those that must be given first", `{"type":"object","required":["url"],"properties":{
			"method":{"type":"string","enum":["GET","POST"],"default":"GET"},"body":{"type":["string","null"],"description":"What is sent.\nAs it is."},
			"url":{"type":"string","description":"Whom to ask."},"any":true}}`, `
PARAM   IS           NEEDED  DEFAULT  DESCRIPTION
url     string       yes              Whom to ask.
any
body    string|null                   What is sent.
method  GET|POST             "GET"
`},
		{"a schema that names none", `{"type":"object","minProperties":1}`, `
Params as this JSON Schema says
  {"type":"object","minProperties":1}
`},
		{"no schema", ``, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, out := testApp()
			if err := a.printParams(json.RawMessage(c.schema)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				got = append(got, strings.TrimRight(line, " \n"))
			}
			if text := strings.Join(got, "\n"); strings.TrimSpace(text) != strings.TrimSpace(c.want) {
				t.Errorf("got:\n%s\nwant:\n%s", text, c.want)
			}
		})
	}
}

// TestReportedJob shows what a job says of itself, and to nobody's terminal what it should not.
func TestReportedJob(t *testing.T) {
	a, out := testApp()
	p := 45
	j := &job.Job{ID: 7, Type: "resize", Queue: "default", State: job.Running, Command: []string{"/opt/q", "_job", "resize"}, Params: json.RawMessage(`{"in":"a.png"}`),
		CreatedAt: at, StartedAt: at, Progress: &p, StatusText: "file 9\x1b[2J", Result: json.RawMessage(`{"width":1920}`),
		Notes: []string{"a result that is not JSON", "3 more of what it sent was refused"}, Watchdog: job.Duration(30 * time.Second)}
	if err := a.writeJob(out, j, nil); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Progress:   [####------] 45 %\n", `Status:     file 9\x1b[2J` + "\n", `Result:     {"width":1920}` + "\n", "Type:       resize\n", `Params:     {"in":"a.png"}` + "\n",
		"Command:    /opt/q _job resize\n", "Note:       a result that is not JSON\n", "Note:       3 more of what it sent was refused\n", "Watchdog:   stopped when silent for 30 s\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("lacks %q:\n%s", line, out)
		}
	}
	other := &job.Job{ID: 8, Type: job.TypeCommand, Queue: "default", State: job.Running, Command: []string{"true"}, CreatedAt: at, StartedAt: at}
	for name, c := range map[string]struct {
		table *table
		want  string
	}{
		"list":     {a.jobTable([]*job.Job{j, other}), "45 %"},
		"overview": {a.liveTable([]*job.Job{j, other}), "[####------] 45 %"},
	} {
		out.Reset()
		if err := c.table.write(out, 0); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		if !strings.Contains(lines[0], "DONE") || !strings.Contains(lines[1], c.want) || !strings.Contains(lines[1], `resize {"in":"a.png"}`) {
			t.Errorf("%s:\n%s", name, out)
		}
	}
	out.Reset()
	if err := a.jobTable([]*job.Job{other}).write(out, 0); err != nil || strings.Contains(out.String(), "DONE") {
		t.Errorf("a column for a progress that nobody reports: %v\n%s", err, out)
	}
	j.State, j.Reason, j.Error = job.Failed, job.ReasonTimeout, "was silent for 30s (watchdog)"
	if how := a.ending(j); how != "silent" {
		t.Errorf("ended: %q", how)
	}
}
