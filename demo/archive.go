package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// archiveScript packs, compresses and checksums one folder; each step's failure is the job's.
const archiveScript = `set -e
cd "$OUT"
echo "packing $1"
tar -C "$SRC" -cf "$1.tar" "$1"
echo "compressing $(wc -c <"$1.tar") bytes"
$COMPRESS "$1.tar"
sha256sum "$1.tar".* >"$1.sum.part"
mv "$1.sum.part" "$1.sum"
echo "$1" >>ran
echo "done"`

// atOnce is how many archive jobs run together: few, so that the work lasts, and enough that some
// end while others go on.
const atOnce = 3

// sceneArchive starts a daemon and gives it a job for each folder of the Go toolchain's source.
func sceneArchive(ctx context.Context, s *story) error {
	if err := s.show(ctx, "daemon", "start", "--daemon"); err != nil {
		return err
	}
	if _, err := s.must(ctx, "queue", "add", "archive", "--concurrency", strconv.Itoa(atOnce)); err != nil {
		return err
	}
	file, err := s.writeArchiveJobs()
	if err != nil {
		return err
	}
	out, err := s.must(ctx, "job", "add", "-q", "--file", file)
	if err != nil {
		return err
	}
	if err := s.numberJobs(out); err != nil {
		return err
	}
	s.claim(len(s.numbers) == len(s.folders), "a bulk addition numbers every job",
		"%d jobs, one for each folder of the Go toolchain's source: tar, %s, sha256sum", len(s.numbers), strings.Join(s.compress, " "))

	// The work goes on in the background of the next scenes: wait only for its first fruits.
	var p progress
	defer p.end()
	return until(ctx, "the three largest folders to be compressed", func() (bool, error) {
		st, err := s.status(ctx)
		if err != nil {
			return false, err
		}
		p.show(st)
		for _, folder := range s.folders[:atOnce] {
			log, err := s.service.Must(ctx, "job", "logs", fmt.Sprint(s.numbers[folder]))
			if err != nil || !strings.Contains(log, "compressing") {
				return false, err
			}
		}
		return true, nil
	})
}

// writeArchiveJobs writes the jobs' file, the largest folders first.
func (s *story) writeArchiveJobs() (string, error) {
	var err error
	if s.folders, err = foldersBySize(s.source); err != nil {
		return "", err
	}
	pack, err := s.script("pack", archiveScript)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.dir, "archive.jsonl")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	enc := json.NewEncoder(f)
	for i, folder := range s.folders {
		priority := len(s.folders) - i
		if err := enc.Encode(job.Spec{
			Command: []string{pack, folder}, Queue: "archive", Name: folder, Tags: []string{"archive"},
			Priority: &priority, Cwd: s.dir,
			Env: map[string]string{"OUT": s.archives, "SRC": s.source, "COMPRESS": strings.Join(s.compress, " ")},
		}); err != nil {
			return "", err
		}
	}
	return path, f.Sync()
}

func (s *story) numberJobs(out string) error {
	s.numbers = map[string]int64{}
	for i, word := range strings.Fields(out) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || i >= len(s.folders) {
			return fmt.Errorf("job add -q printed %q", out)
		}
		s.numbers[s.folders[i]] = n
	}
	return nil
}

// foldersBySize lists the folders of dir, those with most bytes first.
func foldersBySize(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	var folders []string
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		folders = append(folders, e.Name())
		err := filepath.WalkDir(filepath.Join(dir, e.Name()), func(_ string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				sizes[e.Name()] += info.Size()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	sortBySize(folders, sizes)
	return folders, nil
}
