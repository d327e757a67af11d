package httpapi

import (
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/queuemgr/queuemgr/job"
)

// describe adds to the schemas what Go's types do not say: descriptions, the values that words may
// have, and that answers may grow new fields while requests take no unknown ones.
func describe(registry huma.Registry) error {
	for name, schema := range registry.Map() {
		if schema.OneOf != nil {
			continue // says it itself
		}
		schema.Description = typeAbout[name]
		schema.AdditionalProperties = nil
		if requestTypes[name] {
			schema.AdditionalProperties = false
		}
		t := registry.TypeFromRef("#/components/schemas/" + name)
		for field, property := range schema.Properties {
			about, ok := fieldAbout[name+"."+field]
			if !ok {
				about, ok = fieldAbout["."+field]
			}
			if !ok {
				return fmt.Errorf("openapi: %s.%s has no description", name, field)
			}
			if property.Ref == "" {
				property.Description = about
			}
			property.Nullable = false // absent, never null
			if property.Items != nil && property.Items.Ref == "" {
				property.Items.Enum = words(elem(fieldType(t, field)))
			}
			if values := words(fieldType(t, field)); values != nil {
				property.Enum = values
			}
		}
	}
	return nil
}

// fieldType returns the type of the field that is called name in JSON, nil for none.
func fieldType(t reflect.Type, name string) reflect.Type {
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		if tag == name || len(tag) > len(name) && tag[:len(name)+1] == name+"," {
			return deref(f.Type)
		}
	}
	return nil
}

func elem(t reflect.Type) reflect.Type {
	if t == nil || t.Kind() != reflect.Slice {
		return nil
	}
	return t.Elem()
}

