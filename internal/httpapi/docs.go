package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
)

// docsPath is where the document is shown to people.
const docsPath = "/api/docs"

const (
	typeText = "text/plain; charset=utf-8"
	typeHTML = "text/html; charset=utf-8"
)

// docs answers a browser with the page, which reads the document and shows it, and programs with a list as text. The page's
// files are no secret, the document is what asks for a login.
func (h *Handler) docs(w http.ResponseWriter, r *request) error {
	if h.opensPage(r.Request) {
		h.page(w, r.Request)
		return nil
	}
	h.answer(w, r.Request, http.StatusOK, typeText, h.listing())
	return nil
}

// opensPage reports whether a browser is to be shown the page: whoever names HTML is one, which curl's */* does not.
func (h *Handler) opensPage(r *http.Request) bool {
	return h.o.Page != nil && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// listing is every operation, with who may ask and what it takes, as text.
func (h *Handler) listing() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "The API of queuemgr %s. All of it, with fields, examples and errors: %s", h.o.Version, openAPIPath)
	if h.o.Page == nil {
		b.WriteString(" (built with its page, by `make` where Node is, this program shows it here)")
	}
	b.WriteString("\nPrograms send Authorization: Bearer TOKEN, a token of queuemgr token add; the role is the least it needs.\n")
	group := ""
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	// What is written into a buffer does not fail.
	for i := range h.routes {
		rt := &h.routes[i]
		if rt.group != group {
			group = rt.group
			_ = table.Flush()
			fmt.Fprintf(&b, "\n%s\n", group)
		}
		var takes []string
		for _, p := range rt.query {
			takes = append(takes, p.name)
		}
		role := string(rt.role)
		if rt.open {
			role = "no login"
		}
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", rt.method, rt.path, role, rt.summary)
		if len(takes) > 0 {
			_, _ = fmt.Fprintf(table, "\t\t\t  ?%s\n", strings.Join(takes, " "))
		}
	}
	_ = table.Flush()
	return b.Bytes()
}
