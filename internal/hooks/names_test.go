package hooks

import (
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestReceiverNames keeps accounts and addresses apart, and shows nothing of a secret in a path.
func TestReceiverNames(t *testing.T) {
	command, one, two := &job.Hook{Command: []string{"true"}}, &job.Hook{URL: "https://hooks.example.org/secret1"}, &job.Hook{URL: "https://hooks.example.org/secret2"}
	names := map[string]bool{}
	for _, uid := range []uint32{0, 1000, job.NoUID} {
		for _, h := range []*job.Hook{command, one, two} {
			name := receiverOf("job/1", h, uid)
			if names[name] || strings.Contains(name, "secret") {
				t.Errorf("user %d, %+v: %s", uid, h, name)
			}
			names[name] = true
		}
	}
	if got := receiverOf("job/1", command, 1000); got != "job/1@1000" {
		t.Errorf("a command's receiver is %s", got)
	}
	if a, b := receiverOf("job/1", one, 1000), receiverOf("job/2", one, 1000); a != b {
		t.Errorf("one address is two receivers: %s, %s", a, b)
	}
}
