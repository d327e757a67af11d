package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// Web is where and how the API and the page are served over TCP.
type Web struct {
	Listen      string   // ADDRESS:PORT; "" = not at all; port 0 = any that is free
	Hosts       []string // names beside the machine's own by which the page may be asked for
	TLS         string   // "auto" = a certificate of the service's own; "" = TLSCert, or none
	TLSCert     string   // file, with TLSKey
	TLSKey      string
	BehindProxy bool // a proxy in front speaks TLS and says from where a request comes
}

// Encrypted reports whether the port speaks TLS.
func (w Web) Encrypted() bool { return w.TLS != "" || w.TLSCert != "" }

// listenAllowed says what web.listen may be.
const listenAllowed = `it must be ADDRESS:PORT, as "127.0.0.1:5000" or "[::]:5000" (port 0 = any that is free), or "off"`

// readListen reads an address to listen on; "" is off.
func readListen(word string) (string, error) {
	if word == "" || word == "off" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(word)
	if err != nil {
		return "", bad(word, listenAllowed)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || host != "" && !isHost(host) {
		return "", bad(word, listenAllowed)
	}
	return word, nil
}

// readTLS reads what kind of certificate is used.
func readTLS(word string) (string, error) {
	if word != "" && word != "auto" {
		return "", bad(word, `it must be "auto", a certificate of the service's own; for one of yours set tls_cert and tls_key`)
	}
	return word, nil
}

// isHost reports whether word is an address or a name of a machine, without a port.
func isHost(word string) bool {
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	if len(word) > 253 {
		return false
	}
	for label := range strings.SplitSeq(word, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return true
}

// loopback reports whether only this machine can reach an address to listen on. A name is trusted
// to be one only where it is localhost: what another one means is up to a name server.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// checkWeb refuses settings of [web] that do not go together, and above all a port that others can
// reach without TLS: who reads along has the login, and with it may run anything.
func (c *Config) checkWeb() error {
	w := &c.Web
	refuse := func(key, message, hint string) error {
		return &job.Error{Code: job.Invalid, Field: key, Message: fmt.Sprintf("%s: %s: %s", c.origin(key), key, message), Hint: hint}
	}
	for _, host := range w.Hosts {
		if !isHost(host) {
			return refuse("web.hosts", fmt.Sprintf("%q is no name of a machine", host), `give names or addresses without a port, as ["queue.example.org"]`)
		}
	}
	switch {
	case (w.TLSCert == "") != (w.TLSKey == ""):
		given, missing := "web.tls_cert", "web.tls_key"
		if w.TLSCert == "" {
			given, missing = missing, given
		}
		return refuse(given, "it is of no use without "+missing, "set both, or neither")
	case w.TLS != "" && w.TLSCert != "":
		return refuse("web.tls", "there is a certificate in web.tls_cert already", "leave one of them out")
	case w.Listen != "" && !loopback(w.Listen) && !w.Encrypted() && !w.BehindProxy:
		return refuse("web.listen", fmt.Sprintf("others than this machine could reach %s, and read every login along: there is no TLS", w.Listen),
			`set tls = "auto" below it, or tls_cert and tls_key; behind_proxy = true where a proxy that speaks TLS is in front; or listen on 127.0.0.1`)
	}
	return nil
}
