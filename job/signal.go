package job

import (
	"fmt"
	"strconv"
	"strings"
)

// signals are the names that may stop a job, by number (Linux, all architectures Go runs on but mips).
var signals = map[string]int{"HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "USR2": 12, "ALRM": 14, "TERM": 15, "WINCH": 28}

// ParseSignal returns the number of a stop signal named "TERM", "SIGTERM" or "15"; "" is TERM.
func ParseSignal(name string) (int, error) {
	if name == "" {
		return 15, nil
	}
	if n, ok := signals[strings.TrimPrefix(strings.ToUpper(name), "SIG")]; ok {
		return n, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= 64 {
		return n, nil
	}
	return 0, invalid("stop_signal", fmt.Sprintf("unknown signal %q", name), "TERM, INT, HUP, QUIT, USR1, USR2, KILL, … or a number from 1 to 64")
}
