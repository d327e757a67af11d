package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

type openAPIDoc struct {
	Paths      map[string]map[string]struct{ OperationID string }
	Components struct {
		Schemas map[string]struct {
			Description string
			Properties  map[string]struct {
				Description string
				Ref         string `json:"$ref"`
			}
		}
	}
}

var update = flag.Bool("update", false, "write openapi.json anew")

// TestDocument holds the file to what the routes and types make.
func TestDocument(t *testing.T) {
	made, err := document(New(Options{}).routes)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made, openAPI) {
		t.Error("openapi.json is not what the routes make: go generate ./internal/httpapi")
	}
}

// TestDocumentIsWhole holds the document to the routes, and the descriptions to the types.
func TestDocumentIsWhole(t *testing.T) {
	h := New(Options{})
	var doc openAPIDoc
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, methods := range doc.Paths {
		operations += len(methods)
	}
	if operations != len(h.routes) {
		t.Errorf("%d operations in the document, %d routes", operations, len(h.routes))
	}
	var ids []string
	for _, rt := range h.routes {
		if got := doc.Paths[rt.path][strings.ToLower(rt.method)].OperationID; got != rt.id {
			t.Errorf("%s %s is called %q in the document, want %q", rt.method, rt.path, got, rt.id)
		}
		if slices.Contains(ids, rt.id) {
			t.Errorf("two operations are called %s", rt.id)
		}
		ids = append(ids, rt.id)
	}
	used := map[string]bool{}
	for name, schema := range doc.Components.Schemas {
		if schema.Description == "" {
			t.Errorf("schema %s has no description", name)
		}
		for field, p := range schema.Properties {
			if p.Description == "" && p.Ref == "" {
				t.Errorf("%s.%s has no description", name, field)
			}
			if _, own := fieldAbout[name+"."+field]; own {
				used[name+"."+field] = true
			} else {
				used["."+field] = true
			}
		}
	}
	for key := range fieldAbout {
		if !used[key] {
			t.Errorf("the description of %q describes nothing", key)
		}
	}
	for key := range typeAbout {
		if _, ok := doc.Components.Schemas[key]; !ok {
			t.Errorf("the description of %s describes nothing", key)
		}
	}
}

// TestEverythingHasAnExample wants an example of each body, each answer and each parameter that is not
// one of some words, yes or no. The linter (web/test/openapi.mjs) holds them to their schemas.
func TestEverythingHasAnExample(t *testing.T) {
	type content map[string]struct{ Examples map[string]any }
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Parameters  []struct {
				Name     string
				Example  any
				Examples map[string]any
				Schema   struct {
					Type string
					Enum []any
				}
			}
			RequestBody struct{ Content content }
			Responses   map[string]struct{ Content content }
		}
		Components struct {
			Responses map[string]struct{ Content content }
		}
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	whole := func(where string, c content) {
		for kind, media := range c {
			if len(media.Examples) == 0 {
				t.Errorf("%s, %s: no example", where, kind)
			}
		}
	}
	for _, methods := range doc.Paths {
		for _, op := range methods {
			whole("the body of "+op.OperationID, op.RequestBody.Content)
			for status, answer := range op.Responses {
				whole("the answer "+status+" of "+op.OperationID, answer.Content)
			}
			for _, p := range op.Parameters {
				if p.Example == nil && len(p.Examples) == 0 && len(p.Schema.Enum) == 0 && p.Schema.Type != "boolean" {
					t.Errorf("the parameter %s of %s has no example", p.Name, op.OperationID)
				}
			}
		}
	}
	for name, answer := range doc.Components.Responses {
		whole("the answer "+name, answer.Content)
	}
}

// TestEveryRouteHasARole keeps a new route from being open by mistake: it says who may ask, or that
// everybody may.
func TestEveryRouteHasARole(t *testing.T) {
	for _, rt := range New(Options{}).routes {
		if rt.open == (rt.role != "") || rt.role != "" && !slices.Contains(job.LoginRoles, rt.role) {
			t.Errorf("%s %s: role %q, open %v", rt.method, rt.path, rt.role, rt.open)
		}
		if (rt.bare == nil) != (rt.bareTo == nil) || rt.open && rt.bare != nil {
			t.Errorf("%s %s answers without a login, and does not say whom", rt.method, rt.path)
		}
	}
}
