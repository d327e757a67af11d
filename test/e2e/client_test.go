package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGeneratedClient has a public generator make a Go client of the OpenAPI document, and drives the
// daemon with it over TCP. web/test/client.test.ts is the same in TypeScript.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	p := newPage(t, "")
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join("..", "client", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, document := p.fetch(200, "GET", "/api/openapi.json", "", bearer(p.must("token", "add", "reader", "-q", "--role", "viewer"))...)
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "api"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(p.ctx, args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("go", "mod", "download"); err != nil {
		t.Skipf("the generator can't be fetched: %v\n%s", err, out)
	}
	for _, args := range [][]string{
		{"go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "api", "-o", "api/api.gen.go", "openapi.json"},
		{"go", "build", "-o", "client", "."},
		{"./client", p.url(), p.must("token", "add", "client", "-q", "--role", "operator")},
	} {
		if out, err := run(args...); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
}
