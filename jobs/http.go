// Package jobs holds the job types that every queuemgr program has beside command and shell. Each is
// written over the public surface of package jobtype alone, as anybody's would be.
package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/queuemgr/queuemgr/jobtype"
)

// maxBody is how much of an answer's body the result holds, in bytes.
const maxBody = 64 << 10

// HTTP is the type http: one request, repeated where that may help.
type HTTP struct {
	Method        string            `json:"method,omitempty" default:"GET" enum:"GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS" doc:"method of the request"`
	URL           string            `json:"url" pattern:"^https?://" doc:"address, http or https" example:"https://example.org/api/backup"`
	Headers       map[string]string `json:"headers,omitempty" doc:"headers of the request"`
	SecretHeaders map[string]string `json:"secret_headers,omitempty" secret:"true" doc:"further headers, which are shown nowhere, as Authorization"`
	Body          string            `json:"body,omitempty" doc:"body of the request"`
	Expected      []int             `json:"expected,omitempty" doc:"statuses that are a success; none = 200 to 299" example:"[200,404]"`
	Timeout       time.Duration     `json:"timeout,omitempty" default:"30" doc:"for one try, all of the answer included"`
	Retries       int               `json:"retries,omitempty" default:"0" minimum:"0" maximum:"20" doc:"further tries after a failure to connect, or one of the statuses 408, 425, 429, 500, 502, 503, 504"`
	Backoff       time.Duration     `json:"backoff,omitempty" default:"1" doc:"before the first further try; twice as long before each after it, up to 5 minutes"`
	Redirects     int               `json:"redirects,omitempty" default:"10" minimum:"0" maximum:"50" doc:"most redirects that are followed; 0 = the redirect is the answer"`
}

// HTTPResult is the result of an HTTP.
type HTTPResult struct {
	Status    int               `json:"status"`
	URL       string            `json:"url"` // after redirects
	Headers   map[string]string `json:"headers"`
	Body      string            `json:"body"`                // up to 64 KiB; what is no UTF-8 in it is replaced
	BodyBytes int64             `json:"body_bytes"`          // of all that was sent, read or not
	Truncated bool              `json:"truncated,omitempty"` // Body is not all of it
	Tries     int               `json:"tries"`
	Seconds   float64           `json:"seconds"`    // the last try, to the end of its body
	FirstByte float64           `json:"first_byte"` // of that, until the answer began
}

// Describe implements jobtype.Describer.
func (*HTTP) Describe() jobtype.Description {
	return jobtype.Description{Name: "http", Summary: "sends one HTTP request and keeps the answer",
		Example: map[string]any{"method": "POST", "url": "https://example.org/api/backup", "headers": map[string]string{"Content-Type": "application/json"}, "body": `{"full":true}`, "retries": 3}}
}

// again are the statuses after which another try may help.
var again = []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
	http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// maxBackoff bounds what is waited between two tries.
const maxBackoff = 5 * time.Minute

// Execute implements jobtype.Type.
func (h *HTTP) Execute(ctx context.Context, run *jobtype.Run) error {
	address, err := url.Parse(h.URL)
	if err != nil || address.Host == "" {
		return jobtype.NoRetry(fmt.Errorf("%q is no address: give one as https://example.org/path", h.URL))
	}
	wait := h.Backoff
	for try := 1; ; try++ {
		run.Progress(0, fmt.Sprintf("%s %s, try %d of %d", h.Method, address.Redacted(), try, h.Retries+1))
		result, err := h.try(ctx, run)
		if result != nil {
			result.Tries = try
			if err := run.Result(result); err != nil {
				return err
			}
			if h.expects(result.Status) {
				run.Progress(100, fmt.Sprintf("%d %s", result.Status, http.StatusText(result.Status)))
				return nil
			}
			err = fmt.Errorf("the answer is %d %s, which is not expected", result.Status, http.StatusText(result.Status))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if result != nil && !slices.Contains(again, result.Status) {
			return jobtype.NoRetry(err)
		}
		pause := wait
		if result != nil {
			pause = max(pause, retryAfter(result.Headers["Retry-After"]))
		}
		if try > h.Retries {
			if result == nil {
				return err
			}
			return jobtype.RetryAfter(err, pause)
		}
		pause = min(pause, maxBackoff)
		run.Logger().Warn("the request failed", "try", try, "error", err, "next_try_in", pause.String())
		run.Status(fmt.Sprintf("try %d failed, the next in %s", try, pause))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		wait = min(2*wait, maxBackoff)
	}
}

func (h *HTTP) expects(status int) bool {
	if len(h.Expected) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(h.Expected, status)
}

// try sends the request once. There is a result where there was an answer.
func (h *HTTP) try(ctx context.Context, run *jobtype.Run) (*HTTPResult, error) {
	if h.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("no whole answer within %s", h.Timeout))
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, h.Method, h.URL, strings.NewReader(h.Body))
	if err != nil {
		return nil, jobtype.NoRetry(err)
	}
	for _, headers := range []map[string]string{h.Headers, h.SecretHeaders} {
		for name, value := range headers {
			req.Header.Set(name, value)
			if strings.EqualFold(name, "Host") {
				req.Host = value
			}
		}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "queuemgr")
	}
	client := &http.Client{CheckRedirect: h.follow}
	begin := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return nil, h.failed(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	result := &HTTPResult{Status: resp.StatusCode, URL: resp.Request.URL.Redacted(), Headers: map[string]string{}, FirstByte: time.Since(begin).Seconds()}
	for name, values := range resp.Header {
		if name != "Set-Cookie" { // whoever may see the job would be logged in as it
			result.Headers[name] = strings.Join(values, ", ")
		}
	}
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(resp.Body, maxBody))
	if err == nil {
		var rest int64
		rest, err = io.Copy(io.Discard, resp.Body)
		result.Truncated, n = rest > 0, n+rest
	}
	if err != nil {
		return nil, h.failed(ctx, fmt.Errorf("the answer broke off: %w", err))
	}
	result.Body, result.BodyBytes, result.Seconds = text(body.Bytes()), n, time.Since(begin).Seconds()
	run.Logger().Info("answered", "status", result.Status, "bytes", n, "seconds", result.Seconds)
	return result, nil
}

// follow bounds redirects, and takes secrets to no other host: http.Client keeps only those headers back
// that it knows of.
func (h *HTTP) follow(req *http.Request, via []*http.Request) error {
	if h.Redirects == 0 {
		return http.ErrUseLastResponse
	}
	if len(via) > h.Redirects {
		return fmt.Errorf("more than %d redirects", h.Redirects)
	}
	if first := via[0].URL; req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		for name := range h.SecretHeaders {
			req.Header.Del(name)
		}
	}
	return nil
}

// failed returns the error of a request without an answer.
func (h *HTTP) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // its words have the address, which may hold a password
	}
	return fmt.Errorf("%s %s: %w", h.Method, redacted(h.URL), err)
}

func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Redacted()
}

// retryAfter returns how long a server asks to be left alone: seconds, or a date.
func retryAfter(header string) time.Duration {
	if n, err := strconv.Atoi(header); err == nil && n >= 0 {
		return time.Duration(min(n, int(maxBackoff/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// text returns b as UTF-8. A character that is cut through at its end is left out.
func text(b []byte) string {
	for i := 1; i <= min(utf8.UTFMax-1, len(b)); i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				b = b[:len(b)-i]
			}
			break
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
