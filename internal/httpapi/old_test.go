package httpapi_test

import (
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestOldSurface speaks as what was written for the Python service does.
func TestOldSurface(t *testing.T) {
	a := open(t)
	var j job.Job
	a.want(201, "POST", "/api/jobs", `{"job_class_name":"command","job_id":"nightly","command":["true"],"params":{"a":1}}`, &j)
	if j.Type != job.TypeCommand || j.Key != "nightly" || string(j.Params) != `{"a":1}` {
		t.Errorf("%+v", j)
	}
	a.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true}`, nil)
	a.want(200, "GET", "/api/jobs/nightly?wait=60", "", nil)
	var status struct {
		Status      string `json:"status"`
		TotalJobs   int    `json:"total_jobs"`
		RunningJobs *int   `json:"running_jobs"`
		Version     string `json:"version"`
	}
	a.want(200, "GET", "/api/status", "", &status)
	if status.Status != "running" || status.TotalJobs != 2 || status.RunningJobs == nil || *status.RunningJobs != 0 || status.Version == "" {
		t.Errorf("%+v", status)
	}
	a.refused(409, job.Conflict, "job_id", "POST", "/api/jobs", `{"job_id":"nightly","command":["true"]}`)
	a.refused(422, job.Invalid, "job_id", "POST", "/api/jobs", `{"job_id":"17","command":["true"]}`)
	a.refused(422, job.Invalid, "job_id", "POST", "/api/jobs", `{"job_id":"a","key":"b","command":["true"]}`)
	a.refused(422, job.Invalid, "job_class_name", "POST", "/api/jobs", `{"job_class_name":"shell","command":["true"]}`)
	a.refused(422, job.Invalid, "job_id", "POST", "/api/jobs", `{"job_id":17,"command":["true"]}`)
}
