package job

import (
	"context"
	"encoding/json"
)

// Type is what a job is: how its process comes about, and what its parameters may be.
type Type struct {
	Name        string `json:"name"` // as CheckTypeName
	Description string `json:"description,omitempty"`
	// Source says where the type comes from: "built in", "program" (registered in Go), or the path of
	// its file in types.d.
	Source string `json:"source"`
	// Schema is the JSON Schema (2020-12) of Params, an object; nil for command and shell.
	Schema json.RawMessage `json:"schema,omitempty"`
	// Example are parameters that Schema accepts; nil = none given.
	Example json.RawMessage `json:"example,omitempty"`
	// Secret are the names of members of Params that are shown nowhere.
	Secret []string `json:"secret,omitempty"`
	// Command is the template of a type of types.d, with its placeholders; nil otherwise.
	Command []string `json:"command,omitempty"`

	// What a job of this type has unless it says otherwise; zero = as for every job.
	Queue        string   `json:"queue,omitempty"`
	Timeout      Duration `json:"timeout,omitempty"`
	Grace        Duration `json:"grace,omitempty"`
	StopSignal   string   `json:"stop_signal,omitempty"`
	OnLost       OnLost   `json:"on_lost,omitempty"`
	Watchdog     Duration `json:"watchdog,omitempty"`      // a job that says nothing for so long is stopped; 0 = none
	SuccessCodes []int    `json:"success_codes,omitempty"` // exit codes besides 0 that count as completed

	Hooks []Hook `json:"hooks,omitempty"` // told of the events of every job of this type

	// Problem is why no job of this type can be added now: a mistake in its file. "" = none.
	Problem string `json:"problem,omitempty"`
}

// TypeService is what is done with job types.
type TypeService interface {
	// Types returns all types by name.
	Types(ctx context.Context) ([]Type, error)
	// Type returns one. Errors: NotFound, with the nearest name.
	Type(ctx context.Context, name string) (*Type, error)
}

// Redacted stands in a record for the value of a secret parameter.
const Redacted = "(secret)"
