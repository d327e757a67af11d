package httpapi

import (
	"net/http"
	"reflect"

	"github.com/queuemgr/queuemgr/job"
)

const (
	runningExample   = `{"id": 7, "name": "nightly backup", "queue": "default", "type": "command", "state": "running", "priority": 0, "command": ["tar", "-czf", "/srv/backup/home.tar.gz", "/home"], "cwd": "/srv", "tags": ["backup"], "owner": "ada", "attempt": 1, "max_attempts": 1, "created_at": "2026-01-02T03:04:05.000006Z", "queued_at": "2026-01-02T03:04:05.000006Z", "started_at": "2026-01-02T03:04:05.001234Z", "run_id": "6f3c0a9e", "pid": 4711, "fence": 1}`
	completedExample = `{"id": 6, "queue": "default", "type": "shell", "state": "completed", "priority": 0, "command": ["/bin/sh", "-c", "make -C /srv/site"], "owner": "ada", "attempt": 1, "max_attempts": 1, "created_at": "2026-01-02T03:00:00Z", "started_at": "2026-01-02T03:00:00.002Z", "finished_at": "2026-01-02T03:00:07.5Z", "exit_code": 0, "usage": {"cpu_user": 6.1, "cpu_system": 0.4, "max_rss": 104857600, "read_bytes": 0, "write_bytes": 4096}}`
	queueExample     = `{"name": "video", "concurrency": 2, "paused": false, "start": "auto", "created_at": "2026-01-02T03:04:05Z", "jobs": {"queued": 3, "running": 2}}`
	tokenExample     = `{"id": "5f0c2a9b41d7", "name": "ci", "role": "operator", "created_at": "2026-01-02T03:04:05Z", "created_by": "ada", "expires_at": "2026-02-01T03:04:05Z"}`
)

