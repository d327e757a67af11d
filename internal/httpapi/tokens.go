package httpapi

import (
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

type tokenList struct {
	Tokens []job.Token `json:"tokens"`
}

func (h *Handler) tokenRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/tokens", role: job.Admin, id: "listTokens", group: "access", summary: "List tokens",
			about: "By name, without their secrets, which are on record nowhere.", status: 200, result: tokenList{}, serve: h.listTokens,
		},
		{
			method: http.MethodPost, path: "/api/tokens", role: job.Admin, id: "addToken", group: "access", summary: "Make a token",
			about: "The answer holds its secret, this once.",
			body:  job.NewToken{}, status: 201, result: job.Token{}, errors: []job.Code{job.Invalid, job.Conflict, job.Exhausted}, serve: h.addToken,
		},
		{
			method: http.MethodDelete, path: "/api/tokens/{token}", role: job.Admin, id: "deleteToken", group: "access", summary: "Revoke a token",
			about: "At once, with the logins that were made with it and what they have open.", status: 204, errors: []job.Code{job.NotFound}, serve: h.deleteToken,
		},
	}
}

func (h *Handler) listTokens(w http.ResponseWriter, r *request) error {
	access, err := h.access()
	if err != nil {
		return err
	}
	tokens, err := access.Tokens(r.Context())
	if err != nil {
		return err
	}
	if tokens == nil {
		tokens = []job.Token{}
	}
	return h.reply(w, r, http.StatusOK, tokenList{tokens})
}

func (h *Handler) addToken(w http.ResponseWriter, r *request) error {
	access, err := h.access()
	if err != nil {
		return err
	}
	var n job.NewToken
	if err := decode(r, &n, false); err != nil {
		return err
	}
	t, err := access.AddToken(r.Context(), n)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/tokens/"+t.ID)
	return h.reply(w, r, http.StatusCreated, t)
}

func (h *Handler) deleteToken(w http.ResponseWriter, r *request) error {
	access, err := h.access()
	if err != nil {
		return err
	}
	if err := access.DeleteToken(r.Context(), r.PathValue("token")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
