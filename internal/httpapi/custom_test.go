package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/auth/authtest"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/job"
)

func customs() []httpapi.Custom {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := job.CallerFrom(r.Context())
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %t %q %v", r.Method, ok && c.Name != "", body, err)
	})
	return []httpapi.Custom{
		{Pattern: "GET /api/custom", Handler: hello},
		{Pattern: "/api/custom/any", Handler: hello},
		{Pattern: "POST /api/custom/admin", Role: job.Admin, Handler: hello},
		{Pattern: "POST /api/custom/viewer", Role: job.Viewer, Handler: hello},
		{Pattern: "GET /api/custom/panic", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("on purpose") })},
	}
}

func TestCustomRoutes(t *testing.T) {
	if err := httpapi.CheckCustom(customs()); err != nil {
		t.Fatal(err)
	}
	w := openWeb(t, func(o *httpapi.Options) { o.Custom = customs() })
	bearer := map[job.Role][]string{"": nil}
	for _, role := range job.LoginRoles {
		bearer[role] = []string{"Authorization", "Bearer " + w.Token(t, role).Secret}
	}
	for _, c := range []struct {
		method, path string
		least        job.Role
	}{
		{"GET", "/api/custom", job.Viewer},
		{"HEAD", "/api/custom", job.Viewer},
		{"GET", "/api/custom/any", job.Viewer},
		{"POST", "/api/custom/any", job.Operator},
		{"DELETE", "/api/custom/any", job.Operator},
		{"OPTIONS", "/api/custom/any", job.Operator},
		{"POST", "/api/custom/admin", job.Admin},
		{"POST", "/api/custom/viewer", job.Viewer},
	} {
		for role, header := range bearer {
			want := 200
			if role == "" {
				want = 401
			} else if !role.AtLeast(c.least) {
				want = 403
			}
			resp, text := w.want(want, c.method, c.path, "body", header...)
			if want == 200 && c.method != "HEAD" && text != c.method+` true "body" <nil>` && text != c.method+` true "" <nil>` {
				t.Errorf("%s %s: %s", c.method, c.path, text)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s has not the API's headers: %v", c.method, c.path, resp.Header)
			}
		}
	}
	operator := bearer[job.Operator]
	// What keeps other pages out of the API keeps them out here.
	w.want(421, "GET", "/api/custom", "", append([]string{"Host", "evil.example"}, operator...)...)
	w.want(403, "POST", "/api/custom/any", "", append([]string{"Sec-Fetch-Site", "cross-site"}, operator...)...)
	w.want(405, "POST", "/api/custom", "", operator...)
	// A panic is the end of its answer alone.
	w.want(401, "GET", "/api/custom/panic", "")
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+w.addr+"/api/custom/panic", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", operator[1])
	if resp, err := w.http.Do(req); err == nil {
		t.Errorf("a panic answered %s", resp.Status)
	}
	w.want(200, "GET", "/api/custom", "", operator...)
	if _, doc := w.want(200, "GET", "/api/openapi.json", "", operator...); strings.Contains(doc, "/api/custom") {
		t.Error("the API's document has the author's routes")
	}
}

// Over the socket it is the user of the machine who asks: here the service's own, who is admin.
func TestCustomRoutesOverSocket(t *testing.T) {
	e := enginetest.Start(t, nil)
	g := authtest.Guard(t, e)
	a := over(t, e, httpapi.Options{Service: g.Service, Gate: g.Gate, Access: g.Gate, Custom: customs()})
	if resp, text := a.ask("POST", "/api/custom/admin", "x"); resp.StatusCode != 200 || text != `POST true "x" <nil>` {
		t.Errorf("%s %s", resp.Status, text)
	}
	a = over(t, e, httpapi.Options{Service: g.Service, Access: asMember{g.Gate}, Custom: customs()})
	if resp, text := a.ask("POST", "/api/custom/any", "x"); resp.StatusCode != 403 || !strings.Contains(text, " is member and may not do this") {
		t.Errorf("%s %s", resp.Status, text)
	}
	if resp, _ := a.ask("GET", "/api/custom", ""); resp.StatusCode != 200 {
		t.Errorf("a member may not GET: %s", resp.Status)
	}
	a = over(t, e, httpapi.Options{Service: g.Service, Custom: customs()})
	if resp, _ := a.ask("GET", "/api/custom", ""); resp.StatusCode != 403 {
		t.Errorf("where nobody says who has which role: %s", resp.Status)
	}
}

// asMember says of everybody that they are a member.
type asMember struct{ job.AccessService }

func (asMember) Me(ctx context.Context) (*job.Me, error) {
	c, _ := job.CallerFrom(ctx)
	return &job.Me{Name: c.Name, Role: job.Member}, nil
}

func TestCheckCustom(t *testing.T) {
	ok := http.NotFoundHandler()
	for _, c := range []struct {
		list []httpapi.Custom
		says string
	}{
		{[]httpapi.Custom{{Pattern: "GET /api/jobs/{id}", Handler: ok}}, "can't be added"},
		{[]httpapi.Custom{{Pattern: "/api/{rest...}", Handler: ok}}, ""},
		{[]httpapi.Custom{{Pattern: "GET /x", Handler: ok}, {Pattern: "GET /x", Handler: ok}}, `the route "GET /x" can't be added`},
		{[]httpapi.Custom{{Pattern: "/", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "GET /{rest...}", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "GET /{$}", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "/{page}", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "/{page}/more", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "GET //x", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "/assets/", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "GET /assets/{file...}", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "GET /assets", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "GET /index.html", Handler: ok}}, "would take the place of the page"},
		{[]httpapi.Custom{{Pattern: "GET /assetsx/{name}", Handler: ok}}, ""},
		{[]httpapi.Custom{{Pattern: "example.org/x", Handler: ok}}, "must be a path"},
		{[]httpapi.Custom{{Pattern: "", Handler: ok}}, "must be a path"},
		{[]httpapi.Custom{{Pattern: "GET /x/{", Handler: ok}}, "can't be added"},
		{[]httpapi.Custom{{Pattern: "GET /x"}}, "has no handler"},
		{[]httpapi.Custom{{Pattern: "GET /x", Handler: ok, Role: "root"}}, "the roles are viewer, operator and admin"},
	} {
		if err := httpapi.CheckCustom(c.list); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q", c.list[0].Pattern, err, c.says)
		}
	}
}
