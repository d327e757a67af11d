package httpapi

import (
	"errors"
	"fmt"

	"github.com/queuemgr/queuemgr/job"
)

// What the Python service of the same name answered and took, for what was written for it.

// statusAnswer is the status with its fields.
type statusAnswer struct {
	job.Status
	State       string `json:"status"`
	TotalJobs   int64  `json:"total_jobs"`
	RunningJobs int    `json:"running_jobs"`
}

func answerStatus(s *job.Status) statusAnswer {
	a := statusAnswer{Status: *s, State: "running", RunningJobs: s.Runner.Running}
	for _, n := range s.Jobs {
		a.TotalJobs += n
	}
	return a
}

// oldSpec is a spec that may have its names for the type and the key.
type oldSpec struct {
	job.Spec
	JobClassName string `json:"job_class_name"`
	JobID        string `json:"job_id"`
}

// spec returns what the names of both mean.
func (o *oldSpec) spec() (job.Spec, error) {
	for _, f := range []struct {
		old, name string
		given     string
		to        *string
	}{{"job_class_name", "type", o.JobClassName, &o.Type}, {"job_id", "key", o.JobID, &o.Key}} {
		if f.given == "" {
			continue
		}
		if *f.to != "" && *f.to != f.given {
			return o.Spec, &job.Error{Code: job.Invalid, Field: f.old, Message: fmt.Sprintf("%s is %q and %s is %q", f.old, f.given, f.name, *f.to),
				Hint: f.old + " is another name of " + f.name + ": give one of them"}
		}
		*f.to = f.given
	}
	return o.Spec, nil
}

// named makes an error about the type or the key one about the name that was used for it.
func (o *oldSpec) named(err error) error {
	e := (*job.Error)(nil)
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Field == "key" && o.JobID != "":
		return inField(err, "job_id")
	case e.Field == "type" && o.JobClassName != "":
		return inField(err, "job_class_name")
	}
	return err
}
