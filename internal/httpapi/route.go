package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// route is one operation: how it is served and all that its OpenAPI entry says. What is not
// declared here is refused, so that the document cannot lag behind the code.
type route struct {
	method, path string
	id           string // operationId, a name for generated clients
	group        string // tag of the document
	summary      string
	about        string // more of it, may be empty
	query        []param
	headers      []param // those beyond HTTP's own

	body     any            // zero value of the request's type, nil = none
	bodies   map[string]any // further request types by content type
	optional bool           // the body may be left out

	status      int
	result      any            // zero value of the answer's type, nil = none
	contentType string         // of the answer; "" = application/json
	others      map[string]any // further types of the answer, by content type
	errors      []job.Code
	role        job.Role // the least that a caller over TCP must have; over the socket the service decides
	open        bool     // answered without asking who it is; then there is no role

	serve func(http.ResponseWriter, *request) error
	// bare answers those without a login whom bareTo lets in, instead of refusing; nil = refuses.
	bare   func(http.ResponseWriter, *request) error
	bareTo func(*http.Request) bool
}

// oneOf stands for a body that is of one of several types. It has a name in the document, for generated
// clients.
type oneOf struct {
	name, about string
	types       []any
}

// param is a query parameter or header.
type param struct {
	name    string
	about   string
	kind    any // zero value of its type
	enum    []string
	list    bool // comma list, or given several times
	example any
}

// query is the parsed query of a request. Asking for an undeclared parameter is a bug and panics.
type query struct {
	route  *route
	values url.Values
}

func (rt *route) parseQuery(raw string) (query, error) {
	q := query{route: rt}
	if raw == "" {
		return q, nil
	}
	var err error
	if q.values, err = url.ParseQuery(raw); err != nil {
		return q, &job.Error{Code: job.Invalid, Message: "the query is malformed", Hint: "write %, & and ; in values as %25, %26, %3B", Err: err}
	}
	for name, values := range q.values {
		i := slices.IndexFunc(rt.query, func(p param) bool { return p.name == name })
		if i < 0 {
			known := make([]string, len(rt.query))
			for k, p := range rt.query {
				known[k] = p.name
			}
			hint := "this request takes none"
			if len(known) > 0 {
				hint = "known here: " + strings.Join(known, ", ")
			}
			return q, &job.Error{Code: job.Invalid, Field: name, Message: fmt.Sprintf("unknown query parameter %q", name), Hint: hint}
		}
		if len(values) > 1 && !rt.query[i].list {
			return q, &job.Error{Code: job.Invalid, Field: name, Message: fmt.Sprintf("query parameter %q is given %d times", name, len(values)), Hint: "give it once"}
		}
	}
	return q, nil
}

func (q query) text(name string) string {
	if !slices.ContainsFunc(q.route.query, func(p param) bool { return p.name == name }) {
		panic("httpapi: " + q.route.id + " does not declare the query parameter " + name)
	}
	return q.values.Get(name)
}

func (rt *route) isList(name string) bool {
	return slices.ContainsFunc(rt.query, func(p param) bool { return p.name == name && p.list })
}

// notEmpty refuses a condition that is given with an empty value: it would select what nobody
// asked for.
func (q query) notEmpty(names ...string) error {
	for _, name := range names {
		for _, v := range q.values[name] {
			if v == "" || q.route.isList(name) && slices.Contains(strings.Split(v, ","), "") {
				return &job.Error{Code: job.Invalid, Field: name, Message: name + " holds an empty value", Hint: "give a value, or leave " + name + " out"}
			}
		}
	}
	return nil
}

// words returns the values of a list.
func (q query) words(name string) []string {
	if q.text(name) == "" && len(q.values[name]) < 2 {
		return nil
	}
	var words []string
	for _, v := range q.values[name] {
		words = append(words, strings.Split(v, ",")...)
	}
	return words
}

// number returns a number from 0 to limit, 0 where none is given.
func (q query) number(name string, limit int64) (int64, error) {
	s := q.text(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > limit {
		return 0, &job.Error{Code: job.Invalid, Field: name, Message: fmt.Sprintf("%s=%q is no number that can be used", name, s),
			Hint: fmt.Sprintf("give a whole number from 0 to %d", limit)}
	}
	return n, nil
}

// without refuses parameters that do not go with the others.
func (q query) without(names ...string) error {
	for _, name := range names {
		if q.values.Has(name) {
			return &job.Error{Code: job.Invalid, Field: name, Message: fmt.Sprintf("query parameter %q does not go with the others", name), Hint: "a search has search, from, backwards, ignore_case, limit; leave out " + name + ", or what belongs to the other"}
		}
	}
	return nil
}

// flag returns a truth value; the name alone (?follow) is true.
func (q query) flag(name string) (bool, error) {
	s := q.text(name)
	if s == "" {
		return q.values.Has(name), nil
	}
	on, err := strconv.ParseBool(s)
	if err != nil {
		return false, &job.Error{Code: job.Invalid, Field: name, Message: fmt.Sprintf("%s=%q is neither true nor false", name, s), Hint: "give true or false"}
	}
	return on, nil
}

// allRoutes is the whole API, in the document's order.
func (h *Handler) allRoutes() []route {
	return slices.Concat(h.jobRoutes(), h.addRoutes(), h.actionRoutes(), h.logRoutes(), h.queueRoutes(), h.typeRoutes(), h.eventRoutes(), h.feedRoutes(), h.daemonRoutes(), h.statsRoutes(), h.loginRoutes(), h.tokenRoutes(), h.auditRoutes(), h.hookRoutes())
}
