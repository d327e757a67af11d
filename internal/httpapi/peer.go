package httpapi

import (
	"context"
	"net"
	"os/user"
	"strconv"
	"sync"

	"github.com/queuemgr/queuemgr/job"
	"golang.org/x/sys/unix"
)

// ConnContext is for http.Server.ConnContext: it puts the process at the other end of a unix
// connection into the context as job.Caller. The kernel took its user at connect(2); what the
// process becomes later does not count. Other connections are left as they are.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return ctx // closed already: nobody will ask
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return ctx // no caller: whoAsks refuses
	}
	return job.WithCaller(ctx, job.Caller{UID: cred.Uid, GID: cred.Gid, Name: userName(cred.Uid)})
}

// userNames keeps the names that were found: reading /etc/passwd costs more than a request. A
// number without a name is asked for again, for it may get one.
var userNames sync.Map // uint32 → string

func userName(uid uint32) string {
	if name, ok := userNames.Load(uid); ok {
		return name.(string)
	}
	number := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(number)
	if err != nil {
		return number // a user without a name: a job's owner is the number then
	}
	userNames.Store(uid, u.Username)
	return u.Username
}
