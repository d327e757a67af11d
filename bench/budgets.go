package main

// Names of the samples.
const (
	cLoop       = "C posix_spawn loop"
	goLoop      = "Go os/exec loop"
	runnerAlone = "runner alone"
	bulkRun     = "queuemgr, bulk"
	taskSpooler = "task-spooler"
	processRun  = "queuemgr, one CLI process a job"
	share       = ", share of the C loop"

	latencyP50 = "add to start p50"
	latencyP99 = "add to start p99"
	adds1      = "adds, 1 client"
	adds10     = "adds, 10 clients"
	adds50     = "adds, 50 clients"
	syncFloor  = "fdatasync alone"
	registry1  = "registry alone, 1 caller"
	registry50 = "registry alone, 50 callers"
	http1      = "HTTP alone, 1 client"
	http50     = "HTTP alone, 50 clients"
	bulkAdd    = "bulk add"
	bulkFile   = "bulk add of a file"

	typeRatio   = "add through a type, ratio"
	addProcess  = "queuemgr job add as a process"
	bareProcess = "bare Go program"
	addRatio    = "job add as a process, ratio"

	daemonRSS   = "idle daemon RSS"
	runnerRSS   = "idle runner RSS"
	daemonCPU   = "idle daemon CPU"
	runnerCPU   = "idle runner CPU"
	loadRSS     = "runner RSS under load"
	loadThreads = "runner threads under load"

	recordCount  = "jobs on record"
	recordsPage  = "list page with many on record"
	recordsRare  = "rare exit code with many on record"
	recordsState = "status with many on record"
	recordsStart = "start with many on record"
	recordsAdd   = "add ratio with many on record"
	recordsRSS   = "daemon RSS with many on record"
)

// budgets are the lines of the table in its order; the limits are the project's promises.
var budgets = []budget{
	{what: "C posix_spawn loop of /bin/true, one worker a core", name: cLoop, unit: " jobs/s"},
	{what: "Go os/exec loop, one worker a core", name: goLoop, unit: " jobs/s"},
	{what: "Go os/exec loop, share of the C loop", name: goLoop + share, unit: " %"},
	{what: "runner alone", name: runnerAlone, unit: " jobs/s"},
	{what: "runner alone, share of the C loop", name: runnerAlone + share, unit: " %", atLeast: 65},
	{what: "queue to exit committed, added in bulk", name: bulkRun, unit: " jobs/s"},
	{what: "queue to exit committed, added in bulk, share of the C loop", name: bulkRun + share, unit: " %", atLeast: 45},
	{what: "queuemgr, one CLI process a job", name: processRun, unit: " jobs/s"},
	{what: "queuemgr, one CLI process a job, share of the C loop", name: processRun + share, unit: " %"},
	{what: "task-spooler, one CLI process a job", name: taskSpooler, unit: " jobs/s"},
	{what: "task-spooler, share of the C loop", name: taskSpooler + share, unit: " %"},
	{what: "add over the API to process started, idle system, p50", name: latencyP50, unit: " ms", atMost: 3},
	{what: "add over the API to process started, idle system, p99", name: latencyP99, unit: " ms", atMost: 10},
	{what: "durable single adds, 1 client", name: adds1, unit: "/s", atLeast: 2000},
	{what: "durable single adds, 10 clients", name: adds10, unit: "/s"},
	{what: "durable single adds, 50 clients", name: adds50, unit: "/s", atLeast: 10000},
	{what: "of that: fdatasync of ten overwritten pages", name: syncFloor, unit: "/s"},
	{what: "of that: the registry alone, in one process, 1 caller", name: registry1, unit: "/s"},
	{what: "of that: the registry alone, in one process, 50 callers", name: registry50, unit: "/s"},
	{what: "of that: net/http alone, answering the same posts, 1 client", name: http1, unit: "/s"},
	{what: "of that: net/http alone, answering the same posts, 50 clients", name: http50, unit: "/s"},
	{what: "durable bulk add over the API", name: bulkAdd, unit: " jobs/s", atLeast: 50000},
	{what: "the same by `queuemgr job add --file`", name: bulkFile, unit: " jobs/s"},
	{what: "add of a job of a type in types.d, times that of the same command", name: typeRatio, atMost: 1.1},
	{what: "`queuemgr job add` as a process", name: addProcess, unit: " ms"},
	{what: "bare Go program posting over a unix socket", name: bareProcess, unit: " ms"},
	{what: "`queuemgr job add` : bare Go program", name: addRatio, unit: "", atMost: 2.5},
	{what: "idle daemon, resident", name: daemonRSS, unit: " MB", atMost: 30},
	{what: "idle runner, resident", name: runnerRSS, unit: " MB", atMost: 8},
	{what: "idle daemon, CPU a second", name: daemonCPU, unit: " ms", atMost: 1},
	{what: "idle runner, CPU a second", name: runnerCPU, unit: " ms", atMost: 1},
	{what: "runner with 5,000 jobs running, resident", name: loadRSS, unit: " MB", atMost: 40},
	{what: "runner with 5,000 jobs running, threads", name: loadThreads, unit: "", atMost: 99},
	{what: "jobs on record in the lines below", name: recordCount},
	{what: "many on record: a page of the list (newest, rare state, oldest)", name: recordsPage, unit: " ms", atMost: 10},
	{what: "many on record: the twelve that failed with a code of their own, at any time", name: recordsRare, unit: " ms", atMost: 300},
	{what: "many on record: /api/status", name: recordsState, unit: " ms", atMost: 2},
	{what: "many on record: daemon start", name: recordsStart, unit: " ms", atMost: 1000},
	{what: "many on record: add, times that of an empty registry", name: recordsAdd, atMost: 1.2},
	{what: "many on record: daemon, resident", name: recordsRSS, unit: " MB", atMost: 100},
}
