package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestEveryOperationAnswers asks each operation of the served document, and wants the status and
// type that the document promises, and fields that it knows.
func TestEveryOperationAnswers(t *testing.T) {
	a := open(t)
	var doc struct {
		OpenAPI    string
		Info       struct{ Version string }
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]schema }
	}
	a.want(200, "GET", "/api/openapi.json", "", &doc)
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != "test" {
		t.Errorf("OpenAPI %s of %s", doc.OpenAPI, doc.Info.Version)
	}
	bodies := map[string]string{
		"addJobs": `{"shell":"true"}`, "actOnJobs": `{"action":"hold","filter":{"keys":["nosuch"]}}`,
		"addQueue": `{"name":"q"}`, "setQueue": `{"paused":true}`, "watchFeed": `{"jobs":[1]}`, "shutdown": `{"keep_jobs":true}`, "addToken": `{"name":"ci","role":"viewer","expires_in":"30d"}`,
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for method, op := range doc.Paths[path] {
			if op.OperationID == "shutdown" || op.OperationID == "logIn" {
				continue // last; and over TCP alone
			}
			id := a.jobFor(op.OperationID)
			url := strings.ReplaceAll(path, "{id}", strconv.FormatInt(id, 10))
			if op.OperationID == "retryHookDelivery" {
				url = strings.ReplaceAll(path, "{id}", strconv.FormatInt(a.delivery(), 10))
			}
			if op.OperationID == "deleteToken" {
				var made job.Token
				a.want(201, "POST", "/api/tokens", `{"name":"gone","role":"viewer"}`, &made)
				url = strings.ReplaceAll(url, "{token}", made.ID)
			}
			if op.OperationID == "deleteQueue" || op.OperationID == "setQueue" {
				a.ask("POST", "/api/queues", `{"name":"own"}`)
			}
			if op.OperationID == "watchFeed" {
				url = strings.ReplaceAll(url, "{feed}", a.feed().Feed)
			}
			if op.OperationID == "getType" {
				url = strings.ReplaceAll(url, "{name}", job.TypeCommand)
			}
			url = strings.ReplaceAll(url, "{name}", map[bool]string{true: "own", false: "default"}[op.OperationID == "deleteQueue" || op.OperationID == "setQueue"])
			op.check(a, strings.ToUpper(method), url, bodies[op.OperationID], doc.Components.Schemas)
		}
	}
	shutdown := doc.Paths["/api/daemon/shutdown"]["post"]
	shutdown.check(a, "POST", "/api/daemon/shutdown", bodies["shutdown"], nil)
}

type operation struct {
	OperationID string
	Responses   map[string]struct {
		Content map[string]struct{ Schema schema }
	}
}

type schema struct {
	Ref        string `json:"$ref"`
	Properties map[string]schema
	OneOf      []schema
	Required   []string
}

// schemaOf returns the name of the schema that s refers to.
func schemaOf(s schema) string { return strings.TrimPrefix(s.Ref, "#/components/schemas/") }

// jobFor returns a job in a state that the operation is for.
func (a *api) jobFor(operation string) int64 {
	body := `{"shell":"true","hold":true}`
	if operation == "readLog" || operation == "listAttempts" {
		body = `{"shell":"echo x"}`
	}
	var j job.Job
	a.want(201, "POST", "/api/jobs", body, &j)
	if operation == "readLog" {
		a.want(200, "GET", fmt.Sprintf("/api/jobs/%d?wait=60", j.ID), "", nil)
	}
	return j.ID
}

func (op operation) check(a *api, method, url, body string, schemas map[string]schema) {
	a.Helper()
	if op.OperationID == "streamEvents" || op.OperationID == "openFeed" {
		resp := answer(a.T, dial(a.T, a.socket, get(url)))
		if _, ok := op.Responses["200"].Content[resp.Header.Get("Content-Type")]; !ok {
			a.Errorf("%s: %s", url, resp.Header.Get("Content-Type"))
		}
		return
	}
	resp, text := a.ask(method, url, body)
	promised, ok := op.Responses[strconv.Itoa(resp.StatusCode)]
	if !ok || resp.StatusCode > 299 {
		a.Errorf("%s %s: %s is not promised: %s", method, url, resp.Status, text)
		return
	}
	if len(promised.Content) == 0 {
		if text != "" {
			a.Errorf("%s %s: answered %q, promised nothing", method, url, text)
		}
		return
	}
	content, ok := promised.Content[resp.Header.Get("Content-Type")]
	if !ok {
		a.Errorf("%s %s: type %s is not promised", method, url, resp.Header.Get("Content-Type"))
		return
	}
	var fields map[string]json.RawMessage
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&fields); err != nil {
		if err != io.EOF && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/") {
			a.Errorf("%s %s: %v", method, url, err)
		}
		return
	}
	known := schemas[schemaOf(content.Schema)]
	if len(known.OneOf) > 0 {
		known = schemas[schemaOf(known.OneOf[0])]
	}
	if known.Properties == nil {
		return // the document itself
	}
	for name := range fields {
		if _, ok := known.Properties[name]; !ok {
			a.Errorf("%s %s: the field %s is not in the document", method, url, name)
		}
	}
	for _, name := range known.Required {
		if _, ok := fields[name]; !ok {
			a.Errorf("%s %s: the field %s is missing", method, url, name)
		}
	}
}
