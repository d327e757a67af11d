package joblog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Sweep removes from dir the logs of jobs that are not on record any more: what is left of them
// when a daemon dies after it has purged their records. onRecord returns which of the numbers from
// from to to are on record. Only logs of jobs with a number under below are looked at; below is a number
// that was the next one to be given out before Sweep was called. A job under it that is not on
// record will never be again, so that additions, starts and removals may go on meanwhile.
//
// One directory is looked at at a time, and files that Path would not name are left alone. Sweep
// returns how many logs it removed. It goes on after a failure and returns the first one; with
// ctx's error it ends early.
func Sweep(ctx context.Context, dir string, below int64, onRecord func(ctx context.Context, from, to int64) ([]int64, error)) (removed int, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // no job has run yet
	}
	if err != nil {
		return 0, fmt.Errorf("look for logs of purged jobs: %w", err)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return removed, ctx.Err()
		}
		bucket, parseErr := strconv.ParseInt(e.Name(), 10, 64)
		if parseErr != nil || bucket < 0 || bucket > (below-1)/perDirectory || strconv.FormatInt(bucket, 10) != e.Name() || !e.IsDir() {
			continue // not ours, or of jobs to come
		}
		n, bucketErr := sweepDirectory(ctx, dir, bucket, below, onRecord)
		removed += n
		if bucketErr != nil && err == nil {
			err = fmt.Errorf("remove the logs of purged jobs: %w", bucketErr)
		}
	}
	return removed, err
}

func sweepDirectory(ctx context.Context, dir string, bucket, below int64, onRecord func(ctx context.Context, from, to int64) ([]int64, error)) (removed int, err error) {
	path := filepath.Join(dir, strconv.FormatInt(bucket, 10))
	entries, err := os.ReadDir(path) // before the record is read: what is on record then has all its logs kept
	if err != nil {
		return 0, err
	}
	first, last := bucket*perDirectory, bucket*perDirectory+perDirectory-1
	ids, err := onRecord(ctx, first, last)
	if err != nil {
		return 0, err
	}
	keep := make(map[int64]bool, len(ids))
	for _, id := range ids {
		keep[id] = true
	}
	for _, e := range entries {
		id, ok := jobOf(dir, path, e.Name())
		if !ok || id >= below || keep[id] {
			continue
		}
		switch rmErr := os.Remove(filepath.Join(path, e.Name())); {
		case rmErr == nil:
			removed++
		case !errors.Is(rmErr, fs.ErrNotExist) && err == nil: // gone: retention was quicker
			err = rmErr
		}
	}
	if len(keep) == 0 && last < below {
		// No job will ever write here again. Anybody else's file keeps the directory.
		if rmErr := os.Remove(path); rmErr != nil && !errors.Is(rmErr, fs.ErrExist) && !errors.Is(rmErr, fs.ErrNotExist) && err == nil {
			err = rmErr
		}
	}
	return removed, err
}

// jobOf returns the number of the job whose log the file name in folder is, and whether it is one.
func jobOf(dir, folder, name string) (id int64, ok bool) {
	text, ok := strings.CutSuffix(name, ".log")
	if !ok {
		return 0, false
	}
	text, isErr := strings.CutSuffix(text, ".err")
	number, attempt, ok := strings.Cut(text, ".")
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, false
	}
	if hook, isHook := strings.CutPrefix(attempt, "hook-"); isHook {
		n, err := strconv.ParseInt(hook, 10, 64)
		return id, err == nil && HookPath(dir, id, n) == filepath.Join(folder, name)
	}
	n, err := strconv.Atoi(attempt)
	if err != nil {
		return 0, false
	}
	stream := ""
	if isErr {
		stream = Stderr
	}
	return id, Path(dir, id, n, stream) == filepath.Join(folder, name)
}
