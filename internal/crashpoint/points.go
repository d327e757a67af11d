package crashpoint

// Runner lists the crash points of the runner in the order in which a run passes them.
var Runner = []string{
	"runner.after-receive-start",
	"runner.after-intent",
	"runner.after-fork",
	"runner.after-started",
	"runner.after-exit-seen",
	"runner.after-exit-journal",
	"runner.after-reap",
	"runner.after-deliver",
	"runner.after-ack-received",
	"runner.after-done",
}

// Folders lists the crash points that only runs with a folder of their own pass, after
// runner.after-exit-journal.
var Folders = []string{
	"runner.after-folder-gone",
}

// Engine lists the crash points of the engine in the order in which a run passes them.
var Engine = []string{
	"engine.after-claim",
	"engine.after-start-sent",
	"engine.after-events-received",
	"engine.after-events-commit",
	"engine.after-ack",
	"engine.after-stop-sent",
}

// Retention lists the crash points that no run passes: a job's record is purged, its logs are not
// removed yet.
var Retention = []string{
	"engine.after-purge",
}
