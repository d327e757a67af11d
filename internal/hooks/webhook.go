package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// outcome is how a request ended.
type outcome struct {
	problem string // "" = the receiver has it
	gone    bool   // and wants no more of it
	down    bool   // nobody could be reached, or nobody who works: others are not tried now
}

// Bounds of an answer, of which nothing is kept.
const (
	maxAnswer    = 64 << 10
	maxRedirects = 3
)

func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxIdleConnsPerHost, own.IdleConnTimeout, own.MaxResponseHeaderBytes = perReceiver, 30*time.Second, 64<<10
		transport = own
	}
	return &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, before []*http.Request) error {
		// Elsewhere nobody was named to be told, and what is no POST any more has lost the event.
		first := before[0].URL
		if next.Method != http.MethodPost || next.URL.Scheme != first.Scheme || next.URL.Host != first.Host || len(before) > maxRedirects {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// body is what a web address is sent.
type body struct {
	Event    job.HookEvent   `json:"event"`
	Delivery string          `json:"delivery"`
	At       time.Time       `json:"at"`
	Job      json.RawMessage `json:"job"`
}

// nameOf is a delivery's name among all registries: the same for each try.
func (s *Service) nameOf(d *store.Delivery) string {
	id := s.o.Store.RegistryID()
	return id[:min(8, len(id))] + "-" + strconv.FormatInt(d.ID, 10)
}

// sign returns the signature of what is sent at a time.
func sign(secret []byte, timestamp string, body []byte) string {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(timestamp + "."))
	m.Write(body)
	return "v1=" + hex.EncodeToString(m.Sum(nil))
}

// post sends a delivery to a web address.
func (s *Service) post(ctx context.Context, d *store.Delivery, t target) outcome {
	text, err := store.PlainJSON(body{d.Event, s.nameOf(d), d.Doc.At, d.Doc.Job})
	if err != nil {
		return outcome{problem: err.Error(), gone: true} // no try makes it better
	}
	posts := s.limitsOf(d.Hook).posts
	select {
	case posts <- struct{}{}:
		defer func() { <-posts }()
	case <-ctx.Done():
		return outcome{problem: "broken off"}
	}
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(text))
	if err != nil {
		return outcome{problem: "its URL can't be used", gone: true}
	}
	timestamp := strconv.FormatInt(s.now().Unix(), 10)
	for name, value := range map[string]string{"Content-Type": "application/json", "User-Agent": "queuemgr/" + s.o.Version,
		"X-Queuemgr-Event": string(d.Event), "X-Queuemgr-Delivery": s.nameOf(d), "X-Queuemgr-Timestamp": timestamp} {
		req.Header.Set(name, value)
	}
	if t.Secret != nil {
		req.Header.Set("X-Queuemgr-Signature", sign(t.Secret, timestamp, text))
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return outcome{problem: unreached(ctx, err, t.Timeout), down: true}
	}
	// For the connection to be used again; one that can't be costs the next request a new one.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	switch code := resp.StatusCode; {
	case code >= 200 && code <= 299:
		return outcome{}
	case code == http.StatusGone:
		return outcome{problem: "the receiver answered 410: it wants no more of this", gone: true}
	case code >= 300 && code <= 399:
		return outcome{problem: fmt.Sprintf("the receiver answered %d and sends us elsewhere, which is not followed: name that address in the hook", code)}
	default:
		return outcome{problem: fmt.Sprintf("the receiver answered %d", code), down: code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout}
	}
}

// unreached says why there was no answer, without the address, in which there may be a secret.
func unreached(ctx context.Context, err error, limit time.Duration) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", limit)
	}
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()
}
