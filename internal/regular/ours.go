package regular

import "bytes"

// IsOurs reports whether a file, by its text, was put there by an installation of this program: each unit begins
// with the mark. The Python service had units of the same names.
func IsOurs(text []byte) bool { return bytes.HasPrefix(text, []byte("# Installed by queuemgr")) }
