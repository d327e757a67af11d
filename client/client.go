// Package client talks to a queuemgr daemon. Client implements job.Service over the daemon's unix
// socket, or over TCP where it serves that. It imports the standard library only.
//
// Errors are *job.Error as the daemon made them, so that errors.As and job.CodeOf tell what to do.
// A daemon that cannot be reached is job.Unavailable. What lasts (WaitJob, Events, a followed log)
// survives a restart of the daemon: it connects again with growing pauses until its context ends.
// So do other requests that only read, for as long as Options.Patience says.
package client

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Options says where the daemon is. One of Socket and BaseURL is given.
type Options struct {
	Socket  string // path of the unix socket
	BaseURL string // like http://127.0.0.1:5000
	// Header is sent with every request, for a login. May be nil.
	Header http.Header
	// Patience is how long a request that only reads waits for a daemon that went away while it was
	// asked, and is then asked again; 0 = not at all. A daemon that is not there when it is first
	// asked is an error at once.
	Patience time.Duration
	// Away is called with the reason when a daemon that was there is away and waited for, and with
	// nil when it answers again: once each for a loss, however many requests wait. The request that
	// met it goes on when Away returns. May be nil.
	Away func(reason error)
}

// Forever as Options.Patience waits until the request's context ends.
const Forever time.Duration = 1<<63 - 1

// Client is a daemon as seen from another process. It is safe for concurrent use.
type Client struct {
	o    Options
	base string // URL of the daemon, without a slash at the end
	http *http.Client
	away atomic.Bool // Options.Away was told of a loss and of no return yet
}

var _ job.Service = (*Client)(nil)

// New returns a client. It connects when it is first asked something, and keeps connections for
// the next; Close lets go of them.
func New(o Options) *Client {
	c := &Client{o: o, base: strings.TrimSuffix(o.BaseURL, "/")}
	t := &http.Transport{
		MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, // below the daemon's own limit
		DisableCompression: true, ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10,
	}
	if o.Socket != "" {
		c.base = "http://queuemgr"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", o.Socket)
		}
	} else {
		t.Proxy = http.ProxyFromEnvironment
	}
	c.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c
}

// Close closes the connections that are kept for the next request. Requests in work go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }
