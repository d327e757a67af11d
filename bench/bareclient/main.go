// Command bareclient does the least a Go program can do to add a job: it posts standard input to
// /api/jobs over a unix socket. The benchmarks hold `queuemgr job add` against it.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bareclient SOCKET <JOB.json")
		os.Exit(2)
	}
	if err := post(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "bareclient:", err)
		os.Exit(1)
	}
}

func post(socket string) error {
	c := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := c.Post("http://queuemgr/api/jobs", "application/json", os.Stdin)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		body, err := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s (%v)", resp.Status, body, err)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
