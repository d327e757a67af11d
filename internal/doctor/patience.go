package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/queuemgr/queuemgr/internal/systemd"
)

// execWithin is how long one program may take.
const execWithin = 10 * time.Second

// patient bounds the time of programs and tells of those that exceed it. Such a one is not run again: all that is
// left of the time is for the others.
func (e *exam) patient(run systemd.Exec) systemd.Exec {
	hangs := map[string]error{}
	return func(ctx context.Context, name string, args ...string) (string, error) {
		if err := hangs[name]; err != nil {
			return "", err
		}
		bounded, cancel := context.WithTimeout(ctx, execWithin)
		defer cancel()
		out, err := run(bounded, name, args...)
		if err == nil || bounded.Err() == nil {
			return out, err
		}
		program := filepath.Base(name)
		hangs[name] = fmt.Errorf("%s does not end: %w", program, bounded.Err())
		e.add(Skipped, "", "", "%s did not end and was killed: what it would have told is not known", program)
		return "", hangs[name]
	}
}
