package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/queuemgr/queuemgr/job"
)

const typeJSON = "application/json"

// document returns the OpenAPI document of routes: schemas from the Go types that are sent and
// read, descriptions from describe_test.go. It is made here and not in the daemon, because merely
// linking the generator costs every start of the program half a millisecond.
func document(routes []route) ([]byte, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	registry.RegisterTypeAlias(reflect.TypeFor[job.Duration](), reflect.TypeFor[float64]())
	api := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "queuemgr", Version: versionInFile,
			Description: "Durable queues of jobs that run as processes. Times are RFC 3339 in UTC, durations seconds, sizes bytes; a field that is absent is not known yet."},
		Servers: []*huma.Server{{URL: "/", Description: "Where the document was read."}},
		Components: &huma.Components{Schemas: registry, Responses: map[string]*huma.Response{}, SecuritySchemes: map[string]*huma.SecurityScheme{
			"token":   {Type: "http", Scheme: "bearer", Description: "A token of `queuemgr token add`."},
			"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "A browser that has logged in."},
		}},
		Tags: []*huma.Tag{
			{Name: "jobs", Description: "Work on record."}, {Name: "queues", Description: "Named lines of jobs."},
			{Name: "types", Description: "What a job may be."}, {Name: "hooks", Description: "Who is told of what happens to jobs."},
			{Name: "events", Description: "Changes as they happen."}, {Name: "daemon", Description: "The service itself."},
			{Name: "access", Description: "Who may ask. Over the unix socket that is the user at its other end; over TCP a token or a login, whose role must be at least `x-role` of the operation: viewer, operator or admin."},
		},
	}
	failed := failures{schema: registry.Schema(reflect.TypeFor[problem](), true, ""), responses: api.Components.Responses}
	for i := range routes {
		api.AddOperation(operation(registry, &routes[i], &failed))
	}
	if err := describe(registry); err != nil {
		return nil, err
	}
	compact, err := json.Marshal(api)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", " "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// schemaName keeps the private types' names out of the document.
