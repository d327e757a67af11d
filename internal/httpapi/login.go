package httpapi

import (
	"net/http"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// sessionCookie holds the secret of a login.
const sessionCookie = "queuemgr_session"

// What somebody without a login may send: its size, and for how long.
const (
	maxLoginBody = 4 << 10
	loginTime    = 10 * time.Second
)

// newLogin asks for a link that logs in.
type newLogin struct {
	Role job.Role `json:"role,omitempty"`
}

func (h *Handler) loginRoutes() []route {
	return []route{
		{
			method: http.MethodPost, path: "/api/login", id: "logIn", group: "access", summary: "Log a browser in",
			about: "With the code of a link, which holds once and for five minutes, or with a token. The answer sets the cookie " + sessionCookie + ". Too many failures are answered with 429 and Retry-After.",
			body:  job.Credentials{}, status: 200, result: job.Me{}, errors: []job.Code{job.Invalid, job.Unauthenticated, job.Throttled}, open: true, serve: h.logIn,
		},
		{
			method: http.MethodPost, path: "/api/logout", id: "logOut", group: "access", summary: "Log a browser out",
			about: "Ends the login and removes the cookie. That there is none is no error.", status: 204, open: true, serve: h.logOut,
		},
		{
			method: http.MethodGet, path: "/api/me", role: job.Viewer, id: "getMe", group: "access", summary: "Who asks",
			status: 200, result: job.Me{}, serve: h.me,
		},
		{
			method: http.MethodPost, path: "/api/logins", role: job.Operator, id: "addLogin", group: "access", summary: "Make a link that logs a browser in",
			about: "Once, within five minutes. The code is in the fragment of the address, which no browser sends: the page redeems it by POST /api/login. " +
				"A login that is begun with the link of another one ends with that, and makes no links itself.",
			body: newLogin{}, optional: true, status: 201, result: job.Login{}, errors: []job.Code{job.Invalid, job.WrongState}, serve: h.addLogin,
		},
		{
			method: http.MethodDelete, path: "/api/logins", role: job.Admin, id: "endLogins", group: "access", summary: "End all logins",
			about: "At once, also that of who asks, with what they have open, and all links that were not used. Tokens stay.", status: 200, result: job.EndedLogins{}, serve: h.endLogins,
		},
	}
}

func (h *Handler) logIn(w http.ResponseWriter, r *request) error {
	if h.o.Gate == nil || !overTCP(r.Request) {
		return &job.Error{Code: job.Invalid, Message: "over the unix socket there is no login: it says who you are", Hint: "log in where the page is served: queuemgr web"}
	}
	if s, ok := r.Body.(*sending); ok {
		s.until = time.Now().Add(loginTime)
		s.set = time.Time{} // the next read sets the deadline anew
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginBody)
	var with job.Credentials
	if err := decode(r, &with, false); err != nil {
		return err
	}
	if (with.Code == "") == (with.Token == "") {
		return &job.Error{Code: job.Invalid, Field: "code", Message: "a login needs a code or a token, one of them", Hint: `send {"code": "…"} or {"token": "qm_…"}`}
	}
	before := "" // the login that the browser had is of no use any more
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		before = cookie.Value
	}
	secret, c, err := h.o.Gate.LogIn(r.Context(), h.from(r.Request), with, before)
	if err != nil {
		return err
	}
	http.SetCookie(w, h.cookie(r.Request, secret, c.ExpiresAt))
	return h.reply(w, r, http.StatusOK, job.Me{Name: c.Name, Role: c.Role, Via: c.Via, ExpiresAt: c.ExpiresAt})
}

// cookie is the cookie of a login; without a secret it removes the one that is there.
func (h *Handler) cookie(r *http.Request, secret string, until time.Time) *http.Cookie {
	c := &http.Cookie{Name: sessionCookie, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || h.o.BehindProxy, Expires: until}
	if secret == "" {
		c.MaxAge = -1
	}
	return c
}

func (h *Handler) logOut(w http.ResponseWriter, r *request) error {
	if cookie, err := r.Cookie(sessionCookie); err == nil && h.o.Gate != nil {
		if err := h.o.Gate.LogOut(r.Context(), cookie.Value, h.from(r.Request)); err != nil {
			return err
		}
	}
	http.SetCookie(w, h.cookie(r.Request, "", time.Time{}))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) me(w http.ResponseWriter, r *request) error {
	access, err := h.access()
	if err != nil {
		return err
	}
	me, err := access.Me(r.Context())
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, me)
}

func (h *Handler) addLogin(w http.ResponseWriter, r *request) error {
	access, err := h.access()
	if err != nil {
		return err
	}
	var n newLogin
	if err := decode(r, &n, true); err != nil {
		return err
	}
	login, err := access.AddLogin(r.Context(), n.Role)
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusCreated, login)
}

func (h *Handler) endLogins(w http.ResponseWriter, r *request) error {
	access, err := h.access()
	if err != nil {
		return err
	}
	ended, err := access.EndLogins(r.Context())
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, ended)
}

// access returns who knows of tokens and logins.
func (h *Handler) access() (job.AccessService, error) {
	if h.o.Access == nil {
		return nil, &job.Error{Code: job.WrongState, Message: "this service knows no tokens and no logins", Hint: "it is served without them"}
	}
	return h.o.Access, nil
}
