package httpapi

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Gate says who asks over TCP. internal/auth implements it.
type Gate interface {
	// Bearer returns who has a token's secret, Session who has that of a login. Errors:
	// job.Unauthenticated.
	Bearer(secret, from string) (job.Caller, error)
	Session(ctx context.Context, secret, from string) (job.Caller, error)
	// LogIn begins a session in place of the one with the secret instead and returns its secret. Errors:
	// job.Unauthenticated, job.Throttled.
	LogIn(ctx context.Context, from string, with job.Credentials, instead string) (string, job.Caller, error)
	// LogOut ends a session; one that is over is no error.
	LogOut(ctx context.Context, secret, from string) error
	// Watch has end called when the caller's token or login ends, until stop is called.
	Watch(c job.Caller, end func()) (stop func())
	// Refused is told that a caller was refused what its role does not let it do.
	Refused(c job.Caller, what string)
}

// overTCP reports whether a request came over TCP: anybody may have sent it.
func overTCP(r *http.Request) bool {
	_, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok
}

// crossOrigin refuses what a page of another origin has a browser send.
var crossOrigin = http.NewCrossOriginProtection()

// fromOutside returns an error for a request over TCP that asks for another host, or that a browser
// sends for another origin.
func (h *Handler) fromOutside(r *http.Request) error {
	if !h.knownHost(r) {
		return statusError{http.StatusMisdirectedRequest, &job.Error{Code: job.Invalid, Field: "Host", Message: "this service is not called " + shorten(r.Host),
			Hint: "use the machine's address or name, or add this one to the setting [web] hosts"}}
	}
	if err := crossOrigin.Check(r); err != nil {
		return &job.Error{Code: job.Forbidden, Message: "a page of another origin may not do this", Hint: "use the page of this service", Err: err}
	}
	return nil
}

// shorten bounds what of a request is said back.
func shorten(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// knownHost reports whether a request asks for this machine. A page whose name its owner has made to
// mean this machine's address (DNS rebinding) asks for that name: a browser takes it for the page's
// own origin, so that nothing else keeps it out. Addresses can't be made to mean others.
func (h *Handler) knownHost(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if ip.Unmap().IsLoopback() || local != nil && local.AddrPort().Addr().Unmap().WithZone("") == ip.Unmap().WithZone("") {
			return true
		}
	}
	return h.o.Hosts != nil && slices.ContainsFunc(h.o.Hosts(), func(known string) bool {
		return strings.EqualFold(strings.TrimSuffix(known, "."), host)
	})
}

// from returns the address that a request over TCP comes from.
func (h *Handler) from(r *http.Request) string {
	if h.o.BehindProxy {
		// The last one is what the proxy has seen; what stands before it, anybody may have written.
		if all := r.Header.Values("X-Forwarded-For"); len(all) > 0 {
			last := all[len(all)-1]
			last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
			if ip, err := netip.ParseAddr(last); err == nil {
				return ip.Unmap().String()
			}
		}
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().String()
}

// asksPlainlyFromHere reports whether a request was sent by this machine itself, with no login. A
// proxy that nobody told us of says in a header that it is one.
func (h *Handler) asksPlainlyFromHere(r *http.Request) bool {
	if h.o.BehindProxy || !overTCP(r) || r.Header.Get("Authorization") != "" || len(r.CookiesNamed(sessionCookie)) > 0 {
		return false
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// whoAsks returns the request's context with who asks in it, if they may ask for rt. Errors:
// Unauthenticated, Forbidden.
func (h *Handler) whoAsks(rt *route, r *http.Request) (context.Context, error) {
	if !overTCP(r) {
		if _, ok := job.CallerFrom(r.Context()); !ok {
			return nil, &job.Error{Code: job.Forbidden, Message: "nobody is known to ask", Hint: "use the daemon's unix socket"}
		}
		return r.Context(), nil
	}
	c, err := h.loggedIn(r)
	if err != nil {
		return nil, err
	}
	if !c.OverTCP() {
		return nil, &job.Error{Code: job.Internal, Message: "internal error", Hint: "daemon.log tells the cause"}
	}
	if rt.role == "" || !c.Role.AtLeast(rt.role) {
		h.o.Gate.Refused(c, r.Method+" "+rt.path)
		return nil, &job.Error{Code: job.Forbidden, Message: c.Name + " is " + string(c.Role) + " and may not do this", Hint: "log in as " + string(rt.role)}
	}
	return job.WithCaller(r.Context(), c), nil
}

// loggedIn returns who asks by a token or a login.
func (h *Handler) loggedIn(r *http.Request) (job.Caller, error) {
	if h.o.Gate == nil {
		return job.Caller{}, &job.Error{Code: job.Unauthenticated, Message: "nobody can log in here", Hint: "use the daemon's unix socket"}
	}
	if given := r.Header.Get("Authorization"); given != "" {
		kind, secret, _ := strings.Cut(given, " ")
		if !strings.EqualFold(kind, "Bearer") {
			return job.Caller{}, &job.Error{Code: job.Unauthenticated, Message: "this kind of Authorization is not understood", Hint: "send Authorization: Bearer qm_…, a token of queuemgr token add"}
		}
		return h.o.Gate.Bearer(strings.TrimSpace(secret), h.from(r))
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		return h.o.Gate.Session(r.Context(), cookie.Value, h.from(r))
	}
	return job.Caller{}, &job.Error{Code: job.Unauthenticated, Message: "nobody is logged in", Hint: "queuemgr web gives a link to log in with; programs send a token of queuemgr token add"}
}

// secure sets what browsers are told about every answer over TCP. The page's own scripts and styles
// are files; nothing in line is run, whatever a job's output may have smuggled in.
func secure(header http.Header) {
	header["Content-Security-Policy"] = contentPolicy
	header["Referrer-Policy"] = []string{"no-referrer"}
	header["Cross-Origin-Opener-Policy"] = []string{"same-origin"}
	header["Cross-Origin-Resource-Policy"] = []string{"same-origin"}
	header["X-Frame-Options"] = []string{"DENY"}
	header["Cache-Control"] = []string{"no-store"} // the page's files say otherwise
}

var contentPolicy = []string{"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}

// ofAPI reports whether a path is none of the page's.
func ofAPI(path string) bool {
	for _, own := range []string{"/api", "/healthz", "/readyz", "/metrics"} {
		if path == own || strings.HasPrefix(path, own+"/") {
			return true
		}
	}
	return false
}

// pageTime is how long a file of the page may take to be read.
const pageTime = 2 * time.Minute

func (h *Handler) page(w http.ResponseWriter, r *http.Request) {
	// A connection that knows no deadlines has no slow network behind it (tests).
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pageTime))
	if h.o.Page == nil {
		noPage(w)
		return
	}
	h.o.Page.ServeHTTP(w, r)
}

// noPage is the page of a program that was built without it.
func noPage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("This queuemgr was built without its page. To build it with the page, have Node and run: make\n" +
		"The API is there all the same: /api/docs lists it, /api/openapi.json describes it.\n")) // who has gone away reads nothing
}
