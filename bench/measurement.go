package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// measurement is one thing that is measured in every round, or once.
type measurement struct {
	name string
	once bool
	run  func(context.Context, *bench) error
}

// measurements in the order of a round. The C loop runs before, between and after the subjects
// that are compared with it.
var measurements = []measurement{
	{name: "c-loop", run: measureLoop},
	{name: "runner", run: measureRunner},
	{name: "c-loop", run: measureLoop},
	{name: "bulk-run", run: measureBulkRun},
	{name: "c-loop", run: measureLoop},
	{name: "go-loop", run: measureGoLoop},
	{name: "task-spooler", run: measureTaskSpooler},
	{name: "process-run", run: measureProcessRun},
	{name: "latency", run: measureLatency},
	{name: "adds", run: measureAdds},
	{name: "floor", run: measureFloor},
	{name: "bulk-add", run: measureBulkAdd},
	{name: "type-adds", run: measureTypeAdds},
	{name: "add-process", run: measureAddProcess},
	{name: "idle", run: measureIdle},
	{name: "running", once: true, run: measureRunning},
	{name: "records", once: true, run: measureRecords},
}

func measurementNames() string {
	var names []string
	for _, m := range measurements {
		if !slices.Contains(names, m.name) {
			names = append(names, m.name)
		}
	}
	return strings.Join(names, ", ")
}

// choose returns the measurements of a comma list, all for an empty one.
func choose(only string) ([]measurement, error) {
	if only == "" {
		return measurements, nil
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		if !slices.ContainsFunc(measurements, func(m measurement) bool { return m.name == name }) {
			return nil, fmt.Errorf("unknown measurement %q: there are %s", name, measurementNames())
		}
	}
	var chosen []measurement
	for _, m := range measurements {
		if slices.Contains(names, m.name) {
			chosen = append(chosen, m)
		}
	}
	return chosen, nil
}