// bodyExamples are the examples of bodies and answers, by their type. The linter holds them to the schemas.
var bodyExamples = map[reflect.Type]string{
	reflect.TypeFor[job.Spec]():         `{"command": ["tar", "-czf", "/srv/backup/home.tar.gz", "/home"], "queue": "default", "name": "nightly backup", "tags": ["backup"], "timeout": 7200}`,
	reflect.TypeFor[job.Batch]():        `{"defaults": {"queue": "default", "cwd": "/srv/video"}, "jobs": [{"command": ["ffmpeg", "-i", "a.mov", "a.mp4"]}, {"shell": "ffmpeg -i b.mov b.mp4 && rm b.mov"}]}`,
	reflect.TypeFor[job.Job]():          runningExample,
	reflect.TypeFor[job.Page]():         `{"jobs": [` + runningExample + `, ` + completedExample + `], "next_cursor": "bjY"}`,
	reflect.TypeFor[attemptList]():      `{"attempts": [{"job_id": 7, "attempt": 1, "run_id": "1b9d22c4", "state": "failed", "reason": "exit", "exit_code": 2, "started_at": "2026-01-02T03:04:05Z", "finished_at": "2026-01-02T03:05:05Z"}]}`,
	reflect.TypeFor[job.LogHits]():      `{"hits": [{"offset": 81920, "match": 81927, "line": "fatal: no space left on device"}], "next": 8470528}`,
	reflect.TypeFor[idList]():           `{"ids": [8, 9, 10]}`,
	reflect.TypeFor[actRequest]():       `{"action": "stop", "filter": {"states": ["queued", "running"], "queues": ["video"]}, "dry_run": true}`,
	reflect.TypeFor[actOptions]():       `{"grace": 30}`,
	reflect.TypeFor[job.ActResult]():    `{"done": [8, 9], "count": 2, "skipped": 1}`,
	reflect.TypeFor[newQueue]():         `{"name": "video", "concurrency": 2}`,
	reflect.TypeFor[job.Queue]():        queueExample,
	reflect.TypeFor[queueList]():        `{"queues": [` + queueExample + `]}`,
	reflect.TypeFor[typeList]():         `{"types": [` + typeExample + `]}`,
	reflect.TypeFor[job.Type]():         typeExample,
	reflect.TypeFor[job.Delivery]():     deliveryExample,
	reflect.TypeFor[job.DeliveryPage](): `{"deliveries": [` + deliveryExample + `]}`,
	reflect.TypeFor[hookList]():         `{"hooks": [{"name": "ci", "source": "settings", "on": ["success", "failure"], "queue": "builds", "url": "https://ci.example.org/hooks/queuemgr", "signed": true, "timeout": 10, "give_up_after": 86400}]}`,
	reflect.TypeFor[job.QueueUpdate]():  `{"paused": true}`,
	reflect.TypeFor[job.FeedWatch]():    `{"jobs": [7, 8, 9], "logs": [9]}`,
	reflect.TypeFor[feedMessage]():      `{"seq": 812, "jobs": [` + completedExample + `], "logs": {"9": {"attempt": 1, "size": 12345}}}`,
	reflect.TypeFor[job.Machine]():      `{"load": [0.4, 0.7, 0.9], "cpus": 8, "memory_total": 33554432000, "memory_available": 21474836480, "disk_free": 107374182400, "disk_total": 536870912000}`,
	reflect.TypeFor[job.Stats](): `{"from": "2026-01-02T03:00:00Z", "to": "2026-01-02T04:00:00Z", "step": 3600, "throughput": [{"at": "2026-01-02T03:00:00Z", "completed": 120, "failed": 3, "stopped": 1}], ` +
		`"latency": [{"at": "2026-01-02T03:00:00Z", "n": 124, "p50": 0.004, "p95": 1.2}]}`,
	reflect.TypeFor[statusAnswer](): `{"status": "running", "total_jobs": 126, "running_jobs": 2, "version": "1.0.0", "uptime": 86400, "pid": 812, "node": "atlas", "seq": 812, "jobs": {"running": 2, "completed": 124}, ` +
		`"queues": [` + queueExample + `], "runner": {"pid": 815, "version": "1.0.0", "running": 2}, "web": {"listen": "127.0.0.1:5000", "url": "http://127.0.0.1:5000/"}, "shutdown_timeout": 30, "started_at": "2026-01-01T03:04:05Z"}`,
	reflect.TypeFor[shutdownOptions](): `{"keep_jobs": true}`,
	reflect.TypeFor[job.Reloaded]():    `{"changed": [{"key": "max_concurrent_jobs", "old": "50", "new": "80"}], "restart": []}`,
	reflect.TypeFor[job.Credentials](): `{"token": "qm_…"}`,
	reflect.TypeFor[job.Me]():          `{"name": "ci", "role": "operator", "via": "token", "expires_at": "2026-02-01T03:04:05Z"}`,
	reflect.TypeFor[job.NewToken]():    `{"name": "ci", "role": "operator", "expires_in": 2592000}`,
	reflect.TypeFor[job.Token]():       tokenExample[:len(tokenExample)-1] + `, "secret": "qm_…"}`,
	reflect.TypeFor[tokenList]():       `{"tokens": [` + tokenExample + `]}`,
	reflect.TypeFor[newLogin]():        `{"role": "viewer"}`,
	reflect.TypeFor[job.Login]():       `{"code": "K7Q2M5…", "url": "http://127.0.0.1:5000/#login=K7Q2M5…", "role": "viewer", "expires_at": "2026-01-02T03:14:05Z"}`,
	reflect.TypeFor[job.EndedLogins](): `{"logins": 3, "links": 1}`,
	reflect.TypeFor[job.AuditPage]():   `{"entries": [{"id": 41, "at": "2026-01-02T03:04:05Z", "who": "ada", "role": "admin", "via": "session", "from": "192.0.2.7", "action": "stop job", "target": "7", "outcome": "done"}]}`,
	reflect.TypeFor[settingList]():     `{"settings": [{"key": "max_concurrent_jobs", "value": "50", "source": "default"}]}`,
	reflect.TypeFor[map[string]any]():  `{"openapi": "3.1.0", "info": {"title": "queuemgr", "version": "1.0.0"}, "paths": {}}`,
}

