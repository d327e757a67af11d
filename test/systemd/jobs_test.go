//go:build systemd

package systemd_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// installed boots a guest with the service and its users: anna and bert are members, otto is none.
func installed(t *testing.T, kind guest.Kind, versions ...string) *guest.Guest {
	t.Helper()
	v := ground.Boot(t, kind)
	for _, version := range versions {
		v.CopyIn(release(t, version), "/root/"+version)
	}
	v.Run("/root/"+versions[0]+"/install.sh", "--no-start")
	v.Shell(`useradd -m -G queuemgr,games anna; useradd -m -G queuemgr bert; useradd -m otto`)
	v.Run("/root/" + versions[0] + "/install.sh")
	return v
}

// jobOf returns a job by its selector.
func jobOf(t *testing.T, v *guest.Guest, selector string) job.Job {
	t.Helper()
	var j job.Job
	if err := json.Unmarshal([]byte(v.Run("queuemgr", "job", "status", selector, "--json")), &j); err != nil {
		t.Fatal(err)
	}
	return j
}

// as runs the service's program as a user and returns its exit code and all that it wrote.
func as(t *testing.T, v *guest.Guest, user string, args ...string) (int, string) {
	t.Helper()
	r, err := v.Exec(t.Context(), guest.Command{User: user, Argv: append([]string{"queuemgr"}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	return r.Code, r.Stdout + r.Stderr
}

// overTCP adds jobs with a token, whose name makes it nobody, and while root may be run as.
func overTCP(t *testing.T, v *guest.Guest) {
	t.Helper()
	if out := v.Run("queuemgr", "service", "status"); !strings.Contains(out, "http://127.0.0.1:5000/") {
		t.Errorf("the page is not served:\n%s", out)
	}
	secret := strings.TrimSpace(v.Run("queuemgr", "token", "add", "-q", "--role", "admin", "root"))
	post := func(spec string) string {
		return v.Run("curl", "-s", "-H", "Authorization: Bearer "+secret, "-d", spec, "-H", "Content-Type: application/json", "http://127.0.0.1:5000/api/jobs")
	}
	if out := post(`{"key":"posted","shell":"id -un; id -gn; id -Gn; echo $HOME $USER"}`); !strings.Contains(out, `"owner":"root"`) {
		t.Fatal(out)
	}
	v.Run("queuemgr", "job", "wait", "posted")
	if got := v.Run("queuemgr", "job", "logs", "posted"); got != "queuemgr-job\nqueuemgr-job\nqueuemgr-job\n/var/lib/queuemgr-job queuemgr-job\n" {
		t.Errorf("the job of a token said\n%s", got)
	}
	for _, user := range []string{"root", "bert", "queuemgr"} {
		if out := post(`{"shell":"true","user":"` + user + `"}`); !strings.Contains(out, `"status":403`) {
			t.Errorf("a token's job as %s: %s", user, out)
		}
	}
	if out := v.RunAs("anna", "curl", "-s", "http://127.0.0.1:5000/api/jobs"); !strings.Contains(out, `"status":401`) {
		t.Errorf("without a login: %s", out)
	}
	if code, out := as(t, v, "anna", "web"); code != 6 {
		t.Errorf("a member gets a link: %d %s", code, out)
	}
	if code, out := as(t, v, "anna", "token", "add", "mine", "--role", "viewer"); code != 6 {
		t.Errorf("a member makes a token: %d %s", code, out)
	}
}

func TestWhoAJobRunsAs(t *testing.T) {
	v := installed(t, guest.Container, "v1.0.0")
	refused := func(user string, code int, want string, args ...string) {
		t.Helper()
		if got, out := as(t, v, user, args...); got != code || !strings.Contains(out, want) {
			t.Errorf("%s: queuemgr %s: exit %d, want %d with %q\n%s", user, strings.Join(args, " "), got, code, want, out)
		}
	}

	v.RunAs("anna", "sh", "-c", "umask 027; cd ~; queuemgr job add --wait -- sh -c 'id -u; id -G; echo $HOME $USER; pwd; umask; : >file'")
	want := v.RunAs("anna", "sh", "-c", "id -u; id -G; echo $HOME $USER; echo ~; echo 0027")
	if got := v.RunAs("anna", "queuemgr", "job", "logs", "last"); got != want {
		t.Errorf("the job of anna said\n%swant\n%s", got, want)
	}
	if got := v.Run("stat", "-c", "%U:%G %a", "/home/anna/file"); got != "anna:anna 640\n" {
		t.Errorf("the file of anna's job is %s", got)
	}
	refused("otto", 6, "group queuemgr", "job", "add", "--", "true")

	v.Run("queuemgr", "job", "add", "--wait", "--", "sh", "-c", "id -un; id -gn; echo $HOME $USER")
	if got := v.Run("queuemgr", "job", "logs", "last"); got != "queuemgr-job\nqueuemgr-job\n/var/lib/queuemgr-job queuemgr-job\n" {
		t.Errorf("the job of root said\n%s", got)
	}
	v.Run("queuemgr", "job", "add", "--wait", "--user", "bert", "--", "sh", "-c", "test $(id -un) = bert && echo $HOME")
	if j := jobOf(t, v, "last"); j.User != "bert" || j.Owner != "root" {
		t.Errorf("root's job for bert: user %q, owner %q", j.User, j.Owner)
	}
	refused("root", 6, "root", "job", "add", "--user", "root", "--", "true")
	refused("root", 6, "queuemgr", "job", "add", "--user", "queuemgr", "--", "true")
	refused("anna", 6, "bert", "job", "add", "--user", "bert", "--", "true")
	refused("anna", 6, "root", "job", "add", "--user", "root", "--", "true")
	refused("root", 2, "nobody-knows", "job", "add", "--user", "nobody-knows", "--", "true")
	v.Shell(`echo 'accounts = ["root"]' >/etc/queuemgr/run-as.toml`)
	v.Run("queuemgr", "job", "add", "--wait", "--user", "root", "--", "sh", "-c", "test $(id -u) = 0")
	refused("anna", 6, "root", "job", "add", "--user", "root", "--", "true")

	overTCP(t, v)

	// One member and another's job.
	v.RunAs("anna", "sh", "-c", "SECRET=hunter2 queuemgr job add -q --key hers -- sh -c 'echo out of hers; exec sleep 98765'")
	hers := fmt.Sprint(jobOf(t, v, "hers").ID)
	for _, verb := range []string{"stop", "delete", "hold", "start"} {
		refused("bert", 6, "anna", "job", verb, hers)
		refused("bert", 6, "anna", "job", verb, "hers")
	}
	refused("bert", 6, "anna", "job", "logs", hers)
	for _, args := range [][]string{{"job", "status", hers, "--json"}, {"job", "list", "--json"}, {"job", "status", hers}} {
		if _, out := as(t, v, "bert", args...); strings.Contains(out, "hunter2") || !strings.Contains(out, "sleep 98765") {
			t.Errorf("bert sees by %v\n%s", args, out)
		}
	}
	refused("bert", 6, "queue", "queue", "add", "night")
	for _, path := range []string{"shutdown", "reload"} {
		if out := v.RunAs("bert", "curl", "-s", "-X", "POST", "--unix-socket", "/run/queuemgr/queuemgr.sock", "http://queuemgr/api/daemon/"+path); !strings.Contains(out, `"status":403`) {
			t.Errorf("bert posts %s: %s", path, out)
		}
	}
	if code, out := as(t, v, "bert", "job", "stop", "all"); code != 0 || jobOf(t, v, hers).State != job.Running {
		t.Errorf("bert stops all: exit %d\n%s; anna's job is %s", code, out, jobOf(t, v, hers).State)
	}
	v.Shell(`sed -i 's/^#operators = .*/operators = ["bert"]/' /etc/queuemgr/config.toml; systemctl reload queuemgr`)
	if code, out := as(t, v, "bert", "job", "stop", "--wait", hers); code != 0 {
		t.Errorf("bert, an operator now, stops anna's job: exit %d\n%s", code, out)
	}

	// What a job can't read.
	log := strings.TrimSpace(v.Shell(`find /var/log/queuemgr/jobs -type f | head -1`))
	for _, path := range []string{"/var/lib/queuemgr/registry.db", "/var/lib/queuemgr/registry.jsonl", "/var/lib/queuemgr-runner/runner.journal", "/etc/queuemgr/config.toml", log} {
		if code, out := as(t, v, "bert", "job", "add", "--wait", "--", "cat", path); code != 1 {
			t.Errorf("bert's job reads %s: exit %d\n%s", path, code, out)
		}
	}
	if code, out := as(t, v, "bert", "job", "add", "--wait", "--", "sh", "-c", "echo | timeout 5 sh -c 'exec 3<>/run/queuemgr-runner/runner.sock'"); code == 0 {
		t.Errorf("bert's job opens the runner's socket\n%s", out)
	}
	// Its own log is its owner's to read.
	v.RunAs("anna", "queuemgr", "job", "add", "--wait", "--", "echo", "mine")
	path := strings.TrimSpace(v.Shell(`find /var/log/queuemgr/jobs -type f -user anna | sort -V | tail -1`))
	if got := v.RunAs("anna", "cat", path); got != "mine\n" {
		t.Errorf("anna reads %q in %s", got, path)
	}
	if got := v.Run("stat", "-c", "%U:%G %a", path); got != "anna:queuemgr-daemon 640\n" {
		t.Errorf("the log of anna's job is %s", got)
	}
	v.Run("journalctl", "--sync")
	if out := v.Run("journalctl", "-u", "queuemgr", "-o", "cat", "JOB_ID="+hers); !strings.Contains(out, "stopped") {
		t.Errorf("the journal tells of job %s:\n%s", hers, out)
	}
}

// counters adds 50 jobs that each write a rising number and the time in milliseconds every 100 ms, and exit with their own code
// when /run/finish is there, and returns when all count.
func counters(t *testing.T, v *guest.Guest) {
	t.Helper()
	v.WriteFile("/usr/local/bin/count", "0755", `#!/bin/bash
trap 'exit 99' TERM
for ((i = 0; ; i++)); do
	echo "$i ${EPOCHREALTIME/[.,]/}" >>"/srv/count/$1"
	[ -e /srv/count/finish ] && exit $(($1 % 50))
	sleep 0.1 & wait $!
done
`)
	v.Shell(`mkdir -p /srv/count; chown queuemgr-job /srv/count
		for i in $(seq 50); do echo '{"command":["/usr/local/bin/count","'$i'"],"tags":["counter"]}'; done | queuemgr job add -q --file - >/dev/null
		for i in $(seq 50); do until [ -s /srv/count/$i ]; do sleep 0.05; done; done`)
}

func TestJobsOutliveTheDaemon(t *testing.T) {
	v := installed(t, guest.Container, "v1.0.0", "v1.1.0")
	counters(t, v)
	// Each job leads a session; what it forks does not.
	who := func() string {
		return v.Shell(`ps -eo pid=,sess=,lstart=,args= | awk '$1 == $2 && /[/]usr\/local\/bin\/count/'`)
	}
	before := who()
	if n := strings.Count(before, "\n"); n != 50 {
		t.Fatalf("%d jobs count, want 50\n%s", n, before)
	}
	for _, step := range []struct{ what, script string }{
		{"restart", "systemctl restart queuemgr"},
		{"reload", "systemctl reload queuemgr"},
		{"upgrade", "/root/v1.1.0/install.sh --upgrade >/dev/null; queuemgr version | grep -q 'v1.1.0'"},
		{"daemon-reexec", "systemctl daemon-reexec"},
		{"SIGKILL of the daemon", `old=$(systemctl show -P MainPID queuemgr); kill -KILL $old
			until new=$(systemctl show -P MainPID queuemgr) && [ $new != 0 ] && [ $new != $old ] && systemctl is-active --quiet queuemgr; do sleep 0.2; done`},
	} {
		v.Shell(step.script)
		if diff := cmp.Diff(before, who()); diff != "" {
			t.Fatalf("after %s the jobs' processes differ: %s", step.what, diff)
		}
		if n := strings.Count(v.Run("queuemgr", "job", "list", "--state", "running", "--limit", "all", "--jsonl"), "\n"); n != 50 {
			t.Errorf("after %s %d jobs are running on record", step.what, n)
		}
	}
	v.Run("touch", "/srv/count/finish")
	// They exit with 1 to 49 and 0, so that wait tells of failures.
	if code, out := try(t, v, "queuemgr job wait --tag counter"); code != 1 {
		t.Errorf("job wait: exit %d\n%s", code, out)
	}
	var jobs []job.Job
	if err := json.Unmarshal([]byte(v.Run("queuemgr", "job", "list", "--tag", "counter", "--limit", "all", "--json")), &jobs); err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		var n int
		fmt.Sscan(j.Command[1], &n) //nolint:errcheck // 0 then, which fails below
		if j.ExitCode == nil || *j.ExitCode != n%50 {
			t.Errorf("job %d is %s %s with exit code %v, want %d", j.ID, j.State, j.Reason, j.ExitCode, n%50)
		}
	}
	if gaps := v.Shell(`for i in $(seq 50); do awk -v job=$i 'NR > 1 && ($1 != n + 1 || $2 - t > 1000000) { print job ": " n " to " $1 " after " ($2 - t) / 1000 " ms" } { n = $1; t = $2 }' /srv/count/$i; done`); gaps != "" {
		t.Errorf("gaps in the counters:\n%s", gaps)
	}
}

func TestStopEndsJobs(t *testing.T) {
	v := installed(t, guest.Container, "v1.0.0")
	counters(t, v)
	v.Run("systemctl", "stop", "queuemgr")
	if left := v.Shell(`pgrep -af '[q]ueuemgr|[/]usr/local/bin/count' || true`); left != "" {
		t.Errorf("left running:\n%s", left)
	}
	v.Run("systemctl", "start", "queuemgr")
	try(t, v, "timeout 60 queuemgr job wait --tag counter") // what a runner could not tell any more the next one does
	var jobs []job.Job
	if err := json.Unmarshal([]byte(v.Run("queuemgr", "job", "list", "--tag", "counter", "--limit", "all", "--json")), &jobs); err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 50 {
		t.Errorf("%d jobs are on record", len(jobs))
	}
	for _, j := range jobs {
		if j.State != job.Stopped || j.Reason != job.ReasonShutdown || j.ExitCode == nil || *j.ExitCode != 99 {
			t.Errorf("job %d is %s(%s), exit code %v; want stopped(shutdown) by its own handler", j.ID, j.State, j.Reason, j.ExitCode)
		}
	}
}

// TestStopIsBounded: jobs that ignore TERM and ask for a long grace do not hold a stop up beyond shutdown_timeout.
func TestStopIsBounded(t *testing.T) {
	const timeout, bound = 3, 15 // seconds: the bound is for a machine that is busy, and far from the jobs' grace
	v := installed(t, guest.Container, "v1.0.0")
	v.Shell(fmt.Sprintf(`sed -i 's/^#shutdown_timeout = .*/shutdown_timeout = %d/' /etc/queuemgr/config.toml
		grep -q '^shutdown_timeout' /etc/queuemgr/config.toml; systemctl restart queuemgr`, timeout))
	v.WriteFile("/usr/local/bin/stubborn", "0755", `#!/bin/bash
trap '' TERM HUP INT
setsid bash -c 'trap "" TERM HUP INT; echo ready; while :; do sleep 1000; done' child-of-stubborn &
while :; do sleep 1000; done
`)
	v.Shell(`cd /; for i in 1 2 3; do queuemgr job add -q --tag stubborn --grace 5m -- /usr/local/bin/stubborn; done
		for id in $(queuemgr job list --tag stubborn --json | grep -o '"id": *[0-9]*' | grep -o '[0-9]*'); do
			until queuemgr job logs $id | grep -q ready; do sleep 0.1; done
		done`)
	if n := strings.Count(v.Shell(`pgrep -af '[s]tubborn'`), "\n"); n < 6 {
		t.Fatalf("%d processes ignore TERM, want 6 at least", n)
	}
	out := v.Shell(`begin=$(date +%s%N); systemctl stop queuemgr; echo $((($(date +%s%N) - begin) / 1000000))`)
	var took int
	if _, err := fmt.Sscan(out, &took); err != nil || took < timeout*1000 || took > (timeout+bound)*1000 {
		t.Errorf("the stop took %s ms (%v), want %d to %d s", strings.TrimSpace(out), err, timeout, timeout+bound)
	}
	t.Logf("the stop took %d ms", took)
	if left := v.Shell(`pgrep -af '[q]ueuemgr|[s]tubborn' || true`); left != "" {
		t.Errorf("left running:\n%s", left)
	}
	if got := v.Run("systemctl", "show", "--property=ActiveState,Result", "queuemgr.service", "queuemgr-runner.service"); strings.Count(got, "Result=success\n") != 2 || strings.Count(got, "ActiveState=inactive\n") != 2 {
		t.Errorf("the units are\n%s", got)
	}
	v.Run("systemctl", "start", "queuemgr")
	try(t, v, "timeout 60 queuemgr job wait --tag stubborn") // what a runner could not tell any more the next one does
	var jobs []job.Job
	if err := json.Unmarshal([]byte(v.Run("queuemgr", "job", "list", "--tag", "stubborn", "--json")), &jobs); err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 3 {
		t.Errorf("%d jobs are on record", len(jobs))
	}
	for _, j := range jobs {
		if j.State != job.Stopped || j.Reason != job.ReasonShutdown || j.Signal != 9 {
			t.Errorf("job %d is %s(%s), signal %d; want stopped(shutdown) by KILL", j.ID, j.State, j.Reason, j.Signal)
		}
	}
}

func TestReboot(t *testing.T) {
	v := installed(t, guest.Kernel, "v1.0.0")
	v.Run("queuemgr", "queue", "set", "default", "--concurrency", "2")
	v.Shell(`touch /srv/again; chmod 666 /srv/again
		queuemgr job add --key plain -- sleep 98765
		queuemgr job add --key requeued --on-lost requeue -- sh -c 'echo run >>/srv/again; [ $(wc -l </srv/again) = 2 ] || exec sleep 98765'
		until [ -s /srv/again ]; do sleep 0.2; done
		queuemgr job add --key waiting -- true`)
	last := jobOf(t, v, "waiting").ID
	v.Reboot()
	v.Run("queuemgr", "job", "wait", "waiting", "requeued")
	if j := jobOf(t, v, "plain"); j.State != job.Stopped || j.Reason != job.ReasonShutdown {
		t.Errorf("the running job is %s(%s)", j.State, j.Reason)
	}
	if j := jobOf(t, v, "requeued"); j.State != job.Completed || j.Attempt != 2 {
		t.Errorf("the job that is run again is %s, attempt %d", j.State, j.Attempt)
	}
	v.Run("queuemgr", "job", "add", "--wait", "--", "true")
	if next := jobOf(t, v, "last").ID; next != last+1 {
		t.Errorf("the next number is %d, want %d", next, last+1)
	}
}

func TestPowerCutOfTheService(t *testing.T) {
	v := installed(t, guest.Kernel, "v1.0.0")
	v.Shell(`queuemgr queue add paused; queuemgr queue pause paused; queuemgr job add --key runs -- sleep 98765`)
	v.Shell(`until queuemgr job list --state running --json | grep -q 98765; do sleep 0.2; done`)
	// Clients whose acknowledgements the host has when the power is cut.
	acknowledged := make(chan string)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"queuemgr", "job", "add", "-q", "--queue", "paused", "--name", fmt.Sprint("n", i), "--", "true"}})
			if err != nil || r.Code != 0 {
				return
			}
			acknowledged <- strings.TrimSpace(r.Stdout)
		}
	}()
	var ids []string
	for len(ids) < 10 {
		select {
		case id := <-acknowledged:
			ids = append(ids, id)
		case <-stopped:
			t.Fatalf("adding failed after %d jobs", len(ids))
		}
	}
	v.PowerCut()
	for done := false; !done; {
		select {
		case id := <-acknowledged:
			ids = append(ids, id)
		case <-stopped:
			done = true
		}
	}
	v.Boot()
	for i, id := range ids {
		if j := jobOf(t, v, id); j.Name != fmt.Sprint("n", i) || j.State != job.Queued {
			t.Errorf("acknowledged job %s is %q, %s", id, j.Name, j.State)
		}
	}
	if j := jobOf(t, v, "runs"); j.State != job.Failed || j.Reason != job.ReasonLost || j.Error == "" {
		t.Errorf("what ran is %s(%s): %s", j.State, j.Reason, j.Error)
	}
	v.Run("queuemgr", "registry", "check")
}
