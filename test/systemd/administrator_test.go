//go:build systemd

package systemd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// checkout is the current folder of README's administrator.
const checkout = "/home/anna/queuemgr"

// section is what surrounds the blocks of one section of README: what is there before them, and what they have brought about,
// out being all that they wrote.
type section struct {
	before func(v *guest.Guest)
	after  func(t *testing.T, v *guest.Guest, out string)
}

// says returns a section whose blocks write all of words, in this order.
func says(words ...string) section {
	return section{after: func(t *testing.T, _ *guest.Guest, out string) {
		t.Helper()
		rest := out
		for _, w := range words {
			_, after, found := strings.Cut(rest, w)
			if !found {
				t.Errorf("it did not say %q there:\n%s", w, out)
				return
			}
			rest = after
		}
	}}
}

// forever is the process of the job that sleeper adds.
func forever(v *guest.Guest) string {
	return v.Shell(`ps -eo pid=,lstart=,args= | grep '[j]ob98765' || true`)
}

// TestReadmeOfTheAdministrator executes the shell blocks of README's part for the administrator as they are written, one after
// the other, as a user who may use sudo. What a guest without network lacks stands beside: git brings a next version that is built already.
func TestReadmeOfTheAdministrator(t *testing.T) {
	v := boot(t, "v1.0.0")
	v.CopyIn(release(t, "v1.1.0"), "/srv/next")
	v.Shell(`useradd -m -s /bin/sh anna
		mv /root/v1.0.0 ` + checkout + `
		chown -R anna: ` + checkout)
	v.WriteFile("/etc/sudoers.d/anna", "0440", "anna ALL=(ALL) NOPASSWD: ALL\n")
	v.WriteFile("/usr/local/bin/git", "0755", "#!/bin/sh -eu\n[ \"$*\" = pull ]\ncp /srv/next/bin/* bin/\n")
	v.WriteFile("/srv/queuemgr-old/registry.jsonl", "0644", `{"job_id": "resize-1", "status": "PENDING", "created_at": "2024-01-02T03:04:05"}
{"job_id": "resize-0", "status": "COMPLETED", "progress": 100, "created_at": "2024-01-02T03:04:05", "completed_at": "2024-01-02T03:05:05"}
`)
	fresh := files(v)

	running := ""
	goesOn := func(version string) section {
		return section{
			before: func(v *guest.Guest) {
				if running == "" {
					sleeper(v)
					running = forever(v)
				}
			},
			after: func(t *testing.T, v *guest.Guest, out string) {
				t.Helper()
				says("queuemgr "+version+" ").after(t, v, out)
				if now := forever(v); now == "" || now != running {
					t.Errorf("a job did not go on: it was %q, is %q", running, now)
				}
			},
		}
	}
	sections := map[string]section{
		"Install":      says("runs, and starts with the machine", "job 1 added", "it works\n"),
		"Let users in": says("(anna)", "(queuemgr)", checkout+"\n"),
		"Status, start and stop": {
			before: sleeper,
			after: func(t *testing.T, v *guest.Guest, out string) {
				says("active (running)", "active (running)", "1 running").after(t, v, out)
				if left := forever(v); left != "" {
					t.Errorf("a job was not stopped with the service: %s", left)
				}
				says("stopped", "shutdown", "job98765").after(t, v, v.Run("queuemgr", "job", "list", "--state", "stopped"))
			},
		},
		"Logs":                    says("job=1 ", "completed", "level=", checkout+"\n"),
		"Settings of the service": says("max_concurrent_jobs: 8, was 50", "max_concurrent_jobs", "8", "config.toml:"),
		"Limits of jobs":          says("Max processes             16384 "),
		"Who a job runs as":       says("(queuemgr-job)"),
		"When something is wrong": says("the system's service: 0 problems, ", "registry.db is sound", "queuemgr-runner.service", "queuemgr.service"),
		"Backup and restore": {after: func(t *testing.T, v *guest.Guest, out string) {
			says("backed up to /var/backups/queuemgr.db", "restored from /var/backups/queuemgr.db", "/var/lib/queuemgr/registry.db.replaced-1").after(t, v, out)
			if mode := v.Run("stat", "-c", "%a %U", "/var/backups/queuemgr.db"); mode != "600 root\n" {
				t.Errorf("the backup's mode and owner: %s", mode)
			}
			v.Run("queuemgr", "job", "status", "1")
			v.RunAs("anna", "queuemgr", "job", "add", "--wait", "true")
		}},
		"Update":     goesOn("v1.1.0"),
		"Going back": goesOn("v1.0.0"),
		"From the Python service": {after: func(t *testing.T, v *guest.Guest, out string) {
			says("2 jobs", "imported; 1 of them wait", "held", "resize-1").after(t, v, out)
			v.RunAs("anna", "queuemgr", "job", "add", "--wait", "true")
		}},
		"Remove": {after: func(t *testing.T, v *guest.Guest, out string) {
			says("settings, registry, logs and accounts stay", "removed with everything that it kept").after(t, v, out)
			if left := processes(v); left != "" {
				t.Errorf("processes left:\n%s", left)
			}
			for name := range files(v) {
				if _, was := fresh[name]; !was && strings.Contains(name, "queuemgr") {
					t.Errorf("left behind: %s", name)
				}
			}
			if code, out := try(t, v, "getent passwd queuemgr queuemgr-job; getent group queuemgr queuemgr-daemon queuemgr-job; systemctl cat queuemgr queuemgr-runner"); code == 0 {
				t.Errorf("accounts or units left:\n%s", out)
			}
		}},
	}

	blocks := slices.DeleteFunc(readmeBlocks(t, "README.md"), func(b block) bool { return b.Part != "For the administrator" || b.Kind != "sh" })
	for len(blocks) > 0 {
		heading, out := blocks[0].Heading, ""
		s, known := sections[heading]
		if !known {
			t.Fatalf("nothing is said here about what the blocks of %q bring about", heading)
		}
		delete(sections, heading)
		if s.before != nil {
			s.before(v)
		}
		for len(blocks) > 0 && blocks[0].Heading == heading {
			r, err := v.Exec(t.Context(), guest.Command{User: "anna", Dir: checkout, Argv: []string{"sh", "-euc", blocks[0].Text}})
			if err != nil || r.Code != 0 {
				t.Fatalf("%s: exit %d, %v, of\n%s\nit wrote\n%s%s", heading, r.Code, err, blocks[0].Text, r.Stdout, r.Stderr)
			}
			t.Logf("%s:\n%s%s%s", heading, blocks[0].Text, r.Stdout, r.Stderr)
			out += r.Stdout + r.Stderr
			blocks = blocks[1:]
		}
		if s.after != nil {
			s.after(t, v, out)
		}
		if t.Failed() {
			t.Fatalf("after the blocks of %q", heading)
		}
	}
	for heading := range sections {
		t.Errorf("README has no blocks in a section %q", heading)
	}
}
