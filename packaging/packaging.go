// Package packaging holds what an installation puts beside the binaries.
package packaging

import (
	"embed"
	"strings"
)

//go:embed queuemgr.service queuemgr-runner.service user tmpfiles.conf logrotate.conf run-as.toml
var files embed.FS

// File returns the file called name with each key of values, as @PREFIX@, replaced. A name that does
// not exist is a mistake in the program and panics.
func File(name string, values map[string]string) []byte {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	text := string(data)
	for key, value := range values {
		text = strings.ReplaceAll(text, key, value)
	}
	return []byte(text)
}
