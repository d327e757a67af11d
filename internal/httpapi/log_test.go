package httpapi_test

import (
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestLogRanges wants parts of a log with the headers that tell where they stand.
func TestLogRanges(t *testing.T) {
	a := open(t)
	a.want(201, "POST", "/api/jobs", `{"shell":"seq 1000"}`, nil) // 3893 bytes
	a.want(200, "GET", "/api/jobs/1?wait=60", "", nil)
	for query, want := range map[string]struct{ offset, text string }{
		"tail=2":                           {"3884", "999\n1000\n"},
		"offset=3888":                      {"3888", "1000\n"},
		"offset=3884&limit=4":              {"3884", "999\n"},
		"limit=2":                          {"0", "1\n"},
		"offset=9999":                      {"3893", ""},
		"tail=1&limit=1&download":          {"3888", "1"},
		"attempt=1&offset=0&tail=1&follow": {"3888", "1000\n"},
	} {
		resp, text := a.ask("GET", "/api/jobs/1/logs?"+query, "")
		h := resp.Header
		if text != want.text || h.Get("Log-Offset") != want.offset || h.Get("Log-Size") != "3893" || h.Get("Log-Attempt") != "1" {
			t.Errorf("%s: %q, offset %s, size %s, attempt %s", query, text, h.Get("Log-Offset"), h.Get("Log-Size"), h.Get("Log-Attempt"))
		}
	}
	if resp, _ := a.ask("GET", "/api/jobs/1/logs?download", ""); resp.Header.Get("Content-Disposition") != `attachment; filename="job-1.1.log"` {
		t.Errorf("a download: %v", resp.Header)
	}
	var hits job.LogHits
	a.want(200, "GET", "/api/jobs/1/logs?search=99&limit=3&from=3000&backwards=true", "", &hits)
	if len(hits.Hits) != 3 || hits.Hits[0].Line != "699" || hits.Hits[2].Line != "499" || hits.Next == nil {
		t.Errorf("%+v", hits)
	}
	a.refused(422, job.Invalid, "search", "GET", "/api/jobs/1/logs?search=", "")
	a.refused(422, job.Invalid, "tail", "GET", "/api/jobs/1/logs?search=x&tail=1", "")
	a.refused(422, job.Invalid, "from", "GET", "/api/jobs/1/logs?from=1", "")
	a.refused(422, job.Invalid, "from", "GET", "/api/jobs/1/logs?search=x&from=-1", "")
	a.refused(422, job.Invalid, "limit", "GET", "/api/jobs/1/logs?limit=1&follow", "")
}
