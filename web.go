package queuemgr

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/internal/tcp"
	"github.com/queuemgr/queuemgr/job"
)

// web is the port that the page is served on.
type web struct {
	d       *daemon
	c       config.Web
	port    *tcp.Port
	cert    *tcp.Certificate // nil = no TLS
	handler *httpapi.Handler // set before the port is opened
}

// newWeb returns the port of the settings, nil where none is wanted.
func (d *daemon) newWeb() *web {
	w := &web{d: d, c: d.c.Web}
	if w.c.Listen == "" {
		return nil
	}
	switch {
	case w.c.TLS != "":
		w.cert = tcp.Own(d.c.Paths.WebCertificate(), w.names, time.Now)
	case w.c.TLSCert != "":
		w.cert = tcp.FromFiles(w.c.TLSCert, w.c.TLSKey)
	}
	o := tcp.Options{Listen: w.c.Listen, Loopback: !w.c.Encrypted() && !w.c.BehindProxy, Log: d.log, Serve: w.serve}
	if w.cert != nil {
		o.Ready = w.cert.Ready
	}
	w.port = tcp.New(o)
	return w
}

func (w *web) serve(ctx context.Context, l net.Listener) error {
	var secrets *tls.Config
	if w.cert != nil {
		secrets = w.cert.Config()
	}
	return w.handler.ServeTCP(ctx, l, secrets, httpGrace)
}

// reload takes over what can change while the daemon runs.
func (w *web) reload() {
	if w == nil {
		return
	}
	if w.cert != nil {
		if err := w.cert.Load(); err != nil {
			w.d.log.Error("the certificate can't be read again: the one before stays", "error", err)
		}
	}
	w.port.Again()
}

// names returns what this machine is called beside its addresses, as far as others reach the port.
func (w *web) names() []string {
	names := append([]string{}, w.d.now.Load().Web.Hosts...)
	host, _, err := net.SplitHostPort(w.c.Listen)
	if err != nil {
		return names
	}
	ip, err := netip.ParseAddr(host)
	if err == nil && ip.IsLoopback() || host == "localhost" {
		return names
	}
	if host != "" && (err != nil || !ip.IsUnspecified()) {
		names = append(names, host)
	}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	return names
}

// status says how the page is served.
func (w *web) status() *job.WebStatus {
	if w == nil {
		return nil
	}
	s := &job.WebStatus{Listen: w.c.Listen}
	addr, problem := w.port.State()
	if s.Problem = problem; addr != nil {
		s.URL = w.url(addr)
	}
	if w.cert != nil {
		s.Fingerprint = w.cert.Fingerprint()
	}
	return s
}

// url returns the address of the page for people.
func (w *web) url(addr net.Addr) string {
	hosts := w.d.now.Load().Web.Hosts
	if w.c.BehindProxy && len(hosts) > 0 {
		return "https://" + hosts[0] + "/"
	}
	host, _, _ := net.SplitHostPort(w.c.Listen) // was checked when the settings were read
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		if host = "127.0.0.1"; w.c.Encrypted() {
			if names := w.names(); len(names) > 0 {
				host = names[0]
			}
		}
	}
	scheme := "http://"
	if w.cert != nil {
		scheme = "https://"
	}
	_, port, _ := net.SplitHostPort(addr.String()) // is of a listener
	return scheme + net.JoinHostPort(host, port) + "/"
}

// openGate makes what knows who may ask; admin and operators are those of the settings.
func (d *daemon) openGate(ctx context.Context, roles func(job.Caller) job.Role, audit *auth.Recorder) (*auth.Gate, error) {
	return auth.OpenGate(ctx, auth.GateOptions{Store: d.store, Audit: audit, Now: time.Now, RoleOf: roles, UserName: userNames(user.LookupId), Page: d.web.status, Log: d.log,
		Settings: func() []job.Setting {
			var settings []job.Setting
			for _, v := range d.now.Load().Values() {
				settings = append(settings, job.Setting{Key: v.Key, Value: v.Value, Source: v.Origin})
			}
			return settings
		}})
}

// userNames returns who users are now, by lookup: one who is gone must not keep a login. Only the names
// of root and the daemon's own user are remembered. That nobody can be looked up now says nothing of them.
func userNames(lookup func(number string) (*user.User, error)) func(uid uint32) (string, error) {
	var known sync.Map // uint32 → string
	return func(uid uint32) (string, error) {
		if name, ok := known.Load(uid); ok {
			return name.(string), nil
		}
		number := strconv.FormatUint(uint64(uid), 10)
		u, err := lookup(number)
		if gone := user.UnknownUserIdError(0); errors.As(err, &gone) {
			return number, nil
		}
		if err != nil {
			return "", fmt.Errorf("look up the user %s: %w", number, err)
		}
		if uid == 0 || uid == uint32(os.Geteuid()) {
			known.Store(uid, u.Username)
		}
		return u.Username, nil
	}
}
