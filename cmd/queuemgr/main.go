// Command queuemgr is the job-queue manager: daemon, command line and API in one program.
package main

import (
	"os"

	"github.com/queuemgr/queuemgr"
)

func main() { os.Exit(queuemgr.New().Main()) }
