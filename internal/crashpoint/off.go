//go:build !crashpoint

// Package crashpoint names the places between two steps of the start/exit protocol where a test
// build can be made to die as by SIGKILL. In a normal build a crash point costs nothing.
package crashpoint

// Here is a crash point. In a build with the tag crashpoint the process kills itself with SIGKILL
// when QUEUEMGR_CRASH is "NAME" or "NAME:N" (at the Nth time it gets here, counting from 1).
func Here(string) {}
