package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aymanbagabas/go-udiff"
)

// once is a step that writes a settings file where there is none. One that is there is never
// written; only its owner and mode are seen to.
func (r *run) once(name string, data []byte, mode fs.FileMode, own owner) step {
	if now, err := os.ReadFile(r.path(name)); err == nil {
		data = now
	}
	return r.file(name, data, mode, own)
}

// defaults is where the default settings that the administrator has seen are kept.
func (r *run) defaults() string { return filepath.Join(r.prefix, "share", "config.toml") }

// newDefaults is a step that shows what has changed in the default settings since they were last
// shown, and puts them beside the settings that are in force.
func (r *run) newDefaults() step {
	fresh := []byte(r.Assets.Config)
	return step{
		todo: func(context.Context) (string, error) {
			seen, err := os.ReadFile(r.path(r.defaults()))
			switch {
			case err == nil && bytes.Equal(seen, fresh):
				return "", nil
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return "", err
			}
			text, err := r.difference(fresh)
			if err != nil || text == "" {
				return "keep the default settings in " + r.defaults(), err
			}
			return fmt.Sprintf("put the new default settings beside yours, as %s.new; your %s stays as it is. What is new:\n%s", configFile, configFile, text), nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			text, err := r.difference(fresh)
			if err != nil {
				return nil, err
			}
			files := []step{r.file(r.defaults(), fresh, 0o644, owner{})}
			if text != "" {
				files = append(files, r.file(configFile+".new", fresh, 0o640, owner{group: daemonGroup}))
			}
			var reverts []func(context.Context) error
			revert := func(ctx context.Context) error {
				var errs []error
				for _, f := range reverts {
					errs = append(errs, f(ctx))
				}
				return errors.Join(errs...)
			}
			for _, s := range files {
				back, err := s.do(ctx)
				if err != nil {
					return nil, errors.Join(err, revert(ctx))
				}
				reverts = append(reverts, back)
			}
			return revert, nil
		},
	}
}

// difference returns how fresh differs from the defaults that were last shown, or, where none were,
// from the settings in force; "" where there are no settings or they are the new defaults.
func (r *run) difference(fresh []byte) (string, error) {
	now, err := os.ReadFile(r.path(configFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Equal(now, fresh) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	from := now
	if seen, err := os.ReadFile(r.path(r.defaults())); err == nil {
		from = seen
	}
	return udiff.Unified(configFile, configFile+".new", string(from), string(fresh)), nil
}