func schemaName(t reflect.Type, hint string) string {
	switch deref(t) {
	case reflect.TypeFor[actRequest]():
		return "ActRequest"
	case reflect.TypeFor[job.Spec]():
		return "JobSpec"
	case reflect.TypeFor[feedMessage]():
		return "FeedUpdate"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func operation(registry huma.Registry, rt *route, failed *failures) *huma.Operation {
	op := &huma.Operation{
		Method: rt.method, Path: rt.path, OperationID: rt.id, Summary: rt.summary, Description: rt.about, Tags: []string{rt.group},
		Responses: map[string]*huma.Response{}, Security: []map[string][]string{},
	}
	if !rt.open {
		op.Security = []map[string][]string{{"token": {}}, {"session": {}}}
		op.Extensions = map[string]any{"x-role": rt.role}
	}
	for _, m := range pathParam.FindAllStringSubmatch(rt.path, -1) {
		p := pathParams[m[1]]
		op.Parameters = append(op.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Description: p.about, Example: p.example,
			Schema: &huma.Schema{Type: huma.TypeString}})
	}
	for _, p := range rt.query {
		op.Parameters = append(op.Parameters, parameter(registry, p, "query"))
	}
	for _, p := range rt.headers {
		op.Parameters = append(op.Parameters, parameter(registry, p, "header"))
	}
	if rt.body != nil {
		op.RequestBody = &huma.RequestBody{Required: !rt.optional, Content: map[string]*huma.MediaType{typeJSON: media(registry, rt, typeJSON, rt.body)}}
		for kind, v := range rt.bodies {
			op.RequestBody.Content[kind] = media(registry, rt, kind, v)
		}
	}
	answer := &huma.Response{Description: http.StatusText(rt.status)}
	if rt.result != nil {
		answer.Content = map[string]*huma.MediaType{or(rt.contentType, typeJSON): media(registry, rt, or(rt.contentType, typeJSON), rt.result)}
		for kind, v := range rt.others {
			answer.Content[kind] = media(registry, rt, kind, v)
		}
	}
	op.Responses[strconv.Itoa(rt.status)] = answer
	codes := map[int][]job.Code{}
	for _, code := range slices.Concat(rt.errors, alwaysPossible(rt)) {
		if status := statuses[code]; !slices.Contains(codes[status], code) {
			codes[status] = append(codes[status], code)
		}
	}
	for status, all := range codes {
		op.Responses[strconv.Itoa(status)] = failed.of(status, all...)
	}
	for _, status := range closerStatuses(rt) {
		op.Responses[strconv.Itoa(status)] = failed.of(status, job.Invalid)
	}
	return op
}

// closerStatuses are those of errors that HTTP has a closer status for than their code's.
func closerStatuses(rt *route) []int {
	all := []int{http.StatusMisdirectedRequest}
	if rt.body != nil {
		all = append(all, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	return all
}

// failures are the answers to what went wrong, which routes share.
type failures struct {
	schema    *huma.Schema
	responses map[string]*huma.Response
}

// of returns the answer of a status that says one of some codes.
func (f *failures) of(status int, codes ...job.Code) *huma.Response {
	slices.Sort(codes)
	name, said := strings.ReplaceAll(http.StatusText(status), " ", ""), ""
	examples := map[string]*huma.Example{}
	for i, code := range codes {
		if status == http.StatusConflict { // which has several codes
			name += "_" + string(code)
		}
		said += []string{"", " or "}[min(i, 1)] + string(code)
		p, own := closerExamples[status]
		if !own {
			p = problemExamples[code]
		}
		p.Type, p.Title, p.Status, p.Code = "about:blank", http.StatusText(status), status, code
		examples[string(code)] = &huma.Example{Value: p}
	}
	f.responses[name] = &huma.Response{Description: http.StatusText(status) + ": " + said,
		Content: map[string]*huma.MediaType{"application/problem+json": {Schema: f.schema, Examples: examples}}}
	return &huma.Response{Ref: "#/components/responses/" + name}
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// pathParams describes what stands in paths.
var pathParams = map[string]param{
	"id":    {about: "The job's number or key.", example: "7"},
	"token": {about: "The token's id.", example: "5f0c2a9b41d7"},
	"feed":  {about: "What the feed's first message said.", example: "K7Q2M5"},
	"name":  {about: "The queue's name.", example: "default"},
}

// alwaysPossible are the errors of every route beside its own.
func alwaysPossible(rt *route) []job.Code {
	if rt.open {
		return []job.Code{job.Invalid, job.Forbidden} // an unknown parameter, a page of another origin
	}
	return []job.Code{job.Invalid, job.Unauthenticated, job.Unavailable, job.Internal, job.Forbidden}
}

func parameter(registry huma.Registry, p param, in string) *huma.Param {
	s := registry.Schema(reflect.TypeOf(p.kind), true, "")
	for _, v := range p.enum {
		s.Enum = append(s.Enum, v)
	}
	out := &huma.Param{Name: p.name, In: in, Description: p.about, Example: p.example, Schema: s}
	if p.list {
		out.Description += " A comma list, or given several times."
		separate := false
		out.Explode = &separate
		out.Schema = &huma.Schema{Type: huma.TypeArray, Items: s}
		if text, ok := p.example.(string); ok {
			out.Example = nil
			list := []any{}
			for _, word := range strings.Split(text, ",") {
				if n, err := strconv.Atoi(word); err == nil && s.Type == huma.TypeInteger {
					list = append(list, n)
				} else {
					list = append(list, word)
				}
			}
			out.Examples = map[string]*huma.Example{"list": {Value: list}}
		}
	}
	return out
}

func media(registry huma.Registry, rt *route, kind string, v any) *huma.MediaType {
	one, several := v.(oneOf)
	if !several {
		one.types = []any{v}
	}
	m := &huma.MediaType{Examples: map[string]*huma.Example{}}
	either := &huma.Schema{Description: one.about}
	for _, t := range one.types {
		m.Schema = registry.Schema(reflect.TypeOf(t), true, "")
		either.OneOf = append(either.OneOf, m.Schema)
		if example, ok := bodyExamples[reflect.TypeOf(t)]; ok && !strings.HasPrefix(kind, "text/plain") {
			m.Examples[schemaName(reflect.TypeOf(t), "")] = &huma.Example{Value: json.RawMessage(example)}
		}
	}
	if several {
		registry.Map()[one.name] = either
		m.Schema = &huma.Schema{Ref: "#/components/schemas/" + one.name}
	}
	if text, ok := textExamples[rt.id+" "+kind]; ok {
		m.Examples["text"] = &huma.Example{Value: text}
	}
	return m
}
