package queuemgr

import (
	"net/http"

	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/job"
)

// RouteOption says more of a route than its pattern.
type RouteOption func(*httpapi.Custom)

// RequireRole sets the least role that may ask for a route: "viewer", "operator" or "admin".
func RequireRole(role string) RouteOption {
	return func(c *httpapi.Custom) { c.Role = job.Role(role) }
}

// HandleFunc adds a route beside the API's, on the daemon's port and its socket. pattern is one of
// http.ServeMux, as "GET /api/custom". Nobody is answered without a login: viewers may GET, all else takes an
// operator, unless RequireRole says otherwise; what keeps pages of other origins out holds here too.
// job.CallerFrom(r.Context()) tells who asks. Answers are not kept by browsers and run no scripts of their own,
// unless the handler sets other headers. What can't be a route is told by Main.
func (a *App) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request), options ...RouteOption) {
	c := httpapi.Custom{Pattern: pattern}
	if handler != nil {
		c.Handler = http.HandlerFunc(handler)
	}
	for _, o := range options {
		o(&c)
	}
	a.routes = append(a.routes, c)
}

func (a *App) checkRoutes() error {
	if len(a.routes) == 0 {
		return nil // a command must not pay for what there is not
	}
	return httpapi.CheckCustom(a.routes)
}
