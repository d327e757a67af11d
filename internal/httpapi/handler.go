// Package httpapi serves a job.Service over HTTP: the routes, their OpenAPI document, problem
// documents for errors, and streams of events and logs. DESIGN.md in this folder says why it is
// made as it is.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Options is what a handler needs.
type Options struct {
	Service job.Service // required
	Version string      // of the program, shown in the OpenAPI document
	Log     *slog.Logger
	// Gate says who asks over TCP, and Access is about those; nil where only the unix socket is
	// served. Over the socket it is the peer, see ConnContext.
	Gate   Gate
	Access job.AccessService
	// Hooks is about hooks and what is on its way to them; nil = there are none.
	Hooks job.HookService
	// Hosts returns the names by which the machine may be asked for over TCP, beside its addresses.
	// May be nil.
	Hosts func() []string
	// BehindProxy says that a proxy in front speaks TLS and says in X-Forwarded-For from where a
	// request comes.
	BehindProxy bool
	// Metrics returns what is counted, in the text format of Prometheus; nil = nothing is.
	Metrics func(context.Context) ([]byte, error)
	// Page answers GET for what is no part of the API; nil = one at / that says how to build it.
	Page http.Handler
	// Custom are routes of the program's author, which CheckCustom has found right.
	Custom []Custom
	// Heartbeat is how often an event stream without events says that it lives; 0 = 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long a reader of a stream may take nothing before it is dropped; 0 = 30 s.
	WriteTimeout time.Duration
	// ReadTimeout is how long a client may send nothing in the middle of a body; 0 = 30 s.
	ReadTimeout time.Duration
}

// Handler is the API as an http.Handler.
type Handler struct {
	o      Options
	mux    *http.ServeMux
	routes []route

	decoding chan struct{} // holds a token for each goroutine that decodes jobs of a batch

	// closing ends streams and long polls, and nothing else: an add in work is answered.
	closing    context.Context
	endStreams context.CancelFunc
}

// New returns the API of o.Service.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = 30 * time.Second
	}
	h := &Handler{o: o, mux: http.NewServeMux(), decoding: newWorkers()}
	h.closing, h.endStreams = context.WithCancel(context.Background())
	h.routes = h.allRoutes()
	for i := range h.routes {
		rt := &h.routes[i]
		h.mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { h.serve(rt, w, r) })
	}
	for _, c := range o.Custom {
		h.mux.HandleFunc(c.Pattern, h.custom(c))
	}
	h.mux.HandleFunc("/", h.noRoute)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["X-Content-Type-Options"] = noSniff
	h.limitSending(w, r)
	if overTCP(r) {
		out := http.NewResponseController(w)
		// What is written by and by sets deadlines of its own; the rest is written when this returns, and
		// nobody must be able to keep it waiting. A connection that is kept has the deadline of the request
		// before. One that knows none has no slow network behind it (tests).
		_ = out.SetWriteDeadline(time.Time{})
		defer func() { _ = out.SetWriteDeadline(time.Now().Add(h.o.WriteTimeout)) }()
		secure(w.Header())
		if err := h.fromOutside(r); err != nil {
			h.fail(w, r, err)
			return
		}
	}
	h.mux.ServeHTTP(w, r)
}

var noSniff = []string{"nosniff"}

// request is a request on its way through a route.
type request struct {
	*http.Request
	query query
}

func (h *Handler) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	if !rt.open {
		ctx, err := h.whoAsks(rt, r)
		if err != nil && rt.bare != nil && job.CodeOf(err) == job.Unauthenticated && rt.bareTo(r) {
			err = rt.bare(w, &request{r, query{route: rt}})
			if err == nil {
				return
			}
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		if ctx != r.Context() {
			r = r.WithContext(ctx)
		}
	}
	q, err := rt.parseQuery(r.URL.RawQuery)
	if err == nil {
		err = rt.serve(w, &request{r, q})
	}
	if err != nil {
		h.fail(w, r, err)
	}
}

// noRoute answers what no route does: the page, 405 where another method would do, else 404.
func (h *Handler) noRoute(w http.ResponseWriter, r *http.Request) {
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && !ofAPI(r.URL.Path) && (h.o.Page != nil || r.URL.Path == "/") {
		h.page(w, r)
		return
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := h.mux.Handler(other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		h.fail(w, r, statusError{http.StatusMethodNotAllowed, &job.Error{Code: job.Invalid,
			Message: r.Method + " " + r.URL.Path + " is not offered", Hint: "this path takes " + strings.Join(allowed, ", ")}})
		return
	}
	h.fail(w, r, &job.Error{Code: job.NotFound, Message: "no such path: " + r.URL.Path, Hint: "all are listed in " + docsPath})
}

// stream returns a context for a request that lasts: it ends with the request, with the server, and
// with the login of who asked.
func (h *Handler) stream(r *request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	unhook := context.AfterFunc(h.closing, cancel)
	unwatch := func() {}
	if c, ok := job.CallerFrom(ctx); ok && c.OverTCP() && h.o.Gate != nil {
		unwatch = h.o.Gate.Watch(c, cancel)
	}
	return ctx, func() { unhook(); unwatch(); cancel() }
}

// abort ends a response that has begun so that the client sees it is not complete. It does not
// return.
func (h *Handler) abort(r *request, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		h.o.Log.Info("stream broken off", "path", r.URL.Path, "error", err)
	}
	panic(http.ErrAbortHandler)
}
