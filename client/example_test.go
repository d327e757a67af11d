package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/job"
)

// socket is where the daemon of a home listens.
func socket() string { return filepath.Join(os.Getenv("QUEUEMGR_HOME"), "run", "queuemgr.sock") }

// Add a job, show what it writes while it runs, and exit as it did.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := client.New(client.Options{Socket: socket()})
	defer c.Close()

	j, err := c.AddJob(ctx, job.Spec{Command: []string{"make", "-C", "/srv/project", "all"}, Tags: []string{"build"}})
	if err != nil {
		log.Fatal(err)
	}
	output, err := c.Logs(ctx, j.ID, job.LogOptions{Follow: true})
	if err != nil {
		log.Fatal(err)
	}
	defer output.Close()
	if _, err := io.Copy(os.Stdout, output); err != nil {
		log.Fatal(err)
	}
	if j, err = c.WaitJob(ctx, j.ID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(j.State, j.Reason)
}

// Add many jobs, all or none, with what they share said once.
func ExampleClient_AddJobs() {
	c := client.New(client.Options{Socket: socket()})
	defer c.Close()
	ids, err := c.AddJobs(context.Background(), job.Batch{
		Defaults: job.Spec{Queue: "video", Cwd: "/srv/video"},
		Jobs:     []job.Spec{{Command: []string{"ffmpeg", "-i", "a.mov", "a.mp4"}}, {Command: []string{"ffmpeg", "-i", "b.mov", "b.mp4"}}},
	})
	if wrong := (*job.Error)(nil); errors.As(err, &wrong) {
		log.Fatalf("job %d of the batch: %v", wrong.Line, wrong)
	}
	fmt.Println(ids)
}

// Watch every change of a queue, across restarts of the daemon.
func ExampleClient_Events() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := client.New(client.Options{Socket: socket()})
	defer c.Close()
	for change, err := range c.Events(ctx, job.EventOptions{Queue: "video"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(change.Seq, change.Kind, change.JobID, change.State)
	}
}
