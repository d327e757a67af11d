package e2e

import (
	"net/http"
	"testing"

	"github.com/queuemgr/queuemgr/internal/metrics/metricstest"
)

// TestMetrics reads /metrics of a daemon with real jobs, as strictly as the format has it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	c := h.HTTP()
	defer c.CloseIdleConnections()
	read := func() map[string]*metricstest.Family {
		t.Helper()
		text := h.ask(c, http.MethodGet, "/metrics", "", http.StatusOK, "text/plain; version=0.0.4; charset=utf-8")
		families, err := metricstest.Parse(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		return families
	}
	h.must("queue", "add", "other", "--paused")
	h.add("--queue", "other", "--", "true")
	h.wait(h.add("--", "true"))
	h.wait(h.add("--", "sh", "-c", "exit 3"))
	h.wait(h.add("--", "/no/such/program"))
	h.must("job", "start", "2") // a new attempt, a new end
	h.wait(2)
	h.ask(c, http.MethodGet, "/api/stats", "", http.StatusOK, "") // answered after the step that recorded the last end
	families := read()
	for name, samples := range map[string]map[string]float64{
		"queuemgr_jobs":                {`{queue="other",state="queued"}`: 1, `{queue="default",state="completed"}`: 1, `{queue="default",state="failed"}`: 2},
		"queuemgr_queue_paused":        {`{queue="other"}`: 1, `{queue="default"}`: 0},
		"queuemgr_jobs_ended_total":    {`{reason="",state="completed"}`: 2, `{reason="exit",state="failed"}`: 1, `{reason="spawn",state="failed"}`: 1},
		"queuemgr_queue_wait_seconds":  {"_count": 3, `_bucket{le="+Inf"}`: 3},
		"queuemgr_start_delay_seconds": {"_count": 3},
		"queuemgr_runner_up":           {"": 1}, "queuemgr_problems": {"": 0}, "queuemgr_feeds": {"": 0},
	} {
		for key, want := range samples {
			if got, ok := families[name].Samples[key]; !ok || got != want {
				t.Errorf("%s%s is %v (there: %v), want %v", name, key, got, ok, want)
			}
		}
	}
	for _, name := range []string{"queuemgr_build_info", "queuemgr_start_time_seconds", "queuemgr_disk_free_bytes", "go_goroutines"} {
		for key, v := range families[name].Samples {
			if v < 1 {
				t.Errorf("%s%s is %v", name, key, v)
			}
		}
	}
	if sum := families["queuemgr_queue_wait_seconds"].Samples["_sum"]; sum <= 0 || sum > 60 {
		t.Errorf("all together waited %v s", sum)
	}
}
