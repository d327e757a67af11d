package hooks

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// TestDocumentedVerification runs what docs/hooks.md tells receivers to do, on what is sent.
func TestDocumentedVerification(t *testing.T) {
	text, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	secret, body := "it's a $ecret of 24 bytes", []byte(`{"event":"failure","job":{"id":7,"name":"ä \"b\""}}`)
	now := strconv.FormatInt(time.Now().Unix(), 10)
	old := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	for _, l := range []struct{ language, needs, run string }{
		{"python", "python3", "\nimport sys\nbody = open('body', 'rb').read()\nsys.exit(0 if verify(sys.argv[1].encode(), sys.argv[2], sys.argv[3], body) else 1)\n"},
		{"sh", "openssl", "\nverify \"$@\"\n"},
	} {
		if _, err := exec.LookPath(l.needs); err != nil {
			t.Skipf("%s is not here", l.needs)
		}
		found := regexp.MustCompile("(?s)```" + l.language + "\n(.*?)```").FindSubmatch(text)
		if found == nil {
			t.Fatalf("docs/hooks.md has no block of %s", l.language)
		}
		dir := t.TempDir()
		for name, content := range map[string]string{"body": string(body), "verify": string(found[1]) + l.run} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		program := map[string]string{"python": "python3", "sh": "sh"}[l.language]
		for _, c := range []struct {
			timestamp, signature string
			want                 bool
		}{
			{now, sign([]byte(secret), now, body), true},
			{now, sign([]byte("another secret"), now, body), false},
			{now, sign([]byte(secret), old, body), false},
			{now, sign([]byte(secret), now, body[1:]), false},
			{old, sign([]byte(secret), old, body), l.language == "sh"}, // which leaves the age to its reader
		} {
			cmd := exec.CommandContext(t.Context(), program, "verify", secret, c.timestamp, c.signature)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if (err == nil) != c.want {
				t.Errorf("%s takes %+v: %v\n%s", l.language, c, err, out)
			}
		}
	}
}

func TestBackoff(t *testing.T) {
	b := Backoff{First: time.Second, Cap: 5 * time.Minute}
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 1000: 5 * time.Minute} {
		if got := b.delay(n, 1); got != want {
			t.Errorf("after %d failures %s, want %s", n, got, want)
		}
		if got := b.delay(n, 0); got != want/2 {
			t.Errorf("after %d failures at least %s, want %s", n, got, want/2)
		}
	}
}