// textExamples are those of answers that are text, by operation and type.
var textExamples = map[string]string{
	"readLog text/plain; charset=utf-8":      "frame 1 of 240\nframe 2 of 240\n",
	"getHealth text/plain; charset=utf-8":    "ok\n",
	"getReadiness text/plain; charset=utf-8": "ok\n",
	"getDocs " + typeText:                    "jobs: Work on record.\n\n  GET  /api/jobs  viewer  List jobs\n",
	"getDocs " + typeHTML:                    "<!doctype html>\n…",
	"getMetrics " + metricsType:              "# HELP queuemgr_jobs Jobs on record, by state.\n# TYPE queuemgr_jobs gauge\nqueuemgr_jobs{state=\"running\"} 2\n",
	"streamEvents text/event-stream":         "retry: 1000\n\nid: 812\nevent: job.changed\ndata: {\"seq\":812,\"change\":\"job.changed\",\"id\":7,\"state\":\"completed\"}\n\n",
}

// problemExamples are those of errors, by code.
var problemExamples = map[job.Code]problem{
	job.Invalid:         {Detail: `unknown field "comand"`, Field: "comand", Hint: "its fields are listed in " + openAPIPath},
	job.NotFound:        {Detail: "there is no job 4711", Hint: "job list shows the jobs"},
	job.WrongState:      {Detail: "job 7 is completed", Hint: "only a job that has not ended can be stopped", JobID: 7},
	job.Conflict:        {Detail: `there is a queue "video" already`, Field: "name", Hint: "choose another name"},
	job.Forbidden:       {Detail: "ci is viewer and may not do this", Hint: "log in as operator"},
	job.Unauthenticated: {Detail: "nobody is logged in", Hint: "queuemgr web gives a link to log in with; programs send a token of queuemgr token add"},
	job.Throttled:       {Detail: "too many logins have failed", Hint: "wait some seconds"},
	job.Exhausted:       {Detail: "the disk is nearly full: nothing is added", Hint: "free some space"},
	job.Unavailable:     {Detail: "the daemon is stopping", Hint: "ask again when it runs"},
	job.Internal:        {Detail: "internal error", Hint: "daemon.log tells the cause"},
}

// closerExamples are those of errors with a status of their own.
var closerExamples = map[int]problem{
	http.StatusMisdirectedRequest:    {Detail: "this service is not called example.com", Field: "Host", Hint: "use the machine's address or name, or add this one to the setting [web] hosts"},
	http.StatusRequestTimeout:        {Detail: "the body did not come", Hint: "send it without pauses"},
	http.StatusRequestEntityTooLarge: {Detail: "the body is larger than 4194304 bytes", Hint: "put long input into a file that the job reads"},
	http.StatusUnsupportedMediaType:  {Detail: `a body of type "text/plain" is not understood`, Field: "Content-Type", Hint: "send application/json"},
}

const typeExample = `{"name": "resize", "description": "makes pictures smaller", "source": "/etc/queuemgr/types.d/images.toml", "command": ["convert", "--", "{source}", "-resize", "{width}", "{source}"], "queue": "images", ` +
	`"schema": {"type": "object", "properties": {"source": {"type": "string"}, "width": {"type": "integer", "minimum": 1, "default": 800}}, "required": ["source"], "additionalProperties": false}, "example": {"source": "a.png", "width": 600}}`

const deliveryExample = `{"id": 812, "hook": "settings/ci", "receiver": "https://ci.example.org", "event": "failure", "job_id": 7, "attempt": 1, "seq": 4711, "state": "failed", "tries": 3, "created_at": "2026-01-02T03:04:05Z", "next_try": "2026-01-02T03:04:13Z", "last_error": "the answer was 503 Service Unavailable"}`
