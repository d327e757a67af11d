package tcp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// ownHolds is how long a certificate of the service's own holds: browsers refuse ones of more
	// than 825 days. It is made anew ownRenew before its end.
	ownHolds = 820 * 24 * time.Hour
	ownRenew = 30 * 24 * time.Hour
)

// Certificate is a certificate that can be read again while it is in use.
type Certificate struct {
	load func() (*tls.Certificate, error)
	own  bool
	now  func() time.Time

	loading sync.Mutex
	inUse   atomic.Pointer[tls.Certificate]
}

// FromFiles is a certificate in files, PEM.
func FromFiles(cert, key string) *Certificate {
	return &Certificate{load: func() (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s with the key %s can't be used: %w", cert, key, err)
		}
		return &c, nil
	}}
}

// Own is a certificate that is made where there is none, signed by itself, and kept with its key in
// the file path. It is for this machine and for what names returns, at each Load: names and addresses.
func Own(path string, names func() []string, now func() time.Time) *Certificate {
	c := &Certificate{own: true, now: now}
	c.load = func() (*tls.Certificate, error) {
		names := names()
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the service's own certificate can't be read: %w", err)
		}
		if err == nil {
			kept, err := tls.X509KeyPair(text, text)
			if err == nil && now().Add(ownRenew).Before(kept.Leaf.NotAfter) && covers(kept.Leaf, names) {
				return &kept, nil
			}
		}
		return makeOwn(path, names, now())
	}
	return c
}

func covers(leaf *x509.Certificate, names []string) bool {
	for _, name := range names {
		if leaf.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

func makeOwn(path string, names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "queuemgr"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ownHolds),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range append([]string{"localhost", "127.0.0.1", "::1"}, names...) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	var text bytes.Buffer
	for kind, block := range map[string][]byte{"CERTIFICATE": der, "PRIVATE KEY": keyDER} {
		if err := pem.Encode(&text, &pem.Block{Type: kind, Bytes: block}); err != nil {
			return nil, err
		}
	}
	if err := writeSecret(path, text.Bytes()); err != nil {
		return nil, fmt.Errorf("keep the service's own certificate: %w", err)
	}
	made, err := tls.X509KeyPair(text.Bytes(), text.Bytes())
	return &made, err
}

// writeSecret writes a file that only its owner may read, all of it or nothing.
func writeSecret(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Load reads the certificate, again where it is in use. After an error the one before stays in use.
func (c *Certificate) Load() error {
	c.loading.Lock()
	defer c.loading.Unlock()
	fresh, err := c.load()
	if err != nil {
		return err
	}
	c.inUse.Store(fresh)
	return nil
}

// Ready loads the certificate unless one is in use.
func (c *Certificate) Ready() error {
	if c.inUse.Load() != nil {
		return nil
	}
	return c.Load()
}

// Config is what a server speaks TLS with.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		now := c.inUse.Load()
		if now == nil {
			return nil, errors.New("there is no certificate")
		}
		if c.own && !c.now().Add(ownRenew/2).Before(now.Leaf.NotAfter) && c.Load() == nil {
			now = c.inUse.Load() // a service that has run for years
		}
		return now, nil
	}}
}

// Fingerprint returns the SHA-256 of a certificate of the service's own, as browsers show it; "" for
// others, which somebody else vouches for.
func (c *Certificate) Fingerprint() string {
	now := c.inUse.Load()
	if !c.own || now == nil {
		return ""
	}
	sum := sha256.Sum256(now.Certificate[0])
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}
