package guest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	suite     = "bookworm"
	imageSize = 4 << 30 // bytes, sparse: what a guest's disk may grow to
)

// recipe is the shell script that makes the Debian; it and nothing else is the key of what is kept.
//
//go:embed debian.sh
var recipe string

// debian finds the kept Debian or makes it. Runs at the same time wait for each other here.
func (g *Ground) debian(ctx context.Context, cache string, log func(string, ...any)) error {
	lock, err := lockFile(filepath.Join(cache, ".lock"), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	key := fmt.Sprintf("%x", sha256.Sum256([]byte(suite+recipe)))[:12]
	kept := filepath.Join(cache, "debian-"+key)
	g.rootfs, g.image = filepath.Join(kept, "root"), filepath.Join(kept, "disk.img")
	if _, err := os.Stat(kept); err == nil {
		return nil
	}
	log("making the guests' Debian; kept as %s", kept)
	fresh := filepath.Join(g.dir, "debian")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	// In keeper's namespaces neither a failure nor an interruption leaves debootstrap's mounts behind.
	// It works in memory: on disk dpkg's syncs make it three times as slow.
	power, err := g.power(ctx, []string{"-cgroup=" + g.name("debian"), "-tmpfs=/mnt:2G"}, nil,
		"sh", "-euc", recipe, "debian.sh", suite, fresh, mirror(ctx))
	if err != nil {
		return err
	}
	if code := power.wait(); code != 0 {
		return fmt.Errorf("make the guests' Debian: exit %d\n%s", code, power.console.tail(40))
	}
	img := filepath.Join(fresh, "disk.img")
	if err := os.WriteFile(img, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(img, imageSize); err != nil {
		return err
	}
	if err := runQuiet(exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-d", filepath.Join(fresh, "root"), img)); err != nil {
		return err
	}
	return os.Rename(fresh, kept)
}

// mirror is where this machine's apt gets the suite from; "" leaves it to debootstrap.
func mirror(ctx context.Context) string {
	if m := os.Getenv("QUEUEMGR_TEST_MIRROR"); m != "" {
		return m
	}
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)").Output()
	if err != nil {
		return "" // no Debian here
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == suite && f[1] == "main" {
			return f[2]
		}
	}
	return ""
}
