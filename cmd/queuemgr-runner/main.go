// Command queuemgr-runner owns the job processes of a queuemgr service; see internal/runner.
package main

import (
	"os"

	"github.com/queuemgr/queuemgr/internal/runner"
)

func main() { os.Exit(runner.Main(os.Args[1:])) }
