// Command client drives a daemon over TCP by a client that oapi-codegen made of the OpenAPI document:
// it adds a job, waits for it, reads its log, finds it and deletes it. TestGeneratedClient (test/e2e)
// generates the package api beside this file, in a copy of this folder, and runs it; its module is of
// its own, so that the generator is no dependency of the product.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/test/client/api"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: client URL TOKEN")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := drive(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func drive(ctx context.Context, url, token string) error {
	c, err := api.NewClientWithResponses(url, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		return err
	}
	id, err := add(ctx, c)
	if err != nil {
		return err
	}
	if err := ended(ctx, c, id); err != nil {
		return err
	}
	if err := found(ctx, c, id, 1); err != nil {
		return err
	}
	deleted, err := c.DeleteJobWithResponse(ctx, id, api.DeleteJobJSONRequestBody{})
	if err != nil {
		return err
	}
	if deleted.JSON200 == nil || deleted.JSON200.State != api.JobStateDeleted {
		return fmt.Errorf("delete: %s %s", deleted.Status(), deleted.Body)
	}
	if err := found(ctx, c, id, 0); err != nil {
		return err
	}
	missing, err := c.GetJobWithResponse(ctx, "4711", nil)
	if err != nil {
		return err
	}
	if p := missing.ApplicationproblemJSON404; p == nil || p.Code != api.ProblemCodeNotFound || p.Detail == "" {
		return fmt.Errorf("a job that is not there: %s %s", missing.Status(), missing.Body)
	}
	return nil
}

func add(ctx context.Context, c *api.ClientWithResponses) (string, error) {
	script, name, tags := "echo out; echo err >&2; exit 3", "by a client", []string{"generated"}
	var body api.NewJobs
	if err := body.FromJobSpec(api.JobSpec{Shell: &script, Name: &name, Tags: &tags}); err != nil {
		return "", err
	}
	added, err := c.AddJobsWithResponse(ctx, body)
	if err != nil {
		return "", err
	}
	if added.JSON201 == nil {
		return "", fmt.Errorf("add: %s %s", added.Status(), added.Body)
	}
	j, err := added.JSON201.AsJob()
	if err != nil {
		return "", err
	}
	if j.Id == 0 || *j.Name != name {
		return "", fmt.Errorf("add: the job is %s", added.Body)
	}
	return strconv.FormatInt(j.Id, 10), nil
}

func ended(ctx context.Context, c *api.ClientWithResponses, id string) error {
	wait := 30.0
	got, err := c.GetJobWithResponse(ctx, id, &api.GetJobParams{Wait: &wait})
	if err != nil {
		return err
	}
	if got.JSON200 == nil {
		return fmt.Errorf("wait: %s %s", got.Status(), got.Body)
	}
	if j := got.JSON200; j.State != api.JobStateFailed || j.ExitCode == nil || *j.ExitCode != 3 {
		return fmt.Errorf("wait: the job is %s", got.Body)
	}
	log, err := c.ReadLogWithResponse(ctx, id, nil)
	if err != nil {
		return err
	}
	if string(log.Body) != "out\nerr\n" {
		return fmt.Errorf("the log is %s %q", log.Status(), log.Body)
	}
	return nil
}

// found fails unless the list of failed jobs with the tag has n of them, the one with the number.
func found(ctx context.Context, c *api.ClientWithResponses, id string, n int) error {
	list, err := c.ListJobsWithResponse(ctx, &api.ListJobsParams{
		State: &[]api.ListJobsParamsState{api.ListJobsParamsStateFailed, api.ListJobsParamsStateStopped}, Tag: &[]string{"generated"}, ExitCode: &[]int64{3, 4}})
	if err != nil {
		return err
	}
	if list.JSON200 == nil {
		return fmt.Errorf("list: %s %s", list.Status(), list.Body)
	}
	jobs := list.JSON200.Jobs
	if len(jobs) != n {
		return fmt.Errorf("list: %d jobs, want %d: %s", len(jobs), n, list.Body)
	}
	if n == 1 && strconv.FormatInt(jobs[0].Id, 10) != id {
		return errors.New("list: it is another job: " + string(list.Body))
	}
	return nil
}
