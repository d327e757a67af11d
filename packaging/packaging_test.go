package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestExposure holds the daemon's unit to its sandbox: systemd's own measure, 0 (safe) to 10.
func TestExposure(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	unit := filepath.Join(t.TempDir(), "queuemgr.service")
	if err := os.WriteFile(unit, File("queuemgr.service", map[string]string{"@PREFIX@": "/opt/queuemgr"}), 0o600); err != nil {
		t.Fatal(err)
	}
	// The threshold is in tenths.
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
