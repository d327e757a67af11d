package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// get asks and decodes the answer into out. A daemon that goes away meanwhile
// is waited for, up to limit.
func (c *Client) get(ctx context.Context, limit time.Duration, path string, out any) error {
	return c.again(ctx, limit, func() error { return c.call(ctx, http.MethodGet, path, nil, out) })
}

// call asks and decodes the answer into out; in and out may be nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := encode(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.send(ctx, method, path, nil, body)
	if err != nil {
		return err
	}
	defer drain(resp.Body)
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return c.broken(ctx, err, method, true)
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, &job.Error{Code: job.Invalid, Message: fmt.Sprintf("this cannot be sent as JSON: %v", err), Err: err}
	}
	return b.Bytes(), nil
}

// drain reads what is left of an answer, for the connection to be used again.
func drain(body io.ReadCloser) {
	// A connection that cannot be used again costs the next request a new one, nothing else.
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 64<<10))
	_ = body.Close()
}

// send returns the answer to a request if it is no error. The caller closes its body.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, &job.Error{Code: job.Invalid, Message: fmt.Sprintf("bad address of a daemon: %v", err), Hint: "give one like http://127.0.0.1:5000", Err: err}
	}
	for _, h := range []http.Header{c.o.Header, header} {
		for name, values := range h {
			req.Header[name] = values
		}
	}
	if body != nil {
		req.Header["Content-Type"] = jsonType
	}
	// The transport asks again by itself where a kept connection breaks: its error is then that of
	// the dial, though the daemon had the request.
	reached := false
	if method == http.MethodGet {
		req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached = true }}))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.broken(ctx, err, method, reached)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		c.answered()
		return resp, nil
	}
	defer drain(resp.Body)
	err = problem(resp)
	if !gone(err) { // a daemon that is ending says so
		c.answered()
	}
	return nil, err
}

var jsonType = []string{"application/json"}

// jobPath returns the path of a job by number; rest begins with a slash or is empty.
func jobPath(id int64, rest string) string { return fmt.Sprintf("/api/jobs/%d%s", id, rest) }

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
