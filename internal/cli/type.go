package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

func newTypeCommand(a *app) *cobra.Command {
	return group("type", "look at job types and their parameters", newTypeListCommand(a), newTypeShowCommand(a))
}

func newTypeListCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list job types",
		Long: "Lists what --type of job add may be: types that are built in, that this program registers in Go, and those of files in types.d.\n" +
			"One with a mistake in its file is listed with it; no job of it can be added.\n\n" + exitCodesHelp,
		Example: "  queuemgr type list\n  queuemgr type list --json | jq '.[].name'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTypeList(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func runTypeList(ctx context.Context, a *app, asJSON bool) error {
	svc, err := a.svc()
	if err != nil {
		return err
	}
	types, err := svc.Types(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(types)
	}
	t := &table{columns: []column{{title: "TYPE"}, {title: "QUEUE", spare: 2}, {title: "FROM", spare: 1}, {title: "DESCRIPTION", cut: true}}}
	for i := range types {
		y := &types[i]
		about := firstLine(y.Description)
		if y.Problem != "" {
			about = "can't be added: " + y.Problem
		}
		t.add(printable(y.Name), printable(y.Queue), printable(y.Source), printable(about))
	}
	return t.write(a.Stdout, a.width())
}

func newTypeShowCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "show TYPE",
		Short:             "show a job type and what its parameters may be",
		Long:              "Shows a job type: where it comes from, what its jobs have unless they say otherwise, and its parameters.\n\n" + exitCodesHelp,
		Example:           "  queuemgr type show http\n  queuemgr type show files --json | jq .schema",
		Args:              oneArg("type name"),
		ValidArgsFunction: a.completeTypes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTypeShow(cmd.Context(), a, args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the type as JSON, with the schema of its params")
	return cmd
}

func runTypeShow(ctx context.Context, a *app, name string, asJSON bool) error {
	svc, err := a.svc()
	if err != nil {
		return err
	}
	t, err := svc.Type(ctx, name)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(t)
	}
	as := &job.Job{Timeout: t.Timeout, Grace: t.Grace, StopSignal: t.StopSignal, Watchdog: t.Watchdog, SuccessCodes: t.SuccessCodes}
	for _, l := range [][2]string{
		{"Type", printable(t.Name)}, {"Problem", printable(t.Problem)}, {"About", printableLines(t.Description)}, {"From", printable(t.Source)},
		{"Command", argvText(&job.Job{Command: t.Command})}, {"Queue", printable(t.Queue)}, {"Time limit", limit(as.Timeout)}, {"Stopped by", stoppedBy(as)},
		{"If lost", string(t.OnLost)}, {"Watchdog", watchdog(as)}, {"Succeeds", successCodes(as)}, {"Secret", printable(strings.Join(t.Secret, ", "))},
	} {
		if l[1] == "" {
			continue
		}
		if err := a.print("%-11s %s\n", l[0]+":", l[1]); err != nil {
			return err
		}
	}
	if err := a.printParams(t.Schema); err != nil || len(t.Example) == 0 || t.Problem != "" {
		return err
	}
	var example bytes.Buffer
	if err := json.Compact(&example, t.Example); err != nil {
		return fmt.Errorf("the example of type %s: %w", t.Name, err)
	}
	return a.print("\nExample\n  queuemgr job add --type %s --params %s\n", t.Name, shellQuote(example.String()))
}

// paramSchema is what is shown of the schema of one parameter. Whoever needs all of it has --json.
type paramSchema struct {
	Type        any             `json:"type"` // a word or a list of words
	Description string          `json:"description"`
	Default     json.RawMessage `json:"default"`
	Enum        []any           `json:"enum"`
}

// printParams shows the members that a schema names, one a row.
func (a *app) printParams(schema json.RawMessage) error {
	if len(schema) == 0 {
		return nil
	}
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if err := json.Unmarshal(schema, &s); err != nil || len(s.Properties) == 0 {
		return a.print("\nParams as this JSON Schema says\n  %s\n", printable(string(schema)))
	}
	required := map[string]bool{}
	for _, name := range s.Required {
		required[name] = true
	}
	t := &table{columns: []column{{title: "PARAM"}, {title: "IS"}, {title: "NEEDED"}, {title: "DEFAULT", spare: 1}, {title: "DESCRIPTION", cut: true}}}
	names := slices.SortedFunc(maps.Keys(s.Properties), func(a, b string) int {
		if required[a] != required[b] {
			return map[bool]int{true: -1, false: 1}[required[a]] // those that must be given first
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		var p paramSchema
		_ = json.Unmarshal(s.Properties[name], &p) // true and false are schemas, too: of those there is nothing to show
		needed := ""
		if required[name] {
			needed = "yes"
		}
		t.add(printable(name), printable(p.kind()), needed, printable(string(p.Default)), printable(firstLine(p.Description)))
	}
	if err := a.print("\n"); err != nil {
		return err
	}
	return t.write(a.Stdout, a.width())
}

// kind says which values a parameter may have.
func (p *paramSchema) kind() string {
	if len(p.Enum) > 0 {
		return alternatives(p.Enum)
	}
	switch t := p.Type.(type) {
	case string:
		return t
	case []any:
		return alternatives(t)
	}
	return ""
}

func alternatives(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, "|")
}
