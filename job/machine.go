package job

import "context"

// MachineService tells of the machine that the daemon runs on.
type MachineService interface {
	// Machine returns its load and what is free of it now.
	Machine(ctx context.Context) (*Machine, error)
}

// Machine is how busy a machine is. Sizes are bytes.
type Machine struct {
	Load            [3]float64 `json:"load"` // processes that run or wait for it, over 1, 5 and 15 minutes
	CPUs            int        `json:"cpus"`
	MemoryTotal     int64      `json:"memory_total"`
	MemoryAvailable int64      `json:"memory_available"` // without swapping
	DiskFree        int64      `json:"disk_free"`        // where the jobs' logs are
	DiskTotal       int64      `json:"disk_total"`
}
