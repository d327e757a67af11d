package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// Custom is a route of the program's author. It stands behind the same login as the API's, and is no
// part of its document.
type Custom struct {
	Pattern string   // of http.ServeMux, beginning with / or METHOD /, without a host
	Role    job.Role // the least that may ask; "" = viewer for GET and HEAD, else operator
	Handler http.Handler
}

// CheckCustom returns what is wrong with the routes of an author: a pattern that is none, two that
// stand for the same, one that takes the place of a route of the API or of the page.
func CheckCustom(list []Custom) error {
	mux := http.NewServeMux()
	for _, rt := range (&Handler{}).allRoutes() {
		mux.HandleFunc(rt.method+" "+rt.path, func(http.ResponseWriter, *http.Request) {})
	}
	for _, c := range list {
		path := c.Pattern
		if method, rest, hasMethod := strings.Cut(path, " "); hasMethod && !strings.Contains(method, "/") {
			path = strings.TrimLeft(rest, " \t")
		}
		switch {
		case !strings.HasPrefix(path, "/"):
			return fmt.Errorf(`the route %q must be a path, or a method and a path, as "GET /api/custom"`, c.Pattern)
		case ofThePage(path):
			return fmt.Errorf("the route %q would take the place of the page: give it a path of its own, as /api/custom", c.Pattern)
		case c.Handler == nil:
			return fmt.Errorf("the route %q has no handler", c.Pattern)
		case c.Role != "" && c.Role != job.Viewer && c.Role != job.Operator && c.Role != job.Admin:
			return fmt.Errorf("the route %q is for %q: the roles are viewer, operator and admin", c.Pattern, c.Role)
		}
		if err := add(mux, c.Pattern); err != nil {
			return fmt.Errorf("the route %q can't be added: %w", c.Pattern, err)
		}
	}
	return nil
}

// ofThePage says whether the path of a pattern stands for what the page is at: /, its views, which are paths of one word
// that only the page knows, and its files.
func ofThePage(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "" || strings.Contains(first, "{") || first == "assets" || first == "index.html"
}

// add adds a pattern to mux: what http.ServeMux panics with is an error.
func add(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	return nil
}

// custom serves a route of the author to who may ask for it.
func (h *Handler) custom(c Custom) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		need := c.Role
		if need == "" {
			need = job.Operator
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				need = job.Viewer
			}
		}
		ctx, err := h.whoAsks(&route{path: r.URL.Path, role: need}, r)
		if err == nil && !overTCP(r) {
			r = r.WithContext(ctx)
			err = h.localMay(r, need)
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				h.o.Log.Error("a route of this program panicked", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler) // the client sees that its answer is not whole
		}()
		c.Handler.ServeHTTP(w, r.WithContext(ctx))
	}
}

// localMay refuses a user of the machine whose role is too low. For the API's own routes the service
// decides that, by whose job it is; a route of the author has no such service.
func (h *Handler) localMay(r *http.Request, need job.Role) error {
	if h.o.Access == nil {
		return &job.Error{Code: job.Forbidden, Message: "nobody is known to have a role here", Hint: "ask over TCP, with a token"}
	}
	me, err := h.o.Access.Me(r.Context())
	if err != nil {
		return err
	}
	if !me.Role.AtLeast(need) {
		return &job.Error{Code: job.Forbidden, Message: me.Name + " is " + string(me.Role) + " and may not do this", Hint: "it takes the role " + string(need)}
	}
	return nil
}
