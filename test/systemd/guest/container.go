package guest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// makeContainer makes what an overlay over the kept Debian needs.
func (v *Guest) makeContainer() error {
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(v.dir, name), 0o755); err != nil {
			return err
		}
	}
	// The agent dials this socket, at each boot anew. By its folder's descriptor its name is short enough
	// wherever the checkout is.
	shared, err := os.Open(v.shared())
	if err != nil {
		return err
	}
	defer shared.Close()
	name := fmt.Sprintf("/proc/self/fd/%d/agent.sock", shared.Fd())
	listener, err := new(net.ListenConfig).Listen(v.t.Context(), "unix", name)
	if err != nil {
		return err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // by then the descriptor is another's; the folder goes
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			v.link.serve(conn)
			conn.Close()
		}
	}()
	v.hangUp = func() { // the guest is off, so no conversation is left
		listener.Close()
		<-served
	}
	return nil
}

func (v *Guest) startContainer(ctx context.Context) error {
	in := func(name string) string { return filepath.Join(v.dir, name) }
	name := v.ground.name(filepath.Base(v.dir))
	var err error
	v.power, err = v.ground.power(ctx, []string{
		"-cgroup=" + name, "-remove=" + v.dir,
		"-overlay=" + in("root") + ":" + v.ground.rootfs + ":" + in("upper") + ":" + in("work"),
		"-tmpfs=/run:64M", // nspawn leaves folders there
	}, nil,
		"systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--resolv-conf=off", "--timezone=off",
		"--link-journal=no", "--machine="+filepath.Base(v.dir), "--hostname=guest", "--console=pipe",
		"--bind="+v.shared()+":/ground", "--directory="+in("root"), "--boot")
	return err
}
