package queuemgr_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/queuemgr/queuemgr"

// rule says what the code of a package (not its tests) may import beside the standard library.
type rule struct {
	own  string // packages of this module, separated by spaces, without the module's path; "*" = all
	libs string // other modules' packages, by their beginning; "*" = all
}

// importLaw is the direction of imports: a lower layer never knows a higher one, adapters never
// know each other. The depguard rules in .golangci.yml say the same to editors.
var importLaw = map[string]rule{
	"": {own: "*", libs: "*"},

	"job":     {},
	"client":  {own: "job"},
	"jobtype": {own: "job"},

	"jobs":         {own: "jobtype", libs: "golang.org/x/sys"},
	"queuemgrtest": {own: "job jobtype internal/types"},

	"examples/myjob":     {own: ". jobtype"},
	"examples/customweb": {own: ". job"},

	"internal/store":           {own: "job"},
	"internal/store/sqlite":    {own: "job internal/regular internal/store", libs: "modernc.org/sqlite github.com/pressly/goose/v3 golang.org/x/sys"},
	"internal/store/jsonl":     {own: "job internal/store", libs: "golang.org/x/sys"},
	"internal/store/storetest": {own: "job internal/store", libs: "pgregory.net/rapid github.com/google/go-cmp"},

	"internal/scheduler":     {own: "job"},
	"internal/crashpoint":    {},
	"internal/hooks":         {own: "job internal/store"},
	"internal/joblog":        {libs: "golang.org/x/sys"},
	"internal/regular":       {},
	"internal/flock":         {own: "internal/regular"},
	"internal/runas":         {},
	"internal/runner":        {own: "internal/runner/wire internal/runas internal/crashpoint", libs: "golang.org/x/sys"},
	"internal/runner/wire":   {},
	"internal/runner/launch": {},

	"internal/engine":            {own: "job internal/store internal/scheduler internal/runner/wire internal/joblog internal/crashpoint"},
	"internal/engine/enginetest": {own: "job internal/engine internal/runner internal/runner/launch internal/servicetest internal/store/sqlite", libs: "go.uber.org/goleak"},

	"internal/auth":          {own: "job internal/store"},
	"internal/auth/authtest": {own: "job internal/auth internal/engine/enginetest"},

	"internal/metrics":             {own: "job"},
	"internal/metrics/metricstest": {},

	"internal/config":      {own: "job internal/regular", libs: "github.com/pelletier/go-toml/v2 golang.org/x/sys"},
	"internal/httpapi":     {own: "job", libs: "github.com/danielgtaylor/huma/v2 golang.org/x/sys"},
	"internal/install":     {own: "job internal/regular internal/systemd packaging", libs: "github.com/aymanbagabas/go-udiff golang.org/x/sys"},
	"internal/tcp":         {},
	"internal/doctor":      {own: "job internal/config internal/flock internal/install internal/regular internal/runas internal/systemd", libs: "golang.org/x/sys"},
	"internal/cli":         {own: "job client internal/config internal/doctor internal/flock internal/install internal/joblog internal/runner/launch internal/runner/wire internal/systemd internal/tcp", libs: "github.com/spf13 golang.org/x/term golang.org/x/sys"},
	"internal/systemd":     {libs: "github.com/coreos/go-systemd/v22"},
	"internal/types":       {own: "job jobtype internal/config internal/regular", libs: "github.com/google/jsonschema-go github.com/pelletier/go-toml/v2"},
	"internal/servicetest": {own: "job", libs: "github.com/google/go-cmp"},

	"cmd/queuemgr":        {own: "."},
	"cmd/queuemgr-runner": {own: "internal/runner"},

	"packaging": {},
	"web":       {},

	// Tools around the product: they use it as its users do.
	"bench":            {own: "job internal/runner/wire internal/store internal/store/sqlite test/harness", libs: "golang.org/x/sys"},
	"bench/bareclient": {},
	"demo":             {own: "job test/harness"},
	"test/harness":     {libs: "golang.org/x/sys"},
	"scripts/testrun":  {},

	"test/systemd/wire":   {},
	"test/systemd/agent":  {own: "test/systemd/wire", libs: "golang.org/x/sys"},
	"test/systemd/keeper": {libs: "golang.org/x/sys"},
	"test/systemd/guest":  {own: "test/harness test/systemd/wire", libs: "golang.org/x/sys"},
}

func TestImportLaw(t *testing.T) {
	for pkg, list := range imports(t) {
		r, ok := importLaw[pkg]
		if !ok {
			t.Errorf("package %q has no rule in importLaw: say what it may import", pkg)
			continue
		}
		for _, imp := range list {
			if !r.allows(imp) {
				t.Errorf("package %q must not import %q", pkg, imp)
			}
		}
	}
}

func (r rule) allows(imp string) bool {
	if imp == module || strings.HasPrefix(imp, module+"/") {
		name := strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
		if name == "" {
			name = "."
		}
		return r.own == "*" || slices.Contains(strings.Fields(r.own), name)
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	if r.libs == "*" {
		return true
	}
	return slices.ContainsFunc(strings.Fields(r.libs), func(lib string) bool {
		return imp == lib || strings.HasPrefix(imp, lib+"/")
	})
}

// imports returns what each package of the module that has code imports.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,GoFiles,Imports", "./...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	all := map[string][]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			GoFiles    []string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list's JSON: %v", err)
		}
		if len(p.GoFiles) > 0 { // a package of tests alone is under no law
			all[strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")] = p.Imports
		}
	}
}
