package tcp_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/tcp"
)

func TestOwnCertificate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.pem")
	now := time.Now()
	clock := func() time.Time { return now }
	load := func(names ...string) *tcp.Certificate {
		t.Helper()
		c := tcp.Own(path, func() []string { return names }, clock)
		if c.Fingerprint() != "" {
			t.Error("a fingerprint of nothing")
		}
		if err := c.Ready(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := load("queue.lan", "10.0.0.7")
	if len(first.Fingerprint()) != 32*3-1 {
		t.Errorf("the fingerprint is %q", first.Fingerprint())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	given, err := first.Config().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"queue.lan", "10.0.0.7", "localhost", "127.0.0.1", "::1"} {
		if err := given.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if load("queue.lan").Fingerprint() != first.Fingerprint() {
		t.Error("a certificate that was kept is not used")
	}
	second := load("other.lan")
	if second.Fingerprint() == first.Fingerprint() {
		t.Error("the certificate is not for its new name")
	}
	now = now.Add(800 * 24 * time.Hour)
	if load("other.lan").Fingerprint() == second.Fingerprint() {
		t.Error("a certificate that is nearly over is used again")
	}
	was := second.Fingerprint()
	now = now.Add(10 * 24 * time.Hour)
	if _, err := second.Config().GetCertificate(&tls.ClientHelloInfo{}); err != nil || second.Fingerprint() == was {
		t.Errorf("one that is in use for years is not made anew: %v", err)
	}
	if err := os.WriteFile(path, []byte("oops"), 0o600); err != nil {
		t.Fatal(err)
	}
	if load().Fingerprint() == "" {
		t.Error("a damaged one is not made anew")
	}
}

// TestOwnCertificateForANewName is made anew when the names have changed by the next Load: they are a
// setting that can be read again.
func TestOwnCertificateForANewName(t *testing.T) {
	names := []string{"queue.lan"}
	c := tcp.Own(filepath.Join(t.TempDir(), "web.pem"), func() []string { return names }, time.Now)
	if err := c.Load(); err != nil {
		t.Fatal(err)
	}
	was := c.Fingerprint()
	names = append(names, "new.lan")
	if err := c.Load(); err != nil || c.Fingerprint() == was {
		t.Fatalf("after the names have changed: %v", err)
	}
	now, err := c.Config().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil || now.Leaf.VerifyHostname("new.lan") != nil || now.Leaf.VerifyHostname("queue.lan") != nil {
		t.Errorf("%v %v", now, err)
	}
}

func TestCertificateFromFiles(t *testing.T) {
	dir := t.TempDir()
	a, b, file := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "file")
	for _, path := range []string{a, b} {
		if err := tcp.Own(path, func() []string { return nil }, time.Now).Load(); err != nil {
			t.Fatal(err)
		}
	}
	c := tcp.FromFiles(file, file)
	if c.Ready() == nil {
		t.Error("a file that is not there can be used")
	}
	use := func(path string) []byte {
		t.Helper()
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err == nil {
			err = c.Load()
		}
		if err != nil {
			t.Fatal(err)
		}
		now, err := c.Config().GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return now.Certificate[0]
	}
	first := use(a)
	if string(use(b)) == string(first) {
		t.Error("it was not read again")
	}
	if err := os.WriteFile(file, []byte("oops"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.Load() == nil {
		t.Error("a damaged file was taken")
	}
	if _, err := c.Config().GetCertificate(&tls.ClientHelloInfo{}); err != nil || c.Fingerprint() != "" {
		t.Errorf("after a bad reload: %v", err)
	}
}
