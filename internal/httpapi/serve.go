package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Bounds of the server.
const (
	headerTimeout  = 10 * time.Second // for a request's header to come
	idleTimeout    = 5 * time.Minute  // of a kept connection
	maxHeaderBytes = 256 << 10        // a selector of thousands of numbers is in the URL

	// Over TCP anybody may connect.
	tcpIdleTimeout    = 2 * time.Minute
	tcpMaxHeaderBytes = 64 << 10
)

// Serve answers on l until ctx ends. Then it takes no more connections, ends streams and long polls
// at once, gives other requests up to drain to be answered, and closes what is left. It returns
// when nothing is served any more; l is closed.
func (h *Handler) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	srv := h.Server()
	return h.serveUntil(ctx, srv, func() error { return srv.Serve(l) }, drain, h.endStreams)
}

// ServeTCP is Serve for a listener that anybody may reach; with secrets it speaks TLS. That it ends
// with an error ends nothing that others serve.
func (h *Handler) ServeTCP(ctx context.Context, l net.Listener, secrets *tls.Config, drain time.Duration) error {
	srv := h.Server()
	srv.IdleTimeout, srv.MaxHeaderBytes, srv.TLSConfig = tcpIdleTimeout, tcpMaxHeaderBytes, secrets
	l = limitConnections(l)
	return h.serveUntil(ctx, srv, func() error {
		if secrets == nil {
			return srv.Serve(l)
		}
		return srv.ServeTLS(l, "", "")
	}, drain, func() {})
}

func (h *Handler) serveUntil(ctx context.Context, srv *http.Server, serve func() error, drain time.Duration, failed func()) error {
	served := make(chan error, 1)
	go func() { served <- serve() }()
	select {
	case err := <-served:
		failed()
		return errors.Join(fmt.Errorf("serve HTTP: %w", err), srv.Close())
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := srv.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// Server returns an http.Server for h with all its bounds set. Its Shutdown ends streams at once.
// It serves one life: h answers no streams after that.
func (h *Handler) Server() *http.Server {
	srv := &http.Server{
		Handler: h, ConnContext: ConnContext,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(h.o.Log.Handler(), slog.LevelDebug),
	}
	srv.RegisterOnShutdown(h.endStreams)
	return srv
}
