package jobtype

// Run is one run of a job.
type Run struct{}
