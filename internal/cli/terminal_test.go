package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/creack/pty"
)

// runOnTerminal is the program `terminal [-i FILE] [-size COLUMNSxLINES] PROGRAM [ARG...]` of the scripts: it runs the
// program on a terminal of its own, types FILE and an end of file (without -i standard input is
// /dev/null), prints all that the terminal shows and exits as the program did.
//
// testscript's own ttyin and ttyout close the terminal when the program has ended, without
// reading what it wrote last: on a busy machine that is lost.
func runOnTerminal() {
	code, err := onTerminal(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "terminal:", err)
		code = 99 // no exit code of queuemgr
	}
	os.Exit(code)
}

func onTerminal(args []string) (int, error) {
	flags := flag.NewFlagSet("terminal", flag.ContinueOnError)
	input := flags.String("i", "", "file to type")
	size := flags.String("size", "", "columns and lines of the terminal, as 80x24")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	cmd := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Ctty: 1} // its standard output
	var text []byte
	if *input != "" {
		var err error
		if text, err = os.ReadFile(*input); err != nil {
			return 0, err
		}
		text = append(text, 4) // end of file, as Ctrl-D types it
	} else {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return 0, err
		}
		defer null.Close()
		cmd.Stdin = null
	}
	var window pty.Winsize
	if *size != "" {
		if _, err := fmt.Sscanf(*size, "%dx%d", &window.Cols, &window.Rows); err != nil {
			return 0, fmt.Errorf("-size %s: %w", *size, err)
		}
	}
	screen, err := pty.StartWithSize(cmd, &window)
	if err != nil {
		return 0, err
	}
	defer screen.Close()
	if _, err := screen.Write(text); err != nil {
		return 0, fmt.Errorf("typing: %w", err)
	}
	// EIO comes when nobody has the terminal open any more and all that was written is read.
	if _, err := io.Copy(os.Stdout, screen); !errors.Is(err, syscall.EIO) {
		return 0, fmt.Errorf("reading the terminal ended with %w, want %w", err, syscall.EIO)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}
