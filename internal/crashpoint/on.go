//go:build crashpoint

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	name      string
	remaining atomic.Int64
)

func init() {
	var n string
	var found bool
	name, n, found = strings.Cut(os.Getenv("QUEUEMGR_CRASH"), ":")
	count := int64(1)
	if found {
		var err error
		if count, err = strconv.ParseInt(n, 10, 64); err != nil || count < 1 {
			panic("QUEUEMGR_CRASH: want NAME or NAME:N with N >= 1")
		}
	}
	remaining.Store(count)
}

// Here is a crash point; see the package comment.
func Here(at string) {
	if at != name || remaining.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // cannot fail for oneself
	select {}
}