// words returns the values of a type that is one of some words, nil for other types.
func words(t reflect.Type) []any {
	switch t {
	case reflect.TypeFor[job.State]():
		return anys(job.States)
	case reflect.TypeFor[job.Action]():
		return anys(job.Actions)
	case reflect.TypeFor[job.StartMode]():
		return []any{job.StartAuto, job.StartManual}
	case reflect.TypeFor[job.OnLost]():
		return []any{job.OnLostFail, job.OnLostRequeue}
	case reflect.TypeFor[job.Sort]():
		return anys(job.Sorts)
	case reflect.TypeFor[job.Reason]():
		return anys(job.Reasons)
	case reflect.TypeFor[job.Code]():
		return []any{job.Invalid, job.NotFound, job.WrongState, job.Conflict, job.Forbidden, job.Unauthenticated, job.Throttled, job.Exhausted, job.Unavailable, job.Internal}
	case reflect.TypeFor[job.Role]():
		return []any{job.Viewer, job.Member, job.Operator, job.Admin}
	case reflect.TypeFor[job.Via]():
		return []any{job.ViaSocket, job.ViaToken, job.ViaSession}
	case reflect.TypeFor[job.HookEvent]():
		return anys(job.HookEvents)
	case reflect.TypeFor[job.DeliveryState]():
		return anys(job.DeliveryStates)
	}
	return nil
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// requestTypes are the schemas that take no unknown fields.
var requestTypes = map[string]bool{"JobSpec": true, "Batch": true, "ActRequest": true, "ActOptions": true, "Filter": true,
	"Range": true, "NewQueue": true, "FeedWatch": true, "QueueUpdate": true, "ShutdownOptions": true,
	"Credentials": true, "NewToken": true, "NewLogin": true}

var typeAbout = map[string]string{
	"Job":             "One piece of work on record.",
	"FeedLog":         "How much there is to read of a job's newest log.",
	"FeedUpdate":      "What has changed since the update before.",
	"FeedWatch":       "What a feed watches: what is shown now.",
	"LogHit":          "A line that holds a text.",
	"LogHits":         "Lines that hold a text.",
	"Machine":         "How busy the machine is that the daemon runs on.",
	"Stats":           "What was done in a time, in buckets.",
	"StatsEnds":       "How many jobs ended in a bucket.",
	"StatsWaited":     "How long the jobs that started in a bucket had been queued, in seconds; to a sixth.",
	"JobSpec":         "A job to add. Exactly one of command, shell and a type other than those two is given; such a type makes the command of params.",
	"Batch":           "Jobs to add all together or not at all.",
	"Filter":          "Which jobs. All that is set must hold; within a list one is enough. {} is every job that is not deleted.",
	"Range":           "Job numbers, both ends included.",
	"ActRequest":      "One action on all jobs that a filter selects.",
	"ActOptions":      "How to stop or delete.",
	"ActResult":       "What an action did.",
	"ActFailure":      "A job that the action could not be done to.",
	"Attempt":         "One ended run of a job that was run again since.",
	"AttemptList":     "Earlier attempts.",
	"Error":           "What went wrong, and what to do next.",
	"IdList":          "Numbers of new jobs, in the order given.",
	"Page":            "A part of a list.",
	"Problem":         "An error as RFC 9457 has it.",
	"Queue":           "A named line of jobs.",
	"QueueList":       "All queues.",
	"QueueUpdate":     "What to change of a queue.",
	"NewQueue":        "A queue to make.",
	"Reloaded":        "What reading the settings again has changed.",
	"SettingChange":   "A setting before and after.",
	"RunnerStatus":    "The process that owns the jobs' processes.",
	"ShutdownOptions": "How to end the daemon.",
	"Status":          "The daemon at a glance.",
	"Credentials":     "What a browser logs in with: one of the two.",
	"Me":              "Who asks.",
	"Token":           "A login for programs.",
	"NewToken":        "A token to make.",
	"TokenList":       "All tokens.",
	"EndedLogins":     "How much was ended.",
	"Login":           "A link that logs a browser in, once.",
	"NewLogin":        "A link to make.",
	"AuditEntry":      "One change, done or refused.",
	"AuditPage":       "A part of the audit.",
	"Setting":         "A setting as it is in force.",
	"SettingList":     "All settings.",
	"Hook":            "Whom a job's events are told. Exactly one of command and url is given.",
	"HookList":        "All hooks of settings and job types.",
	"ConfiguredHook":  "A hook of the settings or of a job type.",
	"Delivery":        "One event on its way to one hook.",
	"DeliveryPage":    "A part of the deliveries.",
	"WebStatus":       "How the page is served.",
	"StatusAnswer":    "The daemon at a glance, with what the Python service said.",
	"Type":            "What a job may be, and what its params may be.",
	"TypeList":        "All job types.",
	"Usage":           "What an attempt consumed, with the descendants that it waited for.",
}

// fieldAbout describes fields: ".field" wherever it stands, "Type.field" where that says more.
var fieldAbout = map[string]string{
	".id": "Number, never reused.", ".key": "Unique among the jobs on record.", ".name": "What people call it.", ".queue": "Name of the queue; none is `default`.",
	".type": "What the job is: `command`, `shell`, or a job type's name.", ".state": "Where the job stands.", ".reason": "Why it failed or was stopped.",
	".exit_code": "Of the process; absent when a signal ended it.", ".signal": "Number of the signal that ended it.", ".wait_reason": "Why it waits, in words.",
	".priority": "Higher runs first.", ".command": "Program and arguments, run as they are.", ".params": "Parameters of the job type.",
	".cwd": "Working directory, absolute; none is /.", ".tags": "Words to find it by.", ".owner": "User who added it.", ".user": "Account that it runs as; none is the service's own.", ".changed": "In force now.", ".restart": "In force when the daemon is started again.", ".old": "Before, as `config show` has it.", ".new": "Now, or then.", "SettingChange.key": "Name of the setting.", ".attempt": "Which run; 0 before the first.",
	".max_attempts": "Most runs.", ".created_at": "When it was made.", ".start_at": "Not before this.", ".queued_at": "When it joined the line.",
	".started_at": "When its process started.", ".finished_at": "When its process ended.", ".progress": "0 to 100, as the job reports it.",
	".status_text": "What the job reports of itself.", ".result": "What the job reported as its result.", ".usage": "What it consumed.",
	".error": "What went wrong.", ".after": "Numbers of the jobs that it waits for.", ".node": "Machine that runs it.", ".run_id": "The attempt's unique id.",
	".pid": "Process number while it runs.", ".timeout": "Time limit in seconds; none or 0 is no limit.",
	".grace": "Seconds between stop signal and KILL.", ".stop_signal": "TERM, INT, HUP, …; none is TERM.", ".on_lost": "What happens when its outcome cannot be known; none is `fail`.",
	".split": "stderr gets a log of its own.", ".umask": "File mode mask of the process; none is the runner's.", ".fence": "Grows with each claim of the job.",
	".shell": "Script for /bin/sh -c.", ".env": "Environment of the process. It is never shown again.", ".hold": "Not before it is started by hand.",
	".defaults": "What the jobs leave out; its env is laid under theirs.", ".jobs": "The jobs.", ".next_cursor": "Where the next page begins; absent on the last.",
	".cursor": "Where the page begins.", ".limit": "Most jobs on the page.", ".oldest": "Oldest first.", ".ids": "Numbers.", ".keys": "Keys; with ids, in either.",
	".last": "The newest of those selected otherwise.", ".states": "In one of these states.", ".queues": "Of these queues.", ".types": "Of these types.",
	".from": "First number.", ".to": "Last number.", ".action": "What to do.", ".filter": "To which jobs.", ".force": "stop, delete: KILL at once.",
	".dry_run": "Only say what would be done.", ".done": "Jobs it was done to, or would be.", ".skipped": "Jobs that the filter selects, but are in no state for it.",
	".failed": "Jobs named one by one that it could not be done to.", ".job_id": "Number of the job that this is about.", ".attempts": "Ended runs, oldest first.",
	".code": "Class of the error.", ".message": "What happened, to what.", ".hint": "What to do next.", ".field": "The field that is wrong, with its path.",
	".line": "Of a batch: which job, counting from 1; of lines: which line.", ".title": "The status in words.", ".status": "HTTP status.", ".detail": "What happened, to what.",
	".concurrency": "Most jobs live at once; 0 is no limit of its own.", ".paused": "Starts nothing; what runs goes on.", ".start": "auto: new jobs are queued at once; manual: they are held until started.",
	".version": "Of the program.", ".uptime": "Seconds since the start.", ".seq": "Sequence number of the last change.", ".runner": "The runner as the daemon sees it.",
	".problems": "Conditions that somebody should mend, in words.", ".home": "Folder of the service.", ".running": "Live jobs.", ".keep_jobs": "Leave live jobs running.",
	".cpu_user": "Seconds in user mode.", ".cpu_system": "Seconds in the kernel.", ".max_rss": "Largest resident memory of a process, bytes.",
	".read_bytes": "Bytes read from storage.", ".write_bytes": "Bytes written to storage.",

	".hits": "In the order they were met.", "LogHits.next": "Where to go on: `from` of the next request; absent when all is searched.",
	"LogHit.offset": "Of the line's first byte, or that of `line` where the line is very long.", "LogHit.match": "Of the text's first byte.", "LogHit.line": "The line around the text; bytes that are no UTF-8 are replaced.",
	"StatusAnswer.status": "Always `running`, as the Python service said it.", "StatusAnswer.jobs": "How many jobs, by state.", "StatusAnswer.queues": "All queues with their counts.",
	"StatusAnswer.pid": "Process number of the daemon.", "StatusAnswer.node": "This machine.", "StatusAnswer.started_at": "When the daemon started.",
	"StatusAnswer.shutdown_timeout": "Seconds that a stop of the daemon gives its jobs to end.", ".total_jobs": "How many jobs there are, deleted ones left out.", ".running_jobs": "How many of them live.",
	".count": "How many jobs it was done to, or would be.",
	".text":  "The same as name once more.", ".exit_codes": "Ended with one of these exit codes.", ".reasons": "Failed or stopped for one of these reasons.",
	".since": "Made at this time or later.", ".until": "Made before this time.", ".ended_since": "Came into the ended state they are in at this time or later.", ".ended_until": "The same, before this time.",
	".sort": "Order of a list; an action does not look at it.",
	".feed": "In the first message: the feed's id.", ".resync": "Something was left out: read anew what is shown.", ".gone": "Watched jobs that are no longer on record.",
	".dirty": "Something that is not watched has changed: lists may be out of date.", ".logs": "By job.", ".machine": "Now and then.",
	"FeedUpdate.seq": "All changes up to here are in it.", "FeedUpdate.status": "Where more than its uptime has changed.", "FeedUpdate.jobs": "The present record of each watched job that has changed.",
	"FeedWatch.jobs": "Numbers of jobs whose records are told, up to 2000.", "FeedWatch.logs": "Numbers of jobs whose logs' length is told, up to 20.",
	".size": "Bytes.", ".stderr_size": "Bytes of the log of stderr, of a job that was added with `split`.", ".complete": "The attempt has ended.",
	".load": "Processes that run or wait for it, over 1, 5 and 15 minutes.", ".cpus": "How many.", ".memory_total": "Bytes.", ".memory_available": "Bytes that are free without swapping.",
	".disk_free": "Bytes, where the jobs' logs are.", ".disk_total": "Bytes.",
	"Stats.from": "Where the first bucket begins.", "Stats.to": "Where the last bucket ends, which may be still to come.", ".step": "Length of a bucket, seconds.",
	".throughput": "Oldest first.", ".latency": "The same buckets.", "StatsEnds.at": "Where the bucket begins.", "StatsWaited.at": "Where the bucket begins.",
	".completed": "How many.", "StatsEnds.failed": "How many.", ".stopped": "How many.", ".p50": "Half of them at most; 0 where there were none.", ".p95": "95 of a hundred at most.", ".n": "How many started.",
	".role": "What they may do: viewer sees, operator also acts, admin also manages access and the daemon; member is a user of the machine, over the unix socket.",
	".via":  "How they came.", ".expires_at": "When it is over at the latest; absent is never.", ".created_by": "Who made it.", ".last_used_at": "To some minutes; absent is never.",
	".secret": "What programs send, told this once.", ".expires_in": "Seconds from now; none is for ever.", ".url": "The address; of a page that is not served none.",
	".fingerprint": "SHA-256 of the certificate, where the service has made it itself.", ".entries": "Newest first.", ".at": "When.", ".who": "Name of who did it; empty is nobody who is known.",
	"Status.web": "How the page is served; absent is not at all.", "StatusAnswer.web": "How the page is served; absent is not at all.", ".target": "To what.", ".outcome": "`done`, or the code of the error.", ".settings": "In the order of the example file.", ".value": "Durations in seconds, sizes in bytes.",
	".source": "`default`, FILE:LINE, the variable or the flag.", ".listen": "The setting.", ".problem": "Why it is not served, in words.", ".tokens": "By name.",
	"Token.id": "What it is revoked by.", "Token.name": "Name.", "NewToken.name": "1 to 64 of A-Z a-z 0-9 . _ -", "NewLogin.role": "What the login may do; none is what you may.",
	"Credentials.code": "Of a link of `queuemgr web`.", ".token": "A token's secret.", "Login.code": "What the page redeems.", "EndedLogins.logins": "How many were ended.", "EndedLogins.links": "How many links that had not been used.", "Me.name": "Of the user, token or login.",
	"AuditEntry.id": "Number, never reused.", "AuditEntry.from": "Address, of who came over TCP.", "AuditEntry.action": "What was done.", "Setting.key": "Name.",
	"Filter.name": "Part of the name or command; case does not count.", "Filter.owner": "Of this user.", "Filter.tags": "With every one of these tags.",
	"Problem.type": "Always about:blank: code says what it is.", "Queue.jobs": "How many jobs, by state.", "Queue.name": "Name.", "NewQueue.name": "1 to 64 of A-Z a-z 0-9 . _ -",
	"QueueList.queues": "By name.", "Status.jobs": "How many jobs, by state.", "Status.queues": "All queues with their counts.", "Status.pid": "Process number of the daemon.",
	"Status.node": "This machine.", "Status.started_at": "When the daemon started.", "Status.shutdown_timeout": "Seconds that a stop of the daemon gives its jobs to end.", "RunnerStatus.pid": "Process number; 0 when it is not connected.",
	".notes": "What was refused of what it sent, and hooks that failed, in words.", ".watchdog": "Seconds without a report after which it is stopped; none or 0 is never.",
	".success_codes": "Exit codes besides 0 that count as completed.", "JobSpec.watchdog": "Seconds without a report after which it is stopped; 0 is as its type says.",
	"JobSpec.success_codes": "Exit codes besides 0 that count as completed; none is as its type says.", "JobSpec.type": "None is command or shell, whichever is given; else the name of a job type.",
	"TypeList.types": "By name.", "Type.name": "What `type` of a job is.", "Type.description": "For people.", "Type.source": "`built in`, `program`, or the path of its file in types.d.",
	"Type.schema": "JSON Schema (2020-12) of params; absent for command and shell.", "Type.example": "Params that the schema accepts.", "Type.secret": "Params that are shown nowhere.",
	"Type.command": "The template that params are placed in, of a type in types.d.", "Type.queue": "Of its jobs unless they say otherwise.", "Type.hooks": "Who is told of the events of its jobs.", "Reloaded.types": "Which job types are new, changed or gone, in words.", "Reloaded.problems": "What of types_dir can't be used, with file and line.", "Type.problem": "Why no job of it can be added now.",
	"Job.hooks": "Who is told of its events, beside the hooks of settings and type.", "JobSpec.hooks": "Who is told of its events, beside the hooks of settings and type; up to 8.",
	".on": "Events: start is an attempt's, the others come once, when no further attempt follows.", "Hook.command": "Run as the job is, with the job as JSON on its standard input.",
	"Hook.url":       "Gets a POST with the job as JSON, unsigned; http or https, no user in it. All who see the job see it.",
	"HookList.hooks": "In the order of the settings.", "ConfiguredHook.name": "Name.", "ConfiguredHook.source": "`settings`, or `type NAME`.", "ConfiguredHook.queue": "Only jobs of this queue.", "ConfiguredHook.type": "Only jobs of this type.",
	"ConfiguredHook.command": "Program and arguments.", "ConfiguredHook.url": "Scheme and host; what comes after them is left out.", ".signed": "What is sent is signed.", "ConfiguredHook.timeout": "Seconds of one try.",
	".give_up_after": "Seconds after which no try follows.", ".last_error": "Of the last try that failed.", ".next_try": "When it is tried again, or may be.",
	"Delivery.id": "Number, never reused.", "Delivery.event": "What happened.", "Delivery.attempt": "Of the job; 0 = it ended before its first.", "Delivery.seq": "Of the change that told of it.", "Delivery.hook": "`settings/NAME`, `type/NAME/N` or `job/N`.",
	".receiver": "One of those that have their deliveries in order, by job.", "Delivery.state": "How far it is.", ".tries": "How many there were.", ".ended_at": "When it was done or given up.", "Delivery.run_id": "Of the command that runs.",
	".deliveries":   "The deliveries.",
	"Attempt.state": "How it ended.", "ActFailure.error": "Why not.", "JobSpec.params": "Parameters of the job type.",
}
