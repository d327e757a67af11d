package job

import (
	"fmt"
	"strings"
)

// CheckTypeName returns an Invalid error for a name that no job type may have.
func CheckTypeName(name string) error {
	ok := name != "" && len(name) <= 64 && name[0] != '-' && name[0] != '.'
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}
	if !ok {
		return invalid("type", fmt.Sprintf("bad type name %q", name), "1 to 64 of A-Z a-z 0-9 . _ -, not beginning with . or -")
	}
	return nil
}
